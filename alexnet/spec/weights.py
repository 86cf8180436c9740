"""Weights in the neutral layout: NumPy arrays, the same for every framework.

Keys are ``"<index>.<name>"``. Convolution weights are ``(out, in / groups, height, width)``. Dense
weights are ``(out, in)``, with inputs flattened from ``(C, H, W)``. Backends that store another layout
transpose when they set or get weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from alexnet.errors import WeightsError
from alexnet.spec import STATISTICS, Shape

Weights = dict[str, np.ndarray]

KEYS_NAMED = 8  # most keys in one message


def initial_weights(shapes: Mapping[str, Shape], seed: int = 0) -> Weights:
    """Return Xavier-uniform weights and zero biases in float32, bit-identical on every machine.

    ``shapes`` maps keys to shapes, as `ResolvedNet.parameters` does. Arrays with two or more axes are
    drawn from U(-a, a) with a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010). The n-th of these
    arrays has its own random stream, seeded with ``seed`` and n. So the weights do not depend on
    whether activations are separate layers. The scales and running variances of batch normalisation
    start at one. All other arrays start at zero.

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
            window_area = math.prod(shape[2:])
            bound = math.sqrt(6.0 / ((shape[0] + shape[1]) * window_area))
            stream = np.random.Generator(np.random.PCG64([seed, drawn]))
            uniform = stream.random(shape, dtype=np.float32)  # [0, 1)
            weights[key] = (2 * uniform - 1) * np.float32(bound)
            drawn += 1
        else:
            value = 1.0 if key.endswith(("weight", "running_var")) else 0.0
            weights[key] = np.full(shape, value, np.float32)
    return weights


def reinitialize(weights: Mapping[str, np.ndarray], seed: int) -> Weights:
    """Return a net's arrays with new initial values for convolution, dense and normalisation layers.

    Other arrays stay unchanged, for example constants and the slopes of activations.

    >>> new = reinitialize({"a.weight": np.ones(3), "b.weight": np.ones(2), "b.bias": np.ones(2)}, 0)
    >>> new["a.weight"], new["b.bias"]
    (array([1., 1., 1.]), array([0., 0.], dtype=float32))
    """

    def is_drawn(key: str, array: np.ndarray) -> bool:
        layer, _, name = key.rpartition(".")
        siblings = {k.rpartition(".")[2] for k in weights if k.rpartition(".")[0] == layer}
        if name == "weight":  # a vector without a bias is the slope of a PReLU
            return array.ndim >= 2 or "bias" in siblings
        return name in ("bias", *STATISTICS) and "weight" in siblings

    shapes = {key: w.shape for key, w in weights.items() if is_drawn(key, w)}
    return {**weights, **initial_weights(shapes, seed)}


def match_by_position(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], where: str
) -> Weights:
    """Return the arrays under the net's keys: the n-th array gets the n-th key of ``shapes``.

    This reads the ``state_dict`` of a PyTorch net with the same layers but other names. Raises
    WeightsError, starting with ``where``, unless the number and the shapes match and all values are finite.

    >>> match_by_position({"fc.weight": np.ones((2, 3))}, {"0.weight": (2, 3)}, "tiny")["0.weight"].shape
    (2, 3)
    """
    if len(tensors) != len(shapes):
        raise WeightsError(f"{where}: the net needs {len(shapes)} arrays, got {len(tensors)}")
    arrays = (np.asarray(tensor) for tensor in tensors.values())
    weights = dict(zip(shapes, arrays, strict=True))
    names = dict(zip(shapes, tensors, strict=True))
    for key, shape in shapes.items():
        if weights[key].shape != tuple(shape):
            raise WeightsError(
                f"{where}: {names[key]} must have shape {tuple(shape)} for {key}, got {weights[key].shape}"
            )
    check_weights(weights, shapes, where)
    return weights


def check_weights(
    weights: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], where: str
) -> None:
    """Raise WeightsError unless ``weights`` has exactly the given keys and shapes, all finite.

    The message starts with ``where``.

    >>> check_weights({"0.bias": np.zeros(3)}, {"0.bias": (2,)}, "tiny")
    Traceback (most recent call last):
    ...
    alexnet.errors.WeightsError: tiny: 0.bias must have shape (2,), got (3,)
    """
    missing = [key for key in shapes if key not in weights]
    extra = [key for key in weights if key not in shapes]
    if missing or extra:
        parts = [f"missing arrays: {_first_keys(missing)}"] if missing else []
        parts += [f"arrays that are not in the net: {_first_keys(extra)}"] if extra else []
        raise WeightsError(f"{where}: {'; '.join(parts)}")
    for key, shape in shapes.items():
        array = np.asarray(weights[key])
        if array.shape != tuple(shape):
            raise WeightsError(f"{where}: {key} must have shape {tuple(shape)}, got {array.shape}")
        if not np.isfinite(array).all():
            raise WeightsError(f"{where}: {key} has values that are not finite")


def _first_keys(keys: list[str]) -> str:
    """Return the first keys as text, and how many more there are."""
    more = len(keys) - KEYS_NAMED
    return ", ".join(keys[:KEYS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
