"""Dropout masks that are the same in every framework."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alexnet.backends.nets import BoundNet
from alexnet.spec import Dense, Dropout, Shape


class DropoutMasks:
    """A source of dropout masks. NumPy draws them, so they depend only on seed, step and layer.

    Use it for nets that `alexnet.backends.nets.render` made with ``masked=True``. Their dropout layers
    multiply by the mask that `fill` sets. They do not use the framework's random numbers.

    >>> masks = DropoutMasks(seed=0)
    >>> masks.draw(step=0, index=2, rate=0.5, shape=(1, 6))
    array([[0., 2., 0., 0., 2., 2.]], dtype=float32)
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draw(self, step: int, index: int, rate: float, shape: Sequence[int]) -> np.ndarray:
        """Return the mask of layer ``index``: float32, 0 with probability ``rate``, else 1 / (1 - rate).

        ``shape`` is the shape of the mini-batch in the neutral layout: (B, C, H, W) or (B, features).
        """
        stream = np.random.Generator(np.random.PCG64([self.seed, step, index]))
        kept = stream.random(tuple(shape), np.float32) >= rate
        return kept.astype(np.float32) / np.float32(1 - rate)

    def fill(self, net: BoundNet, step: int, batch_size: int) -> None:
        """Set the masks of a net for one step: a mask for every dropout layer."""
        assert net.table is not None
        # Shape of the image that the features were flattened from; None again after a Dense layer.
        image: Shape | None = None
        for row in net.table.rows:
            if len(row.input_shape) == 3:
                image = row.input_shape
            if isinstance(row.layer, Dropout):
                shape = (batch_size, *row.input_shape)  # (B, C, H, W) or (B, features)
                mask = self.draw(step, row.index, row.layer.rate, shape)
                net.backend.set_mask(net.native, row.index, net.to_own_layout(mask, image))
            if isinstance(row.layer, Dense):
                image = None
