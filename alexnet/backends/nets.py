"""Nets of the frameworks: made from tables, and bound to a backend and a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from alexnet.backends.calls import Call
from alexnet.backends.devices import device_for_new_net, resolve_device
from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.backends.owners import backend_of, owner
from alexnet.backends.registry import DEFAULT, FRAMEWORKS
from alexnet.errors import BackendError, RunError
from alexnet.spec import Dropout, Net, ResolvedNet, Shape, zoo
from alexnet.spec.weights import initial_weights

MASKED = Call("MaskedDropout")  # in place of a framework's own dropout

_tables: WeakKeyDictionary[Any, ResolvedNet] = WeakKeyDictionary()


@dataclass(frozen=True)
class BoundNet:
    """A net of a framework with its backend, its device and, if it was built here, its table."""

    native: Any  # the framework's own
    backend: Backend
    device: Any  # the framework's own
    table: ResolvedNet | None = None

    @classmethod
    def of(cls, native: Any) -> BoundNet:
        """A net where it is. Raises BackendError if it is not a net of any framework."""
        backend = backend_of(native)
        return cls(native, backend, backend.device_of(native), table_of(native))

    @classmethod
    def on(cls, native: Any, device: Any) -> BoundNet:
        """A net that is moved to a device, as `alexnet.train_ch6` takes it. Raises BackendError."""
        backend = backend_of(native)
        where = backend.to_device(native, resolve_device(backend, device))
        return cls(native, backend, where, table_of(native))

    @classmethod
    def made_from(cls, table: ResolvedNet, native: Any, backend: Backend, device: Any) -> BoundNet:
        """A net that was just rendered; `table_of` knows its table as long as the net exists."""
        _tables[native] = table
        return cls(native, backend, device, table)

    @property
    def name(self) -> str:
        """The name of its table; without a table, the name of its class or function."""
        if self.table is not None:
            return self.table.name
        return getattr(self.native, "__name__", type(self.native).__name__)

    def to_tensor(self, X: np.ndarray) -> Any:
        """Images (B, C, H, W) or vectors (B, features) as a batch on its device, in its layout."""
        return self.backend.to_tensor(self.to_own_layout(X), self.device)

    def to_own_layout(self, values: np.ndarray, image_shape: Shape | None = None) -> np.ndarray:
        """Values (B, C, H, W) or (B, features) in the framework's own order.

        ``image_shape``: (C, H, W) of the images that the features were flattened from, if they were.
        """
        if self.backend.ENTRY.channels_last:
            if values.ndim == 4:
                values = values.transpose(0, 2, 3, 1)  # (B, H, W, C)
            elif image_shape is not None:
                by_channel = values.reshape(len(values), *image_shape)  # (B, C, H, W)
                values = by_channel.transpose(0, 2, 3, 1).reshape(values.shape)  # (B, H*W*C)
        return np.ascontiguousarray(values)


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


def build(
    model: str | Net,
    backend: str = DEFAULT,
    seed: int = 0,
    *,
    input_shape: Shape | None = None,
    device: Any = None,
) -> Any:
    """A net as the framework's own sequential model, with initial weights drawn from a seed.

    What comes back is a plain ``torch.nn.Sequential``, ``mxnet.gluon.nn.HybridSequential``,
    ``keras.Sequential`` or ``paddle.nn.Sequential``: one native layer for each layer of the table
    (Keras may add padding layers). The weights are the same in every framework, bit for bit.

    Parameters
    ----------
    model : a name of `alexnet.spec.zoo`, or a `Net`.
    backend : numpy, torch, mxnet, tensorflow or paddle.
    seed : of the weights (`alexnet.spec.weights.initial_weights`), int of at least 0.
    input_shape : (channels, height, width); default: the one that the net is written for.
    device : as in `train_ch6`; default: where the framework itself puts a new net (TensorFlow and
        Paddle on a GPU where there is one, the others on the CPU).

    Raises SpecError for an unknown model, and for an input shape that does not fit its layers;
    BackendError for a backend that is unknown or not installed.

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
    *,
    masked: bool = False,
) -> BoundNet:
    """The framework's own sequential model, with the weights that the framework gives it.

    ``device``: the framework's own. ``masked``: dropout takes its masks from
    `alexnet.backends.dropout_masks` instead of drawing them.
    """
    rows = backend.ENTRY.calls_of(table)
    if masked:
        for row in table.rows:
            if isinstance(row.layer, Dropout):
                rows[row.index] = [MASKED]
    net = backend.render(table, (call for calls in rows for call in calls), device, dtype)
    return BoundNet.made_from(table, net, backend, device)


def bind(
    net: Any, backend: str | None = None, device: Any = None, input_shape: Shape | None = None
) -> BoundNet:
    """Turn what a user gives as a net into a net on a device.

    Parameters
    ----------
    net : a name of `alexnet.spec.zoo`, or a `Net`, with ``backend``; a net of any framework; or a
        function that makes one.
    backend : the name of the framework. A net of a framework has one; another name is refused.
    device : as in `alexnet.train_ch6`.
    input_shape : (channels, height, width) for a table; default: the one that it is written for.

    Raises SpecError for an unknown name, and for an input shape that does not fit the layers; BackendError
    if the framework is not named, not installed or not the net's, or if this is not a net.
    """
    if isinstance(net, str | Net):
        table = zoo.get(net)
        if backend is None:
            raise BackendError(
                f"{table.name} is the name of a table, so say which framework is to train it: "
                f"backend={' or '.join(repr(name) for name in FRAMEWORKS)}"
            )
        resolved, module = table.resolve(input_shape), load(backend)
        return render(resolved, module, resolve_device(module, device))
    if owner(net) is None and callable(net):
        return bind(net(), backend, device, input_shape)
    module = backend_of(net)
    if backend not in (None, module.ENTRY.name):
        raise BackendError(
            f"backend={backend!r} was given, but the net is one of {module.ENTRY.name}"
        )
    return BoundNet.on(net, device)


def check_seed(seed: object) -> int:
    """A seed as an int. Raises RunError unless it is a whole number of at least 0."""
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise RunError(f"seed must be a whole number of at least 0, not {seed!r}")
    return int(seed)
