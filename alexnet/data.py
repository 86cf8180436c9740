"""Fashion-MNIST and MNIST in batches, the same for every framework.

The images stay uint8 28×28 in memory. Each batch is resized when it is asked for, on the device that
it is for. The training set is shuffled per example and per epoch from a seed; the test set never is.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, Unpack

import numpy as np

from alexnet import backends
from alexnet.datasets.files import locate, read, sample_folder, sample_is_named
from alexnet.datasets.known import FASHION_MNIST, MNIST, SAMPLE, Dataset
from alexnet.datasets.resize import ImageTransform, resize_matrix
from alexnet.errors import DataError
from alexnet.spec import Shape

SUBSET = "ALEXNET_SUBSET"
"""Variable that cuts any run down: ``"512:128"`` for 512 training and 128 test examples."""


@dataclass(eq=False)
class ImageLoader:
    """Batches ``(X, y)`` of images and labels, again and again.

    Without a backend, X is NumPy float32 (B, 1, S, S) in [0, 1] and y int64 (B,). With one, they are
    tensors of that framework on ``device``, in its layout (TensorFlow: (B, S, S, 1)).

    Each iteration is the next epoch, with an order of its own if ``shuffle``; ``epoch(n)`` gives the
    n-th, from zero, without counting.

    >>> train_iter, test_iter = load_fashion_mnist(batch_size=128, resize=56, source="sample")
    >>> X, y = next(iter(train_iter))
    >>> X.shape, X.dtype, y.dtype
    ((128, 1, 56, 56), dtype('float32'), dtype('int64'))
    >>> len(train_iter), train_iter.num_examples
    (40, 5000)
    """

    pixels: np.ndarray = field(repr=False)  # uint8 (N, 28, 28)
    labels: np.ndarray = field(repr=False)  # int64 (N,)
    batch_size: int
    transform: ImageTransform = field(repr=False)
    shuffle: bool
    seed: int = 0
    classes: tuple[str, ...] = field(default=(), repr=False)
    backend: str | None = None
    device: Any = None
    first: int | None = None  # stop every epoch after so many batches
    epochs_begun: int = field(default=0, repr=False)

    @property
    def num_examples(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> Shape:
        """(channels, height, width) of an image as a net sees it."""
        matrix = self.transform.matrix
        return (1, len(matrix), len(matrix)) if matrix is not None else (1, *self.pixels.shape[1:])

    def __len__(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        batches = -(-self.num_examples // self.batch_size)
        return batches if self.first is None else min(self.first, batches)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        self.epochs_begun += 1
        return self.epoch(self.epochs_begun - 1)

    def epoch(self, number: int) -> Iterator[tuple[Any, Any]]:
        """The batches of one epoch, counted from zero."""
        backend = backends.load(self.backend or backends.REFERENCE)
        device = backends.resolve_device(backend, self.device)
        order = self.order(number)
        for batch in range(len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            images = backend.images(self.pixels[chosen], self.transform, device)
            yield images, backend.to_tensor(self.labels[chosen], device)

    def order(self, number: int) -> np.ndarray:
        """The examples' numbers in the order in which that epoch shows them: int64 (N,)."""
        if not self.shuffle:
            return np.arange(self.num_examples)
        return np.random.Generator(np.random.PCG64([self.seed, number])).permutation(
            self.num_examples
        )

    def settings(self) -> dict[str, Any]:
        """What decides the batches of an epoch, but for the images, in plain types."""
        t = self.transform
        return {
            "batch_size": int(self.batch_size),
            "image_shape": list(self.image_shape),
            "pixel_mean": t.mean,
            "pixel_std": t.std,
            "order_seed": self.seed if self.shuffle else None,
            "first_batches": self.first,
        }

    def checksum(self) -> str:
        """CRC-32 of the images and labels, in hexadecimal."""
        return checksum(self.pixels, self.labels)

    def on(self, backend: str, device: Any = None) -> ImageLoader:
        """The same batches as tensors of that framework, counting epochs on its own."""
        return replace(self, backend=backend, device=device, epochs_begun=0)


def checksum(images: np.ndarray, labels: np.ndarray) -> str:
    """CRC-32 of images (N, H, W) and their labels (N,), in hexadecimal."""
    return f"{zlib.crc32(labels.astype(np.int64).tobytes(), zlib.crc32(images.tobytes())):08x}"


class LoadOptions(TypedDict, total=False):
    """What the load functions take by name; `load_fashion_mnist` says what each means."""

    root: str | os.PathLike[str] | None
    source: str | None
    backend: str | None
    device: Any
    normalize: bool
    seed: int
    subset: tuple[int, int] | None


def load_fashion_mnist(
    batch_size: int = 128, resize: int | None = 224, **options: Unpack[LoadOptions]
) -> tuple[ImageLoader, ImageLoader]:
    """Fashion-MNIST (60,000 and 10,000 images in ten classes) as ``(train_iter, test_iter)``.

    Parameters
    ----------
    batch_size : examples in a batch, at least 1; the last batch may be smaller.
    resize : pixels a side; None keeps 28×28. Bilinear (see `alexnet.datasets.resize.resize_matrix`).
    root : a folder that holds the four IDX files, plain or .gz. Default: the environment variable
        ALEXNET_DATA; else this library's cache, the folders of torchvision, Keras, MXNet and
        Paddle, Debian's package dataset-fashion-mnist, and at last a download.
    source : ``"sample"`` takes the 5,000 and 1,000 images that come with this package instead; so does
        ALEXNET_DATA=sample.
    backend, device : yield tensors of that framework there; default: NumPy arrays.
    normalize : subtract the training set's mean pixel and divide by its standard deviation.
    seed : of the training set's order, int of at least 0.
    subset : (training, test) examples at most. ALEXNET_SUBSET="512:128" cuts further.

    Raises DataError for bad values, and for files that are missing, damaged or mislabelled.

    Source: https://github.com/zalandoresearch/fashion-mnist

    >>> train_iter, test_iter = load_fashion_mnist(batch_size=32, resize=None, source="sample")
    >>> [X.shape for X, y in test_iter][-1]
    (8, 1, 28, 28)
    """
    return _load(FASHION_MNIST, batch_size, resize, **options)


def load_mnist(
    batch_size: int = 128, resize: int | None = 224, **options: Unpack[LoadOptions]
) -> tuple[ImageLoader, ImageLoader]:
    """MNIST (60,000 and 10,000 handwritten digits) as ``(train_iter, test_iter)``.

    Takes what `load_fashion_mnist` takes, but has no sample.
    """
    return _load(MNIST, batch_size, resize, **options)


def _load(
    dataset: Dataset,
    batch_size: int,
    resize: int | None,
    *,
    root: str | os.PathLike[str] | None = None,
    source: str | None = None,
    backend: str | None = None,
    device: Any = None,
    normalize: bool = False,
    seed: int = 0,
    subset: tuple[int, int] | None = None,
) -> tuple[ImageLoader, ImageLoader]:
    _require_whole("batch_size", batch_size, 1)
    _require_whole("seed", seed, 0)
    if resize is not None:
        _require_whole("resize", resize, 1)
    if backend is not None:
        backends.load(backend)
    if (dataset, source, root) == (FASHION_MNIST, None, None):
        source = "sample" if sample_is_named() else None
    if source not in (None, "sample") or (source and dataset is not FASHION_MNIST):
        raise DataError(f"{dataset.title} has no source {source!r}; Fashion-MNIST has 'sample'")
    if source and root is not None:
        raise DataError(f"source={source!r} and root={str(root)!r} exclude each other")
    folder = sample_folder() if source else locate(dataset, root)
    train_images, train_labels, test_images, test_labels = read(
        SAMPLE if source else dataset, folder
    )
    matrix = resize_matrix(resize, train_images.shape[1]) if resize is not None else None
    scale = (dataset.mean, dataset.std) if normalize else (0.0, 1.0)
    transform = ImageTransform(matrix, *scale)
    train, test = (
        ImageLoader(
            images[:n],
            labels[:n].astype(np.int64),
            int(batch_size),
            transform,
            shuffle,
            int(seed),
            dataset.labels,
            backend,
            device,
        )
        for images, labels, n, shuffle in zip(
            (train_images, test_images),
            (train_labels, test_labels),
            limits(subset),
            (True, False),
            strict=True,
        )
    )
    return train, test


def limits(subset: tuple[int, int] | None) -> tuple[int | None, int | None]:
    """Most training and test examples, from the argument and from the environment."""
    given = [subset] if subset is not None else []
    text = os.environ.get(SUBSET)
    if text:
        parts = text.split(":")
        if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
            raise DataError(
                f"{SUBSET} must be training:test examples, such as 512:128, not {text!r}"
            )
        given.append((int(parts[0]), int(parts[1])))
    for pair in given:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise DataError(f"subset must be (training, test) examples, not {pair!r}")
        for n in pair:
            _require_whole("subset", n, 1)
    train, test = zip(*given, strict=True) if given else ((), ())
    return min(train, default=None), min(test, default=None)


def _require_whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise DataError(f"{name} must be a whole number of at least {least}, not {value!r}")


def label_names(labels: Iterable[int], classes: Sequence[str] = FASHION_MNIST.labels) -> list[str]:
    """The names of numeric labels. Raises DataError for a number that is not a label.

    >>> label_names([0, 9])
    ['t-shirt', 'ankle boot']
    """
    numbers = [int(i) for i in labels]
    for i in numbers:
        if not 0 <= i < len(classes):
            raise DataError(f"there is no label {i}; the labels are 0 to {len(classes) - 1}")
    return [classes[i] for i in numbers]
