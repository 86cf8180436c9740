"""Where a net has no derivative, or one that single precision cannot tell.

A rectifier whose input is next to zero, or a pool's window with two largest values next to equal, takes
one branch or the other as sums are rounded, and then that unit's gradient is another one. A net of
millions of units has a few such in almost every image. To compare gradients in single precision, it is
asked about images that stand away from all its edges.
"""

from __future__ import annotations

import numpy as np

from alexnet.backends.numpy import MaxPool, ReLU, Sequential

WIDTH = 4e-6
"""Of an edge, over the root mean square of a layer's input: float32 is seldom further off there."""


def on_an_edge(net: Sequential, X: np.ndarray) -> np.ndarray:
    """Which images (B, C, H, W) stand on an edge of a net of the reference, in training: bool (B,).

    Values that are exactly zero or equal do not count: dropout and padding make them so in any
    precision.

    >>> from alexnet import Net, build, spec
    >>> net = build(Net("tiny", (2,), (spec.ReLU(),)), backend="numpy")
    >>> on_an_edge(net, np.array([[1.0, -2.0], [1.0, -1e-9], [1.0, 0.0]]))
    array([False,  True, False])
    """
    found = np.zeros(len(X), bool)
    for layer in net.layers:
        if isinstance(layer, ReLU):
            found |= _near_zero(X, X)
        elif isinstance(layer, MaxPool):
            found |= _near_zero(_lead(layer, X), X)
        X = layer.forward(X, True, net.rng)
    return found


def _near_zero(values: np.ndarray, X: np.ndarray) -> np.ndarray:
    near = np.abs(values) < WIDTH * np.sqrt(np.mean(X**2))
    return (near & (values != 0)).reshape(len(X), -1).any(axis=1)  # (B,)


def _lead(layer: MaxPool, X: np.ndarray) -> np.ndarray:
    """By how much the largest value of each window exceeds the next: (B, C, H', W')."""
    first = second = np.full((), -np.inf)
    for tap in layer.taps(X):
        second = np.maximum(second, np.minimum(first, tap))
        first = np.maximum(first, tap)
    return np.where(np.isfinite(second), first - second, np.inf)
