"""Whose a net or a tensor is, by its classes; and what a net holds, whichever framework it is of."""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.backends.registry import FRAMEWORKS
from alexnet.errors import BackendError
from alexnet.spec.weights import Weights, check_weights


def owner(net: object) -> str | None:
    """The name of the backend that a net belongs to, by its classes; None if it is not a net.

    >>> from alexnet import build
    >>> owner(build("lenet", backend="numpy"))
    'numpy'
    """
    for cls in type(net).__mro__:
        for entry in FRAMEWORKS.values():
            if cls.__name__ == entry.net_class and entry.owns(cls):
                return entry.name
    return None


def backend_of(net: object) -> Backend:
    """The backend that a net belongs to. Raises BackendError if it is not a net of any framework."""
    name = owner(net)
    if name is None:
        raise BackendError(
            f"{type(net).__name__} is not a net of {', '.join(f.title for f in FRAMEWORKS.values())}"
        )
    return load(name)


def to_numpy(values: Any) -> np.ndarray:
    """The values of a tensor of any framework, wherever it lies, or of anything that NumPy reads.

    >>> to_numpy([[1, 2]]).shape
    (1, 2)
    """
    for cls in type(values).__mro__:
        for entry in FRAMEWORKS.values():
            if entry.owns(cls):
                return load(entry.name).to_numpy(values)
    return np.asarray(values)


def get_weights(net: object) -> Weights:
    """Copies of a net's arrays in the neutral layout, whichever framework it is of.

    >>> from alexnet import build
    >>> get_weights(build("lenet", backend="numpy"))["3.weight"].shape
    (16, 6, 5, 5)
    """
    return backend_of(net).get_weights(net)


def set_weights(net: object, weights: Weights) -> None:
    """Set all arrays of a net, whichever framework it is of, from the neutral layout.

    Raises WeightsError, before anything is set, unless keys and shapes are the net's own and all
    values are finite.
    """
    backend = backend_of(net)
    own = backend.get_weights(net)
    check_weights(weights, {key: w.shape for key, w in own.items()}, type(net).__name__)
    backend.set_weights(net, {key: np.asarray(weights[key], w.dtype) for key, w in own.items()})
