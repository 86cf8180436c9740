"""Weights in the neutral layout: NumPy arrays, the same for every framework.

Keys are ``"<index>.<name>"``. Convolutions are ``(out, in / groups, height, width)``, dense layers
``(out, in)`` with inputs flattened channels first. Backends transpose when they set or get them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from alexnet.errors import WeightsError
from alexnet.spec import STATISTICS, Shape

Weights = dict[str, np.ndarray]

KEYS_NAMED = 8  # in a message


def initial_weights(shapes: Mapping[str, Shape], seed: int = 0) -> Weights:
    """Xavier-uniform weights and zero biases, float32, drawn by NumPy: bit for bit the same anywhere.

    ``shapes`` maps keys to shapes, as `ResolvedNet.parameters` does. Arrays of two axes or more are
    drawn from U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010), each from a
    stream of its own, numbered by its place among them, so that a net written without separate
    activation layers starts from the same weights. The scales and variances of batch normalisation
    start at one, everything else at zero.

    >>> w = initial_weights({"0.weight": (2, 3), "0.bias": (2,)}, seed=0)
    >>> w["0.weight"].dtype, w["0.bias"]
    (dtype('float32'), array([0., 0.], dtype=float32))
    >>> float(abs(w["0.weight"]).max()) <= math.sqrt(6 / 5)
    True
    """
    weights: Weights = {}
    drawn = 0
    for key, shape in shapes.items():
        if len(shape) >= 2:
            receptive = math.prod(shape[2:])
            bound = math.sqrt(6.0 / ((shape[0] + shape[1]) * receptive))
            stream = np.random.Generator(np.random.PCG64([seed, drawn]))
            uniform = stream.random(shape, dtype=np.float32)  # [0, 1)
            weights[key] = (2 * uniform - 1) * np.float32(bound)
            drawn += 1
        else:
            value = 1.0 if key.endswith(("weight", "running_var")) else 0.0
            weights[key] = np.full(shape, value, np.float32)
    return weights


def reinitialize(weights: Mapping[str, np.ndarray], seed: int) -> Weights:
    """A net's arrays with new initial weights for its convolutions, dense layers and norms.

    Arrays of other kinds (constants, slopes of activations, embeddings) stay as they are.

    >>> new = reinitialize({"a.weight": np.ones(3), "b.weight": np.ones(2), "b.bias": np.ones(2)}, 0)
    >>> new["a.weight"], new["b.bias"]
    (array([1., 1., 1.]), array([0., 0.], dtype=float32))
    """

    def is_drawn(key: str, array: np.ndarray) -> bool:
        layer, _, name = key.rpartition(".")
        siblings = {k.rpartition(".")[2] for k in weights if k.rpartition(".")[0] == layer}
        if name == "weight":  # alone and a vector, it is the slope of a PReLU
            return array.ndim >= 2 or "bias" in siblings
        return name in ("bias", *STATISTICS) and "weight" in siblings

    shapes = {key: w.shape for key, w in weights.items() if is_drawn(key, w)}
    return {**weights, **initial_weights(shapes, seed)}


def match_by_position(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], where: str
) -> Weights:
    """Arrays that bear other names, under a net's own: the n-th array is the net's n-th.

    That is how PyTorch's ``state_dict`` of a net of the same layers is read, whatever it calls them.
    Raises WeightsError unless their number and shapes are the net's and all values are finite.

    >>> match_by_position({"fc.weight": np.ones((2, 3))}, {"0.weight": (2, 3)}, "tiny")["0.weight"].shape
    (2, 3)
    """
    if len(tensors) != len(shapes):
        raise WeightsError(f"{where}: {len(tensors)} arrays, the net needs {len(shapes)}")
    arrays = (np.asarray(tensor) for tensor in tensors.values())
    weights = dict(zip(shapes, arrays, strict=True))
    names = dict(zip(shapes, tensors, strict=True))
    for key, shape in shapes.items():
        if weights[key].shape != tuple(shape):
            raise WeightsError(
                f"{where}: {names[key]} has shape {weights[key].shape}, {key} needs {tuple(shape)}"
            )
    check_weights(weights, shapes, where)
    return weights


def check_weights(
    weights: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], where: str
) -> None:
    """Raise WeightsError unless ``weights`` has exactly the keys and shapes given, all finite.

    >>> check_weights({"0.bias": np.zeros(3)}, {"0.bias": (2,)}, "tiny")
    Traceback (most recent call last):
    ...
    alexnet.errors.WeightsError: tiny: 0.bias has shape (3,), the net needs (2,)
    """
    missing = [key for key in shapes if key not in weights]
    extra = [key for key in weights if key not in shapes]
    if missing or extra:
        parts = [f"missing {_some(missing)}"] if missing else []
        parts += [f"not in the net: {_some(extra)}"] if extra else []
        raise WeightsError(f"{where}: {'; '.join(parts)}")
    for key, shape in shapes.items():
        array = np.asarray(weights[key])
        if array.shape != tuple(shape):
            raise WeightsError(
                f"{where}: {key} has shape {array.shape}, the net needs {tuple(shape)}"
            )
        if not np.isfinite(array).all():
            raise WeightsError(f"{where}: {key} has values that are not finite")


def _some(keys: list[str]) -> str:
    """The first few of them."""
    more = len(keys) - KEYS_NAMED
    return ", ".join(keys[:KEYS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
