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
