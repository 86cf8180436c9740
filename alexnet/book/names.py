"""Small names that the book's text uses in every column, and that frameworks spell alike."""

from __future__ import annotations

import math
from typing import Any

from alexnet import backends


def numpy(x: Any) -> Any:
    """The tensor's values as a NumPy array, without its gradient."""
    return backends.to_numpy(x)


def size(x: Any) -> int:
    """The number of elements."""
    return math.prod(x.shape)


def reshape(x: Any, *args: Any, **kwargs: Any) -> Any:
    """``x.reshape(…)``."""
    return x.reshape(*args, **kwargs)


def argmax(x: Any, *args: Any, **kwargs: Any) -> Any:
    """``x.argmax(axis)``."""
    return x.argmax(*args, **kwargs)


def reduce_sum(x: Any, *args: Any, **kwargs: Any) -> Any:
    """``x.sum(axis, …)``."""
    return x.sum(*args, **kwargs)


def reduce_mean(x: Any, *args: Any, **kwargs: Any) -> Any:
    """``x.mean(axis, …)``."""
    return x.mean(*args, **kwargs)
