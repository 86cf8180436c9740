"""The four IDX files of a dataset: where they lie, whether they are whole, and how to fetch them.

What counts is the SHA-256 of a file's decompressed bytes: distributors recompress the .gz files.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from alexnet.atomic import replacing
from alexnet.datasets.known import FASHION_MNIST, Dataset
from alexnet.errors import DataError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Training images and labels, test images and labels; each plain or with ``.gz`` behind it."""

ENVIRONMENT = "ALEXNET_DATA"
"""Variable that names a folder with the files, or with a folder of the dataset's name in it; for
Fashion-MNIST, ``sample`` means the images that come with this package."""


def sample_folder() -> Path:
    """The folder of the sample, inside this package."""
    return Path(__file__).parent / "sample"


def sample_is_named() -> bool:
    """Whether the environment asks for the sample instead of Fashion-MNIST."""
    return os.environ.get(ENVIRONMENT) == "sample"


def find(dataset: Dataset) -> Path | None:
    """The first known folder that holds all four files, without a download; None if there is none."""
    places = (cache(dataset), *(Path(place).expanduser() for place in dataset.places))
    return next((place for place in places if not missing(place)), None)


def locate(dataset: Dataset, root: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds the dataset's four files, downloaded if need be.

    A folder that is named, by ``root`` or else by the environment variable ALEXNET_DATA, is the only
    one looked at; files that it lacks are downloaded into it. Otherwise: this library's cache, the
    folders of torchvision, Keras, MXNet and Paddle, and Debian's; then a download into the cache.

    Raises DataError if there is nothing and nothing can be downloaded.
    """
    named = root if root is not None else os.environ.get(ENVIRONMENT) or None
    if named is not None:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            given = "root" if root is not None else ENVIRONMENT
            raise DataError(f"{folder}: there is no such folder (it was named by {given})")
        nested = folder / dataset.name
        folder = nested if nested.is_dir() else folder
    else:
        folder = find(dataset) or cache(dataset)
    if missing(folder):
        download(dataset, folder)
    return folder


def cache(dataset: Dataset) -> Path:
    """This library's own folder for the dataset."""
    import pooch

    return Path(pooch.os_cache("alexnet")) / dataset.name


def missing(folder: Path) -> list[str]:
    """Which of the four files are in the folder neither plain nor compressed."""

    def there(file: str) -> bool:
        with suppress(OSError):  # a folder that may not be looked into has none
            return any((folder / name).is_file() for name in (file, file + ".gz"))
        return False

    return [file for file in FILES if not there(file)]


def read(dataset: Dataset, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels: uint8 (N, 28, 28) and uint8 (N,).

    Raises DataError, naming the file, if one is missing, cut short, not what its name says, or not
    the dataset's.
    """
    arrays = []
    for name, digest in zip(FILES, dataset.sha256, strict=True):
        plain = folder / name
        path = plain if plain.is_file() else folder / f"{name}.gz"
        arrays.append(parse(path, _bytes(path), digest, dataset.title))
    train_images, train_labels, test_images, test_labels = arrays
    for images, labels in ((train_images, train_labels), (test_images, test_labels)):
        if len(images) != len(labels):
            raise DataError(f"{folder}: {len(images)} images but {len(labels)} labels")
    return train_images, train_labels, test_images, test_labels


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the file is damaged or cut short ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def parse(path: Path, data: bytes, sha256: str, title: str) -> np.ndarray:
    """The array in an IDX file's bytes: uint8 (N, rows, columns) for images, (N,) for labels."""
    axes = 3 if "images" in path.name else 1
    kinds = {b"\0\0\x08\x03": "images", b"\0\0\x08\x01": "labels"}
    kind = kinds.get(data[:4])
    if kind is None:
        raise DataError(
            f"{path}: is not an IDX file of bytes (it begins with {data[:4].hex() or 'nothing'})"
        )
    if (kind == "images") != (axes == 3):
        raise DataError(f"{path}: holds {kind}, which is not what its name says")
    header = 4 + 4 * axes
    if len(data) < header:
        raise DataError(f"{path}: is cut short after {len(data)} bytes, within its header")
    shape = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4"))
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise DataError(f"{path}: has {len(data):,} bytes, its header promises {expected:,}")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{path}: is not {title}'s (SHA-256 {found}, expected {sha256})")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def download(dataset: Dataset, folder: Path) -> None:
    """Fetch the files that the folder lacks, from the first mirror that gives the right bytes.

    A second process waits for the first. Each file appears in the folder whole and checked, or not
    at all. Raises DataError with each mirror's reason.
    """
    import pooch
    import requests
    from filelock import FileLock

    if not dataset.mirrors:
        raise DataError(
            f"{folder}: {dataset.title} is not there, and nobody offers it for download"
        )
    pooch.get_logger().setLevel("WARNING")
    fetch = pooch.HTTPDownloader(progressbar=True, timeout=(10, 60))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(folder / ".download.lock"),
            tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as beside,
        ):
            for name in missing(folder):
                reasons = []
                for mirror in dataset.mirrors:
                    try:
                        got = Path(
                            pooch.retrieve(
                                f"{mirror}{name}.gz", None, f"{name}.gz", beside, downloader=fetch
                            )
                        )
                        parse(got, _bytes(got), dataset.sha256[FILES.index(name)], dataset.title)
                    except (requests.RequestException, DataError) as error:
                        reasons.append(f"{mirror}: {type(error).__name__}")
                        Path(beside, f"{name}.gz").unlink(missing_ok=True)
                        continue
                    with replacing(folder / got.name) as new:
                        got.replace(new)
                    break
                else:
                    raise DataError(_advice(dataset, folder, reasons))
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to ({error.strerror})") from None


def _advice(dataset: Dataset, folder: Path, reasons: list[str]) -> str:
    ways = [
        f"put its four files ({FILES[0]}.gz, …) into a folder and name it by root= or {ENVIRONMENT}"
    ]
    if dataset.package:
        ways.insert(0, f"apt-get install {dataset.package}")
    if dataset.name == FASHION_MNIST.name:
        ways.append(
            f"use the 6,000 images that come with this package (source='sample', or {ENVIRONMENT}=sample)"
        )
    return (
        f"{dataset.title} is not in {folder} and could not be downloaded ({'; '.join(reasons)}); "
        f"{', or '.join(ways)}"
    )
