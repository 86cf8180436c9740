"""The wrong predictions of a net with the highest probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet import backends
from alexnet.backends import BoundNet
from alexnet.data import ImageLoader
from alexnet.errors import RunError
from alexnet.insight.predictions import class_names, predict_all
from alexnet.training.loop import Batches, softmax
from alexnet.views.mosaic import image_shape, plot_images
from alexnet.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 3  # mistakes named in words
MOST_DRAWN = 64  # images in one figure


@dataclass(frozen=True, eq=False, repr=False)
class Mistakes(Shown):
    """Wrong predictions, those with the highest probability first. A notebook shows their images."""

    net: str
    images: np.ndarray  # float32 (k, C, H, W) or (k, features), as the net sees them
    labels: np.ndarray  # int64 (k,): the true classes
    predicted: np.ndarray  # int64 (k,): the predicted classes
    probabilities: np.ndarray  # float64 (k,), in [0, 1]: of the predicted classes
    indices: np.ndarray  # int64 (k,): the place of each image in the data set, from 0
    classes: tuple[str, ...]
    wrong: int  # the number of all wrong predictions
    total: int  # the number of all images

    def __len__(self) -> int:
        """Return k, the number of images here."""
        return len(self.labels)

    def __repr__(self) -> str:
        """Return the number of wrong predictions, and the first of them in words."""
        title = f"{self.net}: {self.wrong:,} of {self.total:,} images wrong"
        rows = zip(self.indices, self.labels, self.predicted, self.probabilities, strict=True)
        named = [
            f"{self.classes[true]} predicted as {self.classes[predicted]} ({p:.1%}, image {index})"
            for index, true, predicted, p in list(rows)[:NAMED]
        ]
        return f"{title}\nthe most confident: {', '.join(named)}" if named else title

    def plot(self) -> Figure:
        """Return a figure of the first 64 images, with true class, predicted class and its probability."""
        title = f"{self.net}: {self.wrong:,} of {self.total:,} images wrong"
        images = self.images[:MOST_DRAWN]
        if len(images) < self.wrong:
            title += f", the {len(images)} most confident"
        if images.ndim == 2:  # vectors
            images = images.reshape(-1, *(image_shape(images.shape[1]) or (1, 1, images.shape[1])))
        rows = list(zip(self.labels, self.predicted, self.probabilities, strict=True))
        titles = [
            f"true: {self.classes[true]}\nnet: {self.classes[predicted]}\n{p:.1%}"
            for true, predicted, p in rows[:MOST_DRAWN]
        ]
        return plot_images(images, titles, title)


def mistakes(net: Any, test_iter: Batches, device: Any = None, *, k: int = 16) -> Mistakes:
    """Return the images whose wrong predictions have the highest probabilities. A notebook shows them.

    A prediction is wrong if the class with the highest probability is not the label. The probabilities are
    the softmax of the net's outputs. The wrong predictions with the highest probabilities come first.

    Parameters
    ----------
    net, test_iter, device : as in `alexnet.evaluate`. A net of any framework, also one that you wrote.
    k : the largest number of images to return, at least 1.

    Returns `Mistakes`: NumPy arrays of the images, labels, predictions, probabilities and places. For this
    library's loaders, ``test_iter.pixels[found.indices]`` are the original images; for other iterables, an
    index is the place of the image in the order of the batches.

    Raises DataError if there are no batches or if a label is not a class of the net; RunError for a wrong
    ``k``, and if the output is not (B, classes) or has values that are not finite; BackendError if ``net``
    is not a net, or if the device is unknown.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    >>> found = mistakes(build("lenet", backend="numpy"), test_iter, k=5)
    >>> found.wrong, found.images.shape, found.probabilities.round(2)
    (900, (5, 1, 28, 28), array([0.21, 0.21, 0.21, 0.21, 0.21]))
    """
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise RunError(f"k must be a whole number of at least 1, got {k!r}")
    bound = BoundNet.on(net, device)
    best: list[
        np.ndarray
    ] = []  # probabilities, places, labels, predictions, images: at most k of each
    wrong = total = classes = 0
    for X, logits, labels in predict_all(bound, test_iter):
        classes, predicted = logits.shape[1], logits.argmax(axis=1)  # (B,)
        rows = np.flatnonzero(predicted != labels)  # (wrong ones,)
        images = bound.to_neutral_layout(backends.to_numpy(X)[rows])
        probabilities = softmax(logits[rows]).max(axis=1)
        new = [probabilities, rows + total, labels[rows], predicted[rows], images]
        best = [np.concatenate(pair) for pair in zip(best, new, strict=True)] if best else new
        order = np.argsort(-best[0], kind="stable")[
            :k
        ]  # the first of equal probabilities stays first
        best = [column[order] for column in best]
        wrong, total = wrong + len(rows), total + len(labels)
    probabilities, places, labels, predicted, images = best
    if isinstance(test_iter, ImageLoader):
        places = test_iter.order(0)[places]  # a training set is shuffled
    return Mistakes(
        bound.name,
        images.astype(np.float32),
        labels,
        predicted,
        probabilities,
        places,
        class_names(test_iter, classes),
        wrong,
        total,
    )
