"""Finds inputs so close to a kink of ReLU or max-pooling that float32 rounding flips the gradient.

ReLU has a kink at zero, max-pooling where the two largest values of a window are equal. Close to a kink,
rounding decides which branch a unit takes, and its gradient is then a different one. A net with millions
of units has a few such units for every image. So gradients in single precision are compared on images that
stay away from all kinks.
"""

from __future__ import annotations

import numpy as np

from alexnet.backends.reference import MaxPool, ReLU, Sequential

WIDTH = 1e-5
"""Width of a kink, over the root mean square of a layer's input. Few float32 sums are off by more."""

PATCH = 0.1
"""Side of the square that is marked around a kink, over the side of the image."""


def near_kinks(net: Sequential, X: np.ndarray) -> np.ndarray:
    """The parts of images (B, C, H, W) on which a net of the reference stands on a kink, in training.

    bool (B, H, W), true around the place of each unit that does; another draw of those pixels moves it
    away, and leaves most others as they are. Units without a place mark their whole image; for vectors
    it is bool (B,). Values that are exactly zero or equal do not count: dropout and padding make them
    so in any precision.

    >>> from alexnet import Net, build, spec
    >>> net = build(Net("tiny", (2,), (spec.ReLU(),)), backend="numpy")
    >>> near_kinks(net, np.array([[1.0, -2.0], [1.0, -1e-9], [1.0, 0.0]]))
    array([False,  True, False])
    """
    found = np.zeros((len(X), *X.shape[2:]), bool)
    for layer in net.layers:
        if isinstance(layer, ReLU):
            _mark(found, _near_zero(X, X))
        elif isinstance(layer, MaxPool):
            _mark(found, _near_zero(_lead(layer, X), X))
        X = layer.forward(X, True, net.rng)
    return found


def _near_zero(values: np.ndarray, X: np.ndarray) -> np.ndarray:
    return (np.abs(values) < WIDTH * np.sqrt(np.mean(X**2))) & (values != 0)


def _lead(layer: MaxPool, X: np.ndarray) -> np.ndarray:
    """By how much the largest value of each window exceeds the next: (B, C, H', W')."""
    first = second = np.full((), -np.inf)
    for window_slice in layer.window_slices(X):
        second = np.maximum(second, np.minimum(first, window_slice))
        first = np.maximum(first, window_slice)
    return np.subtract(first, second, where=np.isfinite(second), out=np.full(first.shape, np.inf))


def _mark(found: np.ndarray, near: np.ndarray) -> None:
    """Set ``found`` (B, H, W) to true around the places of the units in ``near`` (B, C, H', W')."""
    if near.ndim < 4 or found.ndim < 3:
        found[near.reshape(len(near), -1).any(axis=1)] = True
        return
    sizes = np.array(found.shape[1:])
    half = np.maximum(sizes * PATCH / 2, 1)
    for image, *place in np.argwhere(near.any(axis=1)):
        centre = (np.array(place) + 0.5) / near.shape[2:] * sizes
        low, high = np.maximum(centre - half, 0).astype(int), (centre + half).astype(int)
        found[image, low[0] : high[0] + 1, low[1] : high[1] + 1] = True
