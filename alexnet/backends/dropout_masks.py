"""Masks for dropout that do not depend on the framework."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Masks:
    """Draws dropout's masks by NumPy, from a seed and the step: the same in every backend.

    A net that was rendered with masks multiplies by them in training, where it would otherwise ask its
    framework for random numbers. ``step`` is set by whoever trains.

    >>> masks = Masks(seed=0)
    >>> masks.draw(index=2, rate=0.5, shape=(1, 6))
    array([[0., 2., 0., 0., 2., 2.]], dtype=float32)
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.step = seed, 0

    def draw(self, index: int, rate: float, shape: Sequence[int]) -> np.ndarray:
        """The mask of layer ``index``: float32, 0 with probability ``rate``, else 1 / (1 - rate).

        ``shape`` is that of a batch in the neutral layout.
        """
        stream = np.random.Generator(np.random.PCG64([self.seed, self.step, index]))
        kept = stream.random(tuple(shape), np.float32) >= rate
        return kept.astype(np.float32) / np.float32(1 - rate)
