"""Makes nets of the frameworks from tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet.backends.calls import Call
from alexnet.backends.devices import device_for_new_net, resolve_device
from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.backends.nets import BoundNet, backend_of, owner, remember_table
from alexnet.backends.registry import DEFAULT, FRAMEWORKS, framework
from alexnet.errors import BackendError, RunError
from alexnet.spec import Dropout, Net, ResolvedNet, Shape, zoo
from alexnet.spec.weights import initial_weights

MASKED = Call("MaskedDropout")  # in place of a framework's own dropout


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
    bound = render(table, module, device_for_new_net(module, device))
    bound.set_weights(initial_weights(table.parameters, seed))
    return bound.net


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
    rows = framework(backend.NAME).calls_of(table)
    if masked:
        for row in table.rows:
            if isinstance(row.layer, Dropout):
                rows[row.index] = [MASKED]
    net = backend.render(table, (call for calls in rows for call in calls), device, dtype)
    remember_table(net, table)
    return BoundNet(net, backend, device, table)


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
    if backend not in (None, module.NAME):
        raise BackendError(f"backend={backend!r} was given, but the net is one of {module.NAME}")
    return BoundNet.on(net, device)


def check_seed(seed: object) -> int:
    """A seed as an int. Raises RunError unless it is a whole number of at least 0."""
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise RunError(f"seed must be a whole number of at least 0, not {seed!r}")
    return int(seed)
