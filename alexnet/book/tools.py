"""Sums, clocks, labels and right answers, as the book's loops use them."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable
from typing import Any

from alexnet import backends
from alexnet.data import label_names
from alexnet.errors import DataError, RunError


class Accumulator:
    """Sums of ``n`` quantities.

    >>> sums = Accumulator(2)  # right answers, examples
    >>> sums.add(3, 4)
    >>> sums.add(1, 4)
    >>> sums[0] / sums[1]
    0.5
    """

    def __init__(self, n: int) -> None:
        self.data = [0.0] * n

    def add(self, *args: Any) -> None:
        """Add a number, or a tensor with one element, to each sum."""
        if len(args) != len(self.data):
            raise RunError(f"an Accumulator of {len(self.data)} sums was given {len(args)} values")
        self.data = [a + number(b) for a, b in zip(self.data, args, strict=True)]

    def reset(self) -> None:
        """Set every sum to 0."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, idx: int) -> float:
        return self.data[idx]


def number(value: Any) -> float:
    """A number, or the one element of a tensor of any framework."""
    array = backends.to_numpy(value)
    if array.size != 1:
        raise DataError(f"one number is needed here, not a tensor of shape {array.shape}")
    return float(array.item())


class Timer:
    """A stopwatch that remembers its times, in seconds. It runs from the start.

    >>> timer = Timer()
    >>> timer.stop() == timer.sum() == timer.avg()
    True
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start anew."""
        self.tik = time.perf_counter()

    def stop(self) -> float:
        """Remember the time since the start, and return it."""
        self.times.append(time.perf_counter() - self.tik)
        return self.times[-1]

    def avg(self) -> float:
        """The mean of the times."""
        return sum(self.times) / len(self.times)

    def sum(self) -> float:
        """The sum of the times."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """The times added up, one after another."""
        return list(itertools.accumulate(self.times))


def get_fashion_mnist_labels(labels: Iterable[Any]) -> list[str]:
    """The names of numeric labels of Fashion-MNIST: numbers, or a tensor of any framework.

    >>> get_fashion_mnist_labels([0, 9])
    ['t-shirt', 'ankle boot']
    """
    return label_names(backends.to_numpy(labels).reshape(-1))


def accuracy(y_hat: Any, y: Any) -> float:
    """How many predictions are right (a number, not a share).

    ``y_hat``: (B, classes), any scores; or (B,) classes. ``y``: (B,) or (B, 1).

    >>> import numpy as np
    >>> accuracy(np.array([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]]), np.array([0, 2]))
    1.0
    """
    predicted, labels = backends.to_numpy(y_hat), backends.to_numpy(y).reshape(-1)
    if predicted.ndim > 1 and predicted.shape[1] > 1:
        predicted = predicted.argmax(axis=1)
    return float((predicted.reshape(-1) == labels).sum())


# --- convolution ----------------------------------------------------------------------------------


def corr2d(X: Any, K: Any) -> Any:
    """Two-dimensional cross-correlation of a matrix X (H, W) with a kernel K (h, w).

    Both are tensors of one framework, and so is what comes back: (H - h + 1, W - w + 1). Gradients
    flow to both.

    >>> import numpy as np
    >>> corr2d(np.arange(9.0).reshape(3, 3), np.array([[0.0, 1.0], [2.0, 3.0]]))
    array([[19., 25.],
           [37., 43.]])
    """
    if len(X.shape) != 2 or len(K.shape) != 2:
        raise DataError(f"corr2d: needs two matrices, not {tuple(X.shape)} and {tuple(K.shape)}")
    (height, width), (h, w) = X.shape, K.shape
    rows, columns = height - h + 1, width - w + 1
    if rows < 1 or columns < 1:
        raise DataError(
            f"corr2d: the kernel ({h}, {w}) is larger than the input ({height}, {width})"
        )
    return sum(
        K[i, j] * X[i : i + rows, j : j + columns] for i in range(h) for j in range(w)
    )  # one term for each of the kernel's places, so that every framework can follow it


# --- processes ------------------------------------------------------------------------------------


def get_dataloader_workers() -> int:
    """How many processes a reader's own DataLoader may use: 4, or the cores if they are fewer.

    None outside Linux, where each would have to import the notebook anew.

    >>> 0 <= get_dataloader_workers() <= 4
    True
    """
    return min(4, backends.usable_cores()) if sys.platform == "linux" else 0
