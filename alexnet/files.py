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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.atomic import replacing
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


@dataclass(frozen=True)
class Dataset:
    """A dataset of 28×28 grey images in four IDX files."""

    name: str
    title: str
    sha256: tuple[str, str, str, str]  # of the decompressed FILES
    places: tuple[str, ...]  # folders of other libraries and distributions
    mirrors: tuple[str, ...]  # addresses to which a file's name and ".gz" is added
    package: str  # Debian's, "" if none
    labels: tuple[str, ...]
    mean: float  # of the training pixels in [0, 1]
    std: float


FASHION_MNIST = Dataset(
    name="fashion-mnist",
    title="Fashion-MNIST",
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    places=(
        "data/FashionMNIST/raw",  # torchvision, as the book calls it
        "../data/FashionMNIST/raw",
        "~/.keras/datasets/fashion-mnist",
        "~/.mxnet/datasets/fashion-mnist",
        "~/.cache/paddle/dataset/fashion-mnist",
        "/usr/share/datasets/fashion-mnist",  # Debian
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://dataset.bj.bcebos.com/fashion_mnist/",
    ),
    package="dataset-fashion-mnist",
    labels=(
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    mean=0.2860,
    std=0.3530,
)
"""60,000 and 10,000 pictures of clothes (Xiao, Rasul & Vollgraf, 2017; MIT licence)."""

MNIST = Dataset(
    name="mnist",
    title="MNIST",
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    places=(
        "data/MNIST/raw",
        "../data/MNIST/raw",
        "~/.mxnet/datasets/mnist",
        "~/.cache/paddle/dataset/mnist",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://dataset.bj.bcebos.com/mnist/",
    ),
    package="",
    labels=tuple("0123456789"),
    mean=0.1307,
    std=0.3081,
)
"""60,000 and 10,000 handwritten digits (LeCun, Bottou, Bengio & Haffner, 1998)."""

SAMPLE = Dataset(
    name="sample",
    title="the sample of Fashion-MNIST",
    sha256=(
        "4415124d79c87bf749cd0624310197f01160afafe83b3efd87191f2c0c7e1c89",
        "cce997bafd62d4429a9b2ccfa37deaf708a3e9dca3ea7eecbc289fc4eecc8c8d",
        "5df59f1e2d4cb717d720d5213db6311f4141b9aeac5ce7b1ce21651e89988960",
        "0be90ddd862aec6c77e0a6b6c2b2e1d5f1097068f64b1c19841478e1b83477ba",
    ),
    places=(),
    mirrors=(),
    package="",
    labels=FASHION_MNIST.labels,
    mean=FASHION_MNIST.mean,
    std=FASHION_MNIST.std,
)
"""5,000 and 1,000 images of Fashion-MNIST, balanced, that come with this package."""


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
            f"{path}: this is no IDX file of bytes (it begins with {data[:4].hex() or 'nothing'})"
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
