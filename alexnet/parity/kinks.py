"""Finds inputs so close to a kink of ReLU or max-pooling that float32 rounding flips the gradient.

ReLU has a kink at zero. Max-pooling has a kink where the two largest values of a window are equal. Close
to a kink, rounding decides which branch a unit takes, and the two branches have different gradients. A net
with millions of units has a few such units for every image. So float32 gradients are compared on images
that are not close to any kink.
"""

from __future__ import annotations

import numpy as np

from alexnet.backends.reference import MaxPool, Sequential

WIDTH = 1e-5
"""Distance to a kink that counts as close, relative to the root mean square of a layer's input.

Few float32 sums have a larger rounding error.
"""

PATCH = 0.1
"""Side of the square that is marked around a unit's place, relative to the side of the image."""


def near_kinks(net: Sequential, X: np.ndarray) -> np.ndarray:
    """Return a mask of the pixels that put a unit of ``net`` close to a kink in training.

    ``net`` is a net of the NumPy reference. For images (B, C, H, W) the mask is bool (B, H, W), true in a
    square around the place of each such unit. New values for these pixels move the unit away from its
    kink and leave most other units unchanged. A unit without a place marks the whole image. For vectors
    (B, N) the mask is bool (B,). Exact zeros and ties do not count, because dropout and padding cause
    them in any precision.

    >>> from alexnet import Net, build, spec
    >>> net = build(Net("tiny", (2,), (spec.ReLU(),)), backend="numpy")
    >>> near_kinks(net, np.array([[1.0, -2.0], [1.0, -1e-9], [1.0, 0.0]]))
    array([False,  True, False])
    """
    found = np.zeros((len(X), *X.shape[2:]), bool)
    for layer in net.layers:
        if layer.kink_at_zero:
            _mark_squares(found, _near_zero(X, X))
        elif isinstance(layer, MaxPool):
            _mark_squares(found, _near_zero(_margin(layer, X), X))
        X = layer.forward(X, True, net.rng)
    return found


def _near_zero(values: np.ndarray, X: np.ndarray) -> np.ndarray:
    return (np.abs(values) < WIDTH * np.sqrt(np.mean(X**2))) & (values != 0)


def _margin(layer: MaxPool, X: np.ndarray) -> np.ndarray:
    """Return the largest minus the second largest value of each window: (B, C, H', W')."""
    first = second = np.full((), -np.inf)
    for window_slice in layer.window_slices(X):
        second = np.maximum(second, np.minimum(first, window_slice))
        first = np.maximum(first, window_slice)
    return np.subtract(first, second, where=np.isfinite(second), out=np.full(first.shape, np.inf))


def _mark_squares(found: np.ndarray, near: np.ndarray) -> None:
    """Set ``found`` (B, H, W) to true in a square around each unit in ``near`` (B, C, H', W')."""
    if near.ndim < 4 or found.ndim < 3:
        found[near.reshape(len(near), -1).any(axis=1)] = True
        return
    sizes = np.array(found.shape[1:])
    half = np.maximum(sizes * PATCH / 2, 1)
    for image, *place in np.argwhere(near.any(axis=1)):
        centre = (np.array(place) + 0.5) / near.shape[2:] * sizes
        low, high = np.maximum(centre - half, 0).astype(int), (centre + half).astype(int)
        found[image, low[0] : high[0] + 1, low[1] : high[1] + 1] = True
