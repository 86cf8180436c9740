"""Short functions of the book's library that are the same for several frameworks."""

from __future__ import annotations

import math
from typing import Any

from alexnet import backends


def numpy(x: Any) -> Any:
    """Return the tensor's values as a NumPy array, without its gradient."""
    return backends.to_numpy(x)


def size(x: Any) -> int:
    """Return the number of elements."""
    return math.prod(x.shape)


def reshape(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return ``x.reshape(…)``."""
    return x.reshape(*args, **kwargs)


def argmax(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return ``x.argmax(axis)``."""
    return x.argmax(*args, **kwargs)


def reduce_sum(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return ``x.sum(axis, …)``."""
    return x.sum(*args, **kwargs)


def reduce_mean(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return ``x.mean(axis, …)``."""
    return x.mean(*args, **kwargs)
