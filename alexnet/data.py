"""Fashion-MNIST and MNIST in mini-batches, the same for every framework.

Images stay in memory as uint8 28×28. Each batch is resized on its device when the batch is requested.
The training set is shuffled in each epoch; the order depends on the seed and the epoch. The test set is
never shuffled.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import getitem
from typing import Any, TypedDict, Unpack

import numpy as np

from alexnet import backends
from alexnet.datasets.augment import Augmentation
from alexnet.datasets.files import locate, read, sample_folder, sample_is_named
from alexnet.datasets.known import FASHION_MNIST, MNIST, SAMPLE, Dataset
from alexnet.datasets.resize import ImageTransform, resize_matrix
from alexnet.errors import DataError
from alexnet.spec import Shape

SUBSET = "ALEXNET_SUBSET"
"""Environment variable that limits every run: ``"512:128"`` means 512 training and 128 test examples."""


@dataclass(eq=False)
class ImageLoader:
    """An iterable over batches ``(X, y)`` of images and labels.

    Without a backend, X is a NumPy array, float32 (B, 1, S, S), and y is int64 (B,). X is in [0, 1]
    unless the loader normalises. With a backend, X and y are tensors of that framework on ``device``,
    in the framework's layout (TensorFlow: (B, S, S, 1)).

    Each call of ``iter(loader)`` starts the next epoch. If ``shuffle`` is True, each epoch has a new order.
    ``epoch(n)`` returns epoch n (the first is 0). It does not change which epoch comes next.

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
    max_batches: int | None = None  # the largest number of batches in an epoch; None: no limit
    epochs_begun: int = field(default=0, repr=False)
    flip: bool = False  # these two augment the images: see `load_fashion_mnist`
    crop: int = 0
    on_device: Any = field(default=None, init=False, repr=False)  # pixels and labels on a GPU

    @property
    def num_examples(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def image_shape(self) -> Shape:
        """The shape (channels, height, width) of an image after resizing."""
        matrix = self.transform.matrix
        return (1, len(matrix), len(matrix)) if matrix is not None else (1, *self.pixels.shape[1:])

    def __len__(self) -> int:
        """Return the number of batches in an epoch. The last batch may be smaller."""
        batches = -(-self.num_examples // self.batch_size)
        return batches if self.max_batches is None else min(self.max_batches, batches)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        self.epochs_begun += 1
        return self.epoch(self.epochs_begun - 1)

    def epoch(
        self, number: int, rows: Callable[[int], slice] | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the batches of epoch ``number``, counted from zero.

        ``rows(n)`` returns the rows that one process of a data-parallel run computes in a batch of n
        examples. The loader then yields the images of these rows with the labels of the whole batch.
        """
        backend = backends.load(self.backend or backends.REFERENCE)
        device = backends.resolve_device(backend, self.device)
        order: Any = self.order(number)
        augment, pixels, labels, take = self.augmentation(number), self.pixels, self.labels, getitem
        if backends.is_gpu(backend, device) and not (self.flip or self.crop):
            # All images are on the GPU (47 MB for 60,000), so no batch waits for a copy.
            if self.on_device is None:
                arrays = pixels.copy(), labels  # PyTorch warns of an array that is not writable
                self.on_device = tuple(backend.to_tensor(array, device) for array in arrays)
            (pixels, labels), take = self.on_device, backend.take
            order = backend.to_tensor(order, device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            whole = slice(start, min(start + self.batch_size, self.num_examples))
            part = whole
            if rows is not None:
                own = rows(whole.stop - start)
                part = slice(start + own.start, start + own.stop)
            batch = augment.apply(take(pixels, order[part]), part)  # uint8 (B, 28, 28)
            images = backend.images(batch, self.transform, device)
            yield images, backend.to_tensor(take(labels, order[whole]), device)

    def order(self, number: int) -> np.ndarray:
        """Return the indices of the examples in the order of epoch ``number``: int64 (N,)."""
        if not self.shuffle:
            return np.arange(self.num_examples)
        return np.random.Generator(np.random.PCG64([self.seed, number])).permutation(
            self.num_examples
        )

    def augmentation(self, number: int) -> Augmentation:
        """Return the flips and shifts of epoch ``number``, in the order of its examples."""
        return Augmentation.draw(self.num_examples, self.seed, number, self.flip, self.crop)

    def settings(self) -> dict[str, Any]:
        """Return the settings that determine the batches, in plain types. Images are not included."""
        t = self.transform
        return {
            "batch_size": int(self.batch_size),
            "image_shape": list(self.image_shape),
            "pixel_mean": t.mean,
            "pixel_std": t.std,
            "order_seed": self.seed if self.shuffle else None,
            "first_batches": self.max_batches,
            "flip": self.flip,
            "crop": int(self.crop),
        }

    def checksum(self) -> str:
        """Return the CRC-32 of the images and labels, in hexadecimal."""
        return checksum(self.pixels, self.labels)

    def on(self, backend: str, device: Any = None) -> ImageLoader:
        """Return a new loader with the same batches, as tensors of ``backend``. It starts at epoch 0."""
        return replace(self, backend=backend, device=device, epochs_begun=0)


def checksum(images: np.ndarray, labels: np.ndarray) -> str:
    """Return the CRC-32 of images (N, H, W) and their labels (N,), in hexadecimal."""
    return f"{zlib.crc32(labels.astype(np.int64).tobytes(), zlib.crc32(images.tobytes())):08x}"


class LoadOptions(TypedDict, total=False):
    """The keyword arguments of the load functions, explained in `load_fashion_mnist`."""

    root: str | os.PathLike[str] | None
    source: str | None
    backend: str | None
    device: Any
    normalize: bool
    seed: int
    subset: tuple[int, int] | None
    flip: bool
    crop: int


def load_fashion_mnist(
    batch_size: int = 128, resize: int | None = 224, **options: Unpack[LoadOptions]
) -> tuple[ImageLoader, ImageLoader]:
    """Return Fashion-MNIST as ``(train_iter, test_iter)``: 60,000 and 10,000 images in ten classes.

    Parameters
    ----------
    batch_size : examples in a batch, at least 1; the last batch may be smaller.
    resize : pixels per side; None keeps 28×28. Bilinear (see `alexnet.datasets.resize.resize_matrix`).
    root : folder with the four IDX files, plain or .gz. Missing files are downloaded into it. The default
        is the environment variable ALEXNET_DATA. If that is not set, the loader searches its cache, the
        folders of torchvision, Keras, MXNet and Paddle, and Debian's package dataset-fashion-mnist. If no
        folder has all files, it downloads them into its cache.
    source : ``"sample"`` selects the 5,000 and 1,000 images in this package. ALEXNET_DATA=sample does
        the same.
    backend, device : yield tensors of this framework on this device. Default: NumPy arrays.
    normalize : subtract the mean of the training pixels and divide by their standard deviation.
    seed : seed of the order of the training set, an int of at least 0.
    subset : use at most this many (training, test) examples. If ALEXNET_SUBSET="512:128" is set too, the
        smaller number applies.
    flip : mirror each training image left to right with probability 1/2.
    crop : pad each training image with this many black pixels on every side, and cut it to its old size at
        a random place; at least 0 and below 28. NumPy draws the flips and crops of an epoch from the seed
        and the epoch, so they are the same in every framework. Both come before the resize. The test images
        do not change.

    Raises DataError for wrong arguments and for files that are missing, damaged or mislabelled;
    BackendError for a backend that is unknown or cannot be loaded.

    Source: https://github.com/zalandoresearch/fashion-mnist

    >>> train_iter, test_iter = load_fashion_mnist(batch_size=32, resize=None, source="sample")
    >>> [X.shape for X, y in test_iter][-1]
    (8, 1, 28, 28)
    """
    return _load(FASHION_MNIST, batch_size, resize, **options)


def load_mnist(
    batch_size: int = 128, resize: int | None = 224, **options: Unpack[LoadOptions]
) -> tuple[ImageLoader, ImageLoader]:
    """Return MNIST as ``(train_iter, test_iter)``: 60,000 and 10,000 handwritten digits.

    Arguments and errors are the same as for `load_fashion_mnist`, but MNIST has no sample. Source: LeCun,
    Bottou, Bengio & Haffner, 1998.
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
    flip: bool = False,
    crop: int = 0,
) -> tuple[ImageLoader, ImageLoader]:
    _require_integer("batch_size", batch_size, 1)
    _require_integer("seed", seed, 0)
    _require_integer("crop", crop, 0)
    if not isinstance(flip, bool):
        raise DataError(f"flip must be True or False, got {flip!r}")
    if resize is not None:
        _require_integer("resize", resize, 1)
    if backend is not None:
        backends.load(backend)
    if (dataset, source, root) == (FASHION_MNIST, None, None):
        source = "sample" if sample_is_named() else None
    if source not in (None, "sample") or (source and dataset is not FASHION_MNIST):
        raise DataError(f"{dataset.title} has no source {source!r}; Fashion-MNIST has 'sample'")
    if source and root is not None:
        raise DataError(f"source={source!r} and root={str(root)!r} cannot be used together")
    folder = sample_folder() if source else locate(dataset, root)
    train_images, train_labels, test_images, test_labels = read(
        SAMPLE if source else dataset, folder
    )
    if crop >= train_images.shape[1]:
        raise DataError(f"crop must be less than {train_images.shape[1]} pixels, got {crop}")
    matrix = resize_matrix(resize, train_images.shape[1]) if resize is not None else None
    mean, std = (dataset.mean, dataset.std) if normalize else (0.0, 1.0)
    transform = ImageTransform(matrix, mean, std)
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
            example_limits(subset),
            (True, False),
            strict=True,
        )
    )
    return replace(train, flip=flip, crop=int(crop)), test


def example_limits(subset: tuple[int, int] | None) -> tuple[int | None, int | None]:
    """Return the largest numbers of training and test examples that ``subset`` and ALEXNET_SUBSET allow.

    None means no limit. Raises DataError for a value that is not a pair of positive whole numbers.
    """
    given = [subset] if subset is not None else []
    text = os.environ.get(SUBSET)
    if text:
        parts = text.split(":")
        if len(parts) != 2 or not all(p.isdigit() and int(p) > 0 for p in parts):
            raise DataError(
                f"{SUBSET} must be training:test examples, such as 512:128, got {text!r}"
            )
        given.append((int(parts[0]), int(parts[1])))
    for pair in given:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise DataError(f"subset must be (training, test) examples, got {pair!r}")
        for n in pair:
            _require_integer("subset", n, 1)
    train, test = zip(*given, strict=True) if given else ((), ())
    return min(train, default=None), min(test, default=None)


def _require_integer(name: str, value: object, least: int) -> None:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise DataError(f"{name} must be a whole number of at least {least}, got {value!r}")


def label_names(labels: Iterable[int], classes: Sequence[str] = FASHION_MNIST.labels) -> list[str]:
    """Return the names of numeric labels. Raises DataError for a label that is not a class.

    >>> label_names([0, 9])
    ['t-shirt', 'ankle boot']
    """
    numbers = [int(i) for i in labels]
    for i in numbers:
        if not 0 <= i < len(classes):
            raise DataError(f"labels must be from 0 to {len(classes) - 1}, got {i}")
    return [classes[i] for i in numbers]
