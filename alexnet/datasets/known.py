"""The known datasets: where their files are, and the checksums of these files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """A dataset of 28×28 grey images in four IDX files."""

    name: str
    title: str
    sha256: tuple[str, str, str, str]  # of the decompressed files, in the order of `files.FILES`
    places: tuple[str, ...]  # folders that other libraries and Linux distributions use
    mirrors: tuple[str, ...]  # URLs; the file name and ".gz" are appended
    package: str  # name of the Debian package, or ""
    labels: tuple[str, ...]
    mean: float  # of the training pixels, scaled to [0, 1]
    std: float  # of the same pixels


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
        "data/FashionMNIST/raw",  # torchvision
        "../data/FashionMNIST/raw",  # torchvision, as in the book
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
"""60,000 training and 10,000 test images of clothes (Xiao, Rasul & Vollgraf, 2017; MIT licence)."""

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
"""60,000 training and 10,000 test images of handwritten digits (LeCun, Bottou, Bengio & Haffner, 1998)."""

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
"""5,000 training and 1,000 test images of Fashion-MNIST, in balanced classes, inside this package."""

SAMPLE_EXAMPLES = 5_000, 1_000
