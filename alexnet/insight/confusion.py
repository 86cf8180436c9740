"""How often a net predicts one class instead of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.backends import BoundNet
from alexnet.insight.predictions import class_names, predict_all
from alexnet.training.loop import Batches
from alexnet.views.matrix import plot_matrix
from alexnet.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 3  # confusions named in words


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Shown):
    """A confusion matrix: how many images of each class got which answer. A notebook shows it as a picture.

    >>> found = Confusion("mine", np.array([[6, 2], [1, 3]]), ("cat", "dog"))
    >>> found.accuracy, found.recall, found.precision.round(3)
    (0.75, array([0.75, 0.75]), array([0.857, 0.6  ]))
    >>> found
    mine on 12 images: accuracy 0.750
    most frequent errors: cat predicted as dog (2), dog predicted as cat (1)
    """

    net: str
    counts: (
        np.ndarray
    )  # int64 (classes, classes): rows are the true classes, columns the predicted ones
    classes: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """The fraction of images with a correct prediction, in [0, 1], as `alexnet.evaluate` returns it."""
        return float(self.counts.trace() / self.counts.sum())

    @property
    def recall(self) -> np.ndarray:
        """The accuracy of each class: the share of its images that the net recognises.

        float64 (classes,), in [0, 1]; NaN for a class without images.
        """
        return _divide(self.counts.diagonal(), self.counts.sum(axis=1))

    @property
    def precision(self) -> np.ndarray:
        """The share of correct predictions among all predictions of each class.

        float64 (classes,), in [0, 1]; NaN for a class that the net never predicts.
        """
        return _divide(self.counts.diagonal(), self.counts.sum(axis=0))

    def __repr__(self) -> str:
        """Return the accuracy and the most frequent errors."""
        title = f"{self.net} on {self.counts.sum():,} images: accuracy {self.accuracy:.3f}"
        errors = self.counts - np.diag(self.counts.diagonal())
        frequent = np.argsort(-errors, axis=None, kind="stable")[:NAMED]
        places = [divmod(int(n), len(errors)) for n in frequent if errors.flat[n]]
        named = [
            f"{self.classes[true]} predicted as {self.classes[predicted]} ({errors[true, predicted]:,})"
            for true, predicted in places
        ]
        return f"{title}\nmost frequent errors: {', '.join(named)}" if named else title

    def plot(self) -> Figure:
        """Return a figure of the matrix, with recall and precision of each class."""
        return plot_matrix(
            self.counts,
            self.classes,
            self.recall,
            self.precision,
            f"{self.net} on {self.counts.sum():,} images: accuracy {self.accuracy:.3f}",
        )


def confusion(net: Any, test_iter: Batches, device: Any = None) -> Confusion:
    """Return how often a net predicts one class instead of another. A notebook shows it as a picture.

    ``net``, ``test_iter`` and ``device`` are as in `alexnet.evaluate`: a net of any framework, also one
    that you wrote, and a loader or another iterable of batches. This library's loaders have names for the
    classes; elsewhere the names are numbers.

    Returns `Confusion`. Its ``counts`` are int64 (classes, classes): the rows are the true classes, the
    columns the predicted classes.

    Raises DataError if there are no batches or if a label is not a class of the net; RunError if the output
    is not (B, classes) or has values that are not finite; BackendError if ``net`` is not a net, or if the
    device is unknown.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    >>> found = confusion(build("lenet", backend="numpy"), test_iter)
    >>> found.counts.shape, int(found.counts.sum()), found.accuracy
    ((10, 10), 1000, 0.1)
    """
    bound = BoundNet.on(net, device)
    counts = np.zeros((0, 0), np.int64)
    for _, logits, labels in predict_all(bound, test_iter):
        counts = counts if len(counts) else np.zeros((logits.shape[1],) * 2, np.int64)
        np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    return Confusion(bound.name, counts, class_names(test_iter, len(counts)))


def _divide(some: np.ndarray, all_of_them: np.ndarray) -> np.ndarray:
    """Return the quotients of counts: float64, NaN where there is nothing to count."""
    return np.divide(some, all_of_them, out=np.full(len(some), np.nan), where=all_of_them > 0)
