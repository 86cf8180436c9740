"""Prediction in the middle of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def evaluating(net: Any, layers: Iterable[Any]) -> Iterator[None]:
    """Put a net into evaluation; afterwards, those of its layers that were in training are again.

    For frameworks whose layers have ``training`` and ``eval()``.
    """
    in_training = [layer for layer in layers if layer.training]
    net.eval()
    try:
        yield
    finally:
        for layer in in_training:
            layer.training = True
