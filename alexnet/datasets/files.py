"""The four IDX files of a dataset: find, download, check and read them.

Checks use the SHA-256 of the decompressed bytes, because distributors compress the .gz files again.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tempfile
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

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
"""Training images and labels, test images and labels. Each file may be plain or end in ``.gz``."""

ENVIRONMENT = "ALEXNET_DATA"
"""Environment variable with the data folder. The files are in the folder or in its subfolder with the
dataset's name. For Fashion-MNIST, the value ``sample`` means the sample in this package."""


def sample_folder() -> Path:
    """Return the folder of the sample, which is inside this package."""
    return Path(__file__).parent / "sample"


def sample_is_named() -> bool:
    """Return whether ALEXNET_DATA selects the sample instead of Fashion-MNIST."""
    return os.environ.get(ENVIRONMENT) == "sample"


def find(dataset: Dataset) -> Path | None:
    """Return the first known folder that contains all four files, or None. Downloads nothing."""
    places = (cache(dataset), *(Path(place).expanduser() for place in dataset.places))
    return next((place for place in places if not missing(place)), None)


def locate(
    dataset: Dataset, root: str | os.PathLike[str] | None = None, argument: str = "root="
) -> Path:
    """Return the folder with the dataset's four files. Download missing files.

    ``root``, or else the environment variable ALEXNET_DATA, names the folder to use. Missing files are
    downloaded into this folder. If neither is set, use the first folder that has all files: this
    library's cache, then the folders of torchvision, Keras, MXNet, Paddle and Debian. If no folder has
    all files, download into the cache. ``argument``: what the user gave ``root`` as, for the message.

    Raises DataError if the named folder does not exist, or if a missing file cannot be downloaded.
    """
    named = root if root is not None else os.environ.get(ENVIRONMENT) or None
    if named is not None:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            given = argument if root is not None else ENVIRONMENT
            raise DataError(f"{folder}: the folder does not exist (named by {given})")
        nested = folder / dataset.name
        folder = nested if nested.is_dir() else folder
    else:
        folder = find(dataset) or cache(dataset)
    if missing(folder):
        download(dataset, folder)
    return folder


def cache(dataset: Dataset) -> Path:
    """Return the folder of the dataset in this library's cache."""
    return Path(_pooch().os_cache("alexnet")) / dataset.name


def _pooch() -> Any:
    """Import pooch. In a notebook without ipywidgets, tqdm would warn that its bar is made of text."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        import pooch
    return pooch


def missing(folder: Path) -> list[str]:
    """Return which of the four files the folder lacks, both plain and compressed."""

    def exists(file: str) -> bool:
        with suppress(OSError):  # treat a folder without read permission as empty
            return any((folder / name).is_file() for name in (file, file + ".gz"))
        return False

    return [file for file in FILES if not exists(file)]


def read(dataset: Dataset, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images and labels, test images and labels: uint8 (N, 28, 28) and uint8 (N,).

    Raises DataError with the file's path if a file is missing, truncated, damaged or mislabelled, or
    belongs to another dataset.
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
        raise DataError(f"{path}: the file does not exist") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the file is damaged or truncated ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def parse(path: Path, data: bytes, sha256: str, title: str) -> np.ndarray:
    """Return the array in the bytes of an IDX file: uint8 (N, rows, columns) for images, (N,) for labels.

    Raises DataError unless the bytes match the file's name (images or labels), their header and ``sha256``.
    """
    axes = 3 if "images" in path.name else 1
    kinds = {b"\0\0\x08\x03": "images", b"\0\0\x08\x01": "labels"}
    kind = kinds.get(data[:4])
    if kind is None:
        raise DataError(
            f"{path}: is not an IDX file of bytes (the file begins with {data[:4].hex() or 'nothing'})"
        )
    if (kind == "images") != (axes == 3):
        raise DataError(f"{path}: contains {kind}, which does not match the name of the file")
    header = 4 + 4 * axes
    if len(data) < header:
        raise DataError(f"{path}: is truncated after {len(data)} bytes, inside the header")
    shape = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4"))
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise DataError(
            f"{path}: must have {expected:,} bytes according to its header, got {len(data):,}"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataError(f"{path}: is not a file of {title} (SHA-256 must be {sha256}, got {found})")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def download(dataset: Dataset, folder: Path) -> None:
    """Download each file that the folder lacks, from the first mirror that sends the right bytes.

    A lock makes other processes wait. A file appears in the folder only when it is complete and checked.
    Raises DataError with each mirror's reason if no mirror works, or if the folder cannot be written to.
    """
    import requests
    from filelock import FileLock

    if not dataset.mirrors:
        raise DataError(
            f"{folder}: {dataset.title} is not in this folder and has no download mirror"
        )
    pooch = _pooch()
    pooch.get_logger().setLevel("WARNING")
    http = pooch.HTTPDownloader(progressbar=True, timeout=(10, 60))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(folder / ".download.lock"),
            tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as temp,
        ):
            for name in missing(folder):
                reasons = []
                for mirror in dataset.mirrors:
                    try:
                        path = Path(
                            pooch.retrieve(
                                f"{mirror}{name}.gz", None, f"{name}.gz", temp, downloader=http
                            )
                        )
                        parse(path, _bytes(path), dataset.sha256[FILES.index(name)], dataset.title)
                    except (requests.RequestException, DataError) as error:
                        reasons.append(f"{mirror}: {type(error).__name__}")
                        Path(temp, f"{name}.gz").unlink(missing_ok=True)
                        continue
                    with replacing(folder / path.name) as target:
                        path.replace(target)
                    break
                else:
                    raise DataError(_download_error(dataset, folder, reasons))
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to ({error.strerror})") from None


def _download_error(dataset: Dataset, folder: Path, reasons: list[str]) -> str:
    remedies = [
        f"put the four files ({FILES[0]}.gz, …) into a folder and give its path as --data, root= or "
        f"{ENVIRONMENT}"
    ]
    if dataset.package:
        remedies.insert(0, f"run apt-get install {dataset.package}")
    if dataset.name == FASHION_MNIST.name:
        remedies.append(
            f"use the 6,000 images that come with this package (source='sample', or {ENVIRONMENT}=sample)"
        )
    return (
        f"{dataset.title} is not in {folder} and could not be downloaded ({'; '.join(reasons)}); "
        f"{', or '.join(remedies)}"
    )
