"""Nets of the frameworks: build them from tables, and bind them to a backend and a device."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from alexnet.backends.devices import device_for_new_net, resolve_device
from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.backends.owners import backend_of, owner
from alexnet.backends.registry import DEFAULT, FRAMEWORKS
from alexnet.errors import BackendError, RunError
from alexnet.json_values import LARGEST
from alexnet.spec import Net, ResolvedNet, Shape, zoo
from alexnet.spec.weights import initial_weights

_tables: WeakKeyDictionary[Any, ResolvedNet] = WeakKeyDictionary()


@dataclass(frozen=True)
class BoundNet:
    """A net with its backend, its device and its table (None if this library did not build the net)."""

    native: Any  # the framework's net object
    backend: Backend
    device: Any  # the framework's device object
    table: ResolvedNet | None = None

    @classmethod
    def of(cls, native: Any) -> BoundNet:
        """Bind a net on its current device. Raises BackendError if it is not a net of any framework."""
        backend = backend_of(native)
        return cls(native, backend, backend.device_of(native), table_of(native))

    @classmethod
    def on(cls, native: Any, device: Any) -> BoundNet:
        """Move a net to a device and bind it there. ``device``: as in `alexnet.train_ch6`.

        Raises BackendError for an unknown or missing device, or if it is not a net of any framework.
        """
        backend = backend_of(native)
        own_device = backend.to_device(native, resolve_device(backend, device))
        return cls(native, backend, own_device, table_of(native))

    @classmethod
    def made_from(cls, table: ResolvedNet, native: Any, backend: Backend, device: Any) -> BoundNet:
        """Bind a net that was just rendered. `table_of` returns its table as long as the net exists."""
        _tables[native] = table
        return cls(native, backend, device, table)

    @property
    def name(self) -> str:
        """The name of the table; without a table, the name of the net's class or function."""
        if self.table is not None:
            return self.table.name
        return getattr(self.native, "__name__", type(self.native).__name__)

    def to_tensor(self, X: np.ndarray) -> Any:
        """Return images (B, C, H, W) or vectors (B, features) as a tensor on the net's device.

        The tensor has the framework's layout: images are (B, H, W, C) in TensorFlow.
        """
        return self.backend.to_tensor(self.to_own_layout(X), self.device)

    def to_own_layout(self, values: np.ndarray, image_shape: Shape | None = None) -> np.ndarray:
        """Return values (B, C, H, W) or (B, features) in the framework's layout, contiguous.

        ``image_shape``: (C, H, W) if the features come from flattened images of this shape, else None.
        """
        if self.backend.ENTRY.channels_last:
            if values.ndim == 4:
                values = values.transpose(0, 2, 3, 1)  # (B, H, W, C)
            elif image_shape is not None:
                by_channel = values.reshape(len(values), *image_shape)  # (B, C, H, W)
                values = by_channel.transpose(0, 2, 3, 1).reshape(values.shape)  # (B, H*W*C)
        return np.ascontiguousarray(values)

    def to_neutral_layout(self, values: np.ndarray) -> np.ndarray:
        """Return values (B, ...) in the framework's layout as (B, C, H, W) or (B, features)."""
        if self.backend.ENTRY.channels_last and values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)  # (B, C, H, W)
        return np.ascontiguousarray(values)


def table_of(net: Any) -> ResolvedNet | None:
    """Return the table that a net was built from; None if this library did not build it.

    >>> from alexnet import build
    >>> table_of(build("lenet", backend="numpy")).name
    'lenet'
    """
    try:
        return _tables.get(net)
    except TypeError:  # not a net: Python cannot make a weak reference to this object
        return None


def build(
    model: str | Net,
    backend: str = DEFAULT,
    seed: int = 0,
    *,
    input_shape: Shape | None = None,
    device: Any = None,
) -> Any:
    """Build a net as the framework's sequential model, with initial weights drawn from a seed.

    The result is a plain ``torch.nn.Sequential``, ``mxnet.gluon.nn.HybridSequential``,
    ``keras.Sequential`` or ``paddle.nn.Sequential``; the backend numpy has its own ``Sequential``. Each
    layer of the table becomes one native layer (Keras may add padding layers). The weights are float32
    and the same in every framework, bit for bit.

    Parameters
    ----------
    model : a name in `alexnet.spec.zoo`, or a `Net`.
    backend : numpy, torch, mxnet, tensorflow or paddle.
    seed : seed of the weights (`alexnet.spec.weights.initial_weights`), an int of at least 0.
    input_shape : (channels, height, width); default: the input shape of the table.
    device : as in `train_ch6`; default: the framework's default device. TensorFlow and Paddle use a GPU
        if they find one; the others use the CPU.

    Raises SpecError for an unknown net, and for an input shape that does not fit the layers;
    BackendError for a backend that is unknown or not installed, for a device that it cannot use, and
    for a layer that it does not support; RunError for an invalid seed.

    >>> net = build("lenet", backend="numpy", seed=0)
    >>> net(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    seed = check_seed(seed)
    table = zoo.get(model).resolve(input_shape)
    module = load(backend)
    net = render(table, module, device_for_new_net(module, device)).native
    module.set_weights(net, initial_weights(table.parameters, seed))
    return net


def render(
    table: ResolvedNet,
    backend: Backend,
    device: Any,
    dtype: str = "float32",
) -> BoundNet:
    """Build the framework's sequential model, with the framework's initial weights.

    ``device``: a device object of the framework. ``dtype``: ``"float32"`` or ``"float64"``.
    """
    calls = chain.from_iterable(backend.ENTRY.calls_of(table))
    net = backend.render(table, calls, device, dtype)
    return BoundNet.made_from(table, net, backend, device)


def bind(
    net: Any, backend: str | None = None, device: Any = None, input_shape: Shape | None = None
) -> BoundNet:
    """Bind the net that a user gives to its backend and to a device. Build the net if necessary.

    Parameters
    ----------
    net : a net of any framework; a function that returns a net; or, together with ``backend``, a name
        in `alexnet.spec.zoo` or a `Net`.
    backend : name of the backend. It may be omitted for a net of a framework, and must match that net.
    device : as in `alexnet.train_ch6`.
    input_shape : (channels, height, width) for a table; default: the input shape of the table.

    Raises SpecError for an unknown name, and for an input shape that does not fit the layers;
    BackendError if the backend is missing, unknown, not installed or not the net's backend, or if
    ``net`` is not a net.
    """
    if isinstance(net, str | Net):
        table = zoo.get(net)
        if backend is None:
            raise BackendError(
                f"{table.name} is a table of layers, so backend must name the framework that trains it: "
                f"backend={' or '.join(repr(name) for name in FRAMEWORKS)}"
            )
        resolved, module = table.resolve(input_shape), load(backend)
        return render(resolved, module, resolve_device(module, device))
    if owner(net) is None and callable(net):
        return bind(net(), backend, device, input_shape)
    module = backend_of(net)
    if backend not in (None, module.ENTRY.name):
        raise BackendError(
            f"backend={backend!r} was given, but the net belongs to backend {module.ENTRY.name!r}"
        )
    return BoundNet.on(net, device)


def check_seed(seed: object) -> int:
    """Return ``seed`` as an int. Raises RunError unless it is a whole number of at least 0.

    It must also be smaller than `LARGEST`, so that files with the seed can be read again.
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise RunError(f"seed must be a whole number of at least 0, got {seed!r}")
    if seed >= LARGEST:
        raise RunError(f"seed must be below 2**63, got {seed!r}")
    return int(seed)
