"""Evaluation mode for a prediction in the middle of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def evaluating(net: Any, layers: Iterable[Any]) -> Iterator[None]:
    """Switch a net to evaluation mode inside the ``with`` block; then restore each layer's mode.

    ``layers``: all layers of the net. For frameworks whose layers have ``training`` and ``eval()``.
    """
    in_training = [layer for layer in layers if layer.training]
    net.eval()
    try:
        yield
    finally:
        for layer in in_training:
            layer.training = True
