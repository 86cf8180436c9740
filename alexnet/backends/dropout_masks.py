"""Masks for dropout that do not depend on the framework."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alexnet.backends.nets import BoundNet
from alexnet.spec import Dense, Dropout, Shape


class DropoutMasks:
    """Draws the masks of dropout by NumPy: for the same seed and step, the same in every backend.

    For nets of `alexnet.backends.nets.render` with ``masked=True``, whose dropout layers multiply
    by a mask that they are given, instead of asking their framework for random numbers.

    >>> masks = DropoutMasks(seed=0)
    >>> masks.draw(step=0, index=2, rate=0.5, shape=(1, 6))
    array([[0., 2., 0., 0., 2., 2.]], dtype=float32)
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draw(self, step: int, index: int, rate: float, shape: Sequence[int]) -> np.ndarray:
        """The mask of layer ``index``: float32, 0 with probability ``rate``, else 1 / (1 - rate).

        ``shape`` is that of a batch in the neutral layout.
        """
        stream = np.random.Generator(np.random.PCG64([self.seed, step, index]))
        kept = stream.random(tuple(shape), np.float32) >= rate
        return kept.astype(np.float32) / np.float32(1 - rate)

    def fill(self, net: BoundNet, step: int, batch_size: int) -> None:
        """Give every dropout layer of a net its mask for that step."""
        assert net.table is not None
        image: Shape | None = (
            None  # that the features were flattened from, until a Dense mixes them
        )
        for row in net.table.rows:
            if len(row.input_shape) == 3:
                image = row.input_shape
            if isinstance(row.layer, Dropout):
                shape = (batch_size, *row.input_shape)  # (B, C, H, W) or (B, features)
                mask = self.draw(step, row.index, row.layer.rate, shape)
                net.backend.set_mask(net.native, row.index, net.to_own_layout(mask, image))
            if isinstance(row.layer, Dense):
                image = None
