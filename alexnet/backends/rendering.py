"""Frameworks' nets made from tables, and the table that each was made from."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from alexnet import backends
from alexnet.errors import RunError
from alexnet.spec import Net, ResolvedNet, Shape, zoo
from alexnet.spec.weights import initial_weights

_tables: WeakKeyDictionary[Any, ResolvedNet] = WeakKeyDictionary()


def build(
    model: str | Net,
    backend: str = "torch",
    seed: int = 0,
    *,
    input_shape: Shape | None = None,
    device: Any = None,
) -> Any:
    """A net as the framework's own sequential model, with initial weights drawn from a seed.

    What comes back is a plain ``torch.nn.Sequential``, ``mxnet.gluon.nn.HybridSequential``,
    ``keras.Sequential`` or ``paddle.nn.Sequential``: one native layer for each layer of the table
    (Keras: and padding layers). The weights are the same in every framework, bit for bit.

    Parameters
    ----------
    model : a name of `alexnet.spec.zoo`, or a `Net`.
    backend : numpy, torch, mxnet, tensorflow or paddle.
    seed : of the weights (`alexnet.spec.weights.initial_weights`), int of at least 0.
    input_shape : (channels, height, width); default: the one that the net is written for.
    device : as in `train_ch6`; default: where the framework itself puts a new net (TensorFlow and
        Paddle on a GPU where there is one, the others on the CPU).

    Raises SpecError for an unknown model or a shape that does not pass; BackendError for a backend
    that is unknown or not installed.

    >>> net = build("lenet", backend="numpy", seed=0)
    >>> net(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    seed = check_seed(seed)
    table = zoo.get(model).resolve(input_shape)
    net = render(table, backend, device)
    backends.load(backend).set_weights(net, initial_weights(table.parameters, seed))
    return net


def render(table: ResolvedNet, backend: str, device: Any = None, dtype: str = "float32") -> Any:
    """The framework's own sequential model, with the framework's own weights.

    ``device``: as in `build`. `table_of` knows later which table it was made from.
    """
    module = backends.load(backend)
    where = module.home() if device is None else backends.resolve_device(module, backend, device)
    net = module.render(table, where, dtype)
    _tables[net] = table
    return net


def table_of(net: Any) -> ResolvedNet | None:
    """The table that a net was made from; None if it was not made here.

    >>> table_of(build("lenet", backend="numpy")).name
    'lenet'
    """
    try:
        return _tables.get(net)
    except TypeError:  # no net: it cannot be referred to weakly
        return None


def check_seed(seed: object) -> int:
    """A seed as an int. Raises RunError unless it is a whole number of at least 0."""
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise RunError(f"seed must be a whole number of at least 0, not {seed!r}")
    return int(seed)
