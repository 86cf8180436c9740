"""Nets of any framework: their backend, device, table and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from alexnet.backends.devices import resolve_device
from alexnet.backends.entry import Framework
from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.backends.registry import FRAMEWORKS, framework
from alexnet.errors import BackendError
from alexnet.spec import ResolvedNet, Shape
from alexnet.spec.weights import Weights, check_weights

_tables: WeakKeyDictionary[Any, ResolvedNet] = WeakKeyDictionary()


@dataclass(frozen=True)
class BoundNet:
    """A net of a framework with its backend, its device and, if it was built here, its table."""

    net: Any
    backend: Backend
    device: Any
    table: ResolvedNet | None = None

    @classmethod
    def of(cls, net: Any) -> BoundNet:
        """A net where it is. Raises BackendError if it is not a net of any framework."""
        backend = backend_of(net)
        return cls(net, backend, backend.device_of(net), table_of(net))

    @classmethod
    def on(cls, net: Any, device: Any) -> BoundNet:
        """A net that is moved to a device, as `alexnet.train_ch6` takes it. Raises BackendError."""
        backend = backend_of(net)
        where = backend.to_device(net, resolve_device(backend, device))
        return cls(net, backend, where, table_of(net))

    @property
    def name(self) -> str:
        """The name of its table; without a table, the name of its class or function."""
        if self.table is not None:
            return self.table.name
        return getattr(self.net, "__name__", type(self.net).__name__)

    @property
    def framework(self) -> Framework:
        """The registry's entry."""
        return framework(self.backend.NAME)

    def get_weights(self) -> Weights:
        """Copies of its arrays in the neutral layout."""
        return self.backend.get_weights(self.net)

    def set_weights(self, weights: Weights) -> None:
        """Set all arrays. Keys and shapes are not checked here."""
        self.backend.set_weights(self.net, weights)

    def seed(self, number: int) -> None:
        """Seed what its framework draws in training: dropout."""
        self.backend.seed(self.net, number)

    def predict(self, X: Any) -> Any:
        """Logits (B, classes) of a batch on its device, as a tensor of the framework."""
        return self.backend.predict(self.net, X)

    def to_tensor(self, X: np.ndarray) -> Any:
        """Images (B, C, H, W) or vectors (B, features) as a batch on its device, in its layout."""
        return self.backend.to_tensor(self.to_own_layout(X), self.device)

    def to_own_layout(self, values: np.ndarray, image_shape: Shape | None = None) -> np.ndarray:
        """Values (B, C, H, W) or (B, features) in the framework's own order.

        ``image_shape``: (C, H, W) of the images that the features were flattened from, if they were.
        """
        if self.framework.channels_last:
            if values.ndim == 4:
                values = values.transpose(0, 2, 3, 1)  # (B, H, W, C)
            elif image_shape is not None:
                by_channel = values.reshape(len(values), *image_shape)  # (B, C, H, W)
                values = by_channel.transpose(0, 2, 3, 1).reshape(values.shape)  # (B, H*W*C)
        return np.ascontiguousarray(values)


def remember_table(net: Any, table: ResolvedNet) -> None:
    """Keep in mind which table a net was made from, as long as the net is there."""
    _tables[net] = table


def table_of(net: Any) -> ResolvedNet | None:
    """The table that a net was made from; None if it was not made here.

    >>> from alexnet import build
    >>> table_of(build("lenet", backend="numpy")).name
    'lenet'
    """
    try:
        return _tables.get(net)
    except TypeError:  # it is not a net: no weak reference to it is possible
        return None


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
