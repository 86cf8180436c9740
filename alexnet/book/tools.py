"""Sums, timers, labels and accuracy for the book's loops, and cross-correlation."""

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

    >>> sums = Accumulator(2)  # correct predictions, examples
    >>> sums.add(3, 4)
    >>> sums.add(1, 4)
    >>> sums[0] / sums[1]
    0.5
    """

    def __init__(self, n: int) -> None:
        self.data = [0.0] * n

    def add(self, *args: Any) -> None:
        """Add one value to each sum: a number, or a tensor with one element.

        Raises RunError if there is not one value for each sum.
        """
        if len(args) != len(self.data):
            raise RunError(f"Accumulator.add: must get {len(self.data)} values, got {len(args)}")
        self.data = [a + number(b) for a, b in zip(self.data, args, strict=True)]

    def reset(self) -> None:
        """Set every sum to 0."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, idx: int) -> float:
        return self.data[idx]


def number(value: Any) -> float:
    """Return a number, or the only element of a tensor of any framework, as a float."""
    array = backends.to_numpy(value)
    if array.size != 1:
        raise DataError(f"value must be one number, got a tensor of shape {array.shape}")
    return float(array.item())


class Timer:
    """A stopwatch that stores its times, in seconds. It starts when it is created.

    >>> timer = Timer()
    >>> timer.stop() == timer.sum() == timer.avg()
    True
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start the stopwatch again."""
        self.tik = time.perf_counter()

    def stop(self) -> float:
        """Store the time since the start, and return it."""
        self.times.append(time.perf_counter() - self.tik)
        return self.times[-1]

    def avg(self) -> float:
        """Return the mean of the stored times."""
        return sum(self.times) / len(self.times)

    def sum(self) -> float:
        """Return the sum of the stored times."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """Return the cumulative sums of the stored times."""
        return list(itertools.accumulate(self.times))


def get_fashion_mnist_labels(labels: Iterable[Any]) -> list[str]:
    """Return the names of Fashion-MNIST labels, which are numbers or a tensor of any framework.

    >>> get_fashion_mnist_labels([0, 9])
    ['t-shirt', 'ankle boot']
    """
    return label_names(backends.to_numpy(labels).reshape(-1))


def accuracy(y_hat: Any, y: Any) -> float:
    """Return the number of correct predictions, not a fraction.

    ``y_hat``: scores (B, classes), or predicted labels (B,). ``y``: labels (B,) or (B, 1).

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
    """Return the two-dimensional cross-correlation of a matrix X (H, W) and a kernel K (h, w).

    X and K are tensors of one framework. The result is a tensor of the same framework,
    (H - h + 1, W - w + 1). Gradients flow to X and K. Raises DataError for shapes that do not fit.

    >>> import numpy as np
    >>> corr2d(np.arange(9.0).reshape(3, 3), np.array([[0.0, 1.0], [2.0, 3.0]]))
    array([[19., 25.],
           [37., 43.]])
    """
    if len(X.shape) != 2 or len(K.shape) != 2:
        raise DataError(
            f"corr2d: X and K must be matrices, got {tuple(X.shape)} and {tuple(K.shape)}"
        )
    (height, width), (h, w) = X.shape, K.shape
    rows, columns = height - h + 1, width - w + 1
    if rows < 1 or columns < 1:
        raise DataError(
            f"corr2d: the kernel must fit into the input ({height}, {width}), got ({h}, {w})"
        )
    # One term for each element of the kernel: every framework can differentiate this sum.
    return sum(K[i, j] * X[i : i + rows, j : j + columns] for i in range(h) for j in range(w))


# --- processes ------------------------------------------------------------------------------------


def get_dataloader_workers() -> int:
    """Return how many processes the reader's own DataLoader may use: 4, or fewer on fewer cores.

    Return 0 outside Linux, where each process would import the notebook again.

    >>> 0 <= get_dataloader_workers() <= 4
    True
    """
    return min(4, backends.usable_cores()) if sys.platform == "linux" else 0
