"""What a net of any framework predicts for the images of a loader."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from alexnet.backends import BoundNet
from alexnet.data import ImageLoader
from alexnet.errors import RunError
from alexnet.train import check_classes, epochs_on
from alexnet.training.loop import Batches, predictions


def predict(net: Any, data_iter: Batches, device: Any = None) -> np.ndarray:
    """Return the logits of a net for all images of ``data_iter``: (images, classes), in their order.

    ``argmax(axis=1)`` gives the predicted classes. A loader's test images are never shuffled, so the logits
    of several nets can be compared line by line.

    ``net``, ``data_iter`` and ``device`` are as in `alexnet.evaluate`: a net of any framework, also one
    that you wrote, and a loader or another iterable of batches.

    Raises DataError if there are no batches or if a label is not a class of the net; RunError if the output
    is not (B, classes) or has values that are not finite; BackendError if ``net`` is not a net, or if the
    device is unknown.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    >>> predict(build("lenet", backend="numpy"), test_iter).shape
    (1000, 10)
    """
    bound = BoundNet.on(net, device)
    return np.concatenate([logits for _, logits, _ in predict_all(bound, data_iter)])


def predict_all(net: BoundNet, data_iter: Batches) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield X, the logits (B, classes) and the labels (B,) of each batch.

    X is a tensor on the net's device, in the framework's layout. The others are NumPy arrays.

    Raises DataError if there are no batches or if a label is not a class of the net; RunError if the output
    is not (B, classes) or has values that are not finite.
    """
    predict = partial(net.backend.predict, net.native)
    seen = 0
    for X, logits, labels in predictions(predict, epochs_on(data_iter, net)(0)):
        check_classes(net.name, logits.shape, labels, "test")
        finite = np.isfinite(logits).all(axis=1)  # (B,)
        if not finite.all():
            raise RunError(
                f"{net.name}: the outputs for image {seen + finite.argmin()} are not finite, so the net "
                "predicts no class; its training may have diverged"
            )
        seen += len(labels)
        yield X, logits, labels


def class_names(data_iter: Batches, count: int) -> tuple[str, ...]:
    """Return names for ``count`` classes: the names of this library's loaders, and numbers elsewhere."""
    names = data_iter.classes[:count] if isinstance(data_iter, ImageLoader) else ()
    return (*names, *map(str, range(len(names), count)))
