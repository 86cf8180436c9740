"""Find the framework of a net or a tensor; read and set the arrays of a net of any framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.backends.registry import FRAMEWORKS
from alexnet.errors import BackendError, WeightsError, last_line
from alexnet.spec.weights import Weights, check_weights


def owner(net: object) -> str | None:
    """Return the name of the backend that a net belongs to; None if the object is not a net.

    The classes of the object and their base classes decide.

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
    """Return the backend that a net belongs to. Raises BackendError if it is not a net of any framework."""
    name = owner(net)
    if name is None:
        raise BackendError(
            f"{type(net).__name__} is not a net of {', '.join(f.title for f in FRAMEWORKS.values())}"
        )
    return load(name)


def to_numpy(values: Any) -> np.ndarray:
    """Return the values of a tensor of any framework, on any device, or of anything that NumPy accepts.

    >>> to_numpy([[1, 2]]).shape
    (1, 2)
    """
    for cls in type(values).__mro__:
        for entry in FRAMEWORKS.values():
            if entry.owns(cls):
                return load(entry.name).to_numpy(values)
    return np.asarray(values)


def get_weights(net: object) -> Weights:
    """Return copies of the arrays of a net of any framework, in the neutral layout.

    The neutral layout is described in `alexnet.spec.weights`: a convolution's weight is
    (out, in / groups, height, width), a dense layer's weight is (out, in).

    Raises BackendError if ``net`` is not a net of any framework, and WeightsError if it has no arrays yet.

    >>> from alexnet import build
    >>> get_weights(build("lenet", backend="numpy"))["3.weight"].shape
    (16, 6, 5, 5)
    """
    backend = backend_of(net)
    try:
        return backend.get_weights(net)
    except Exception as error:  # frameworks fail in many ways
        raise WeightsError(
            f"cannot read the arrays of this {type(net).__name__}; some nets have no arrays before their "
            f"first call on a batch ({last_line(error)})"
        ) from None


def set_weights(net: object, weights: Weights) -> None:
    """Set all arrays of a net of any framework from the neutral layout. Values are cast to its dtypes.

    Raises WeightsError, and changes nothing, unless ``weights`` has exactly the keys and shapes of the
    net and all values are finite; BackendError if ``net`` is not a net of any framework.

    >>> from alexnet import build
    >>> source, net = (build("lenet", backend="numpy", seed=seed) for seed in (1, 2))
    >>> set_weights(net, get_weights(source))
    >>> bool((get_weights(net)["0.weight"] == get_weights(source)["0.weight"]).all())
    True
    """
    backend = backend_of(net)
    own = backend.get_weights(net)
    check_weights(weights, {key: w.shape for key, w in own.items()}, type(net).__name__)
    backend.set_weights(net, {key: np.asarray(weights[key], w.dtype) for key, w in own.items()})
