"""Shared dropout: NumPy draws the masks, so they are the same in every framework."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alexnet.backends.nets import BoundNet
from alexnet.spec import Dense, Dropout, ResolvedNet, Shape


class MaskedNet:
    """A net whose dropout layers multiply by masks that NumPy draws.

    It shares all other layers, and so all weights, with ``net``. The masks depend only on the seed, the
    epoch, the step and the layer. So every framework gets the same masks, and a resumed run gets the masks
    of an uninterrupted run.
    """

    def __init__(self, net: BoundNet, seed: int) -> None:
        assert net.table is not None
        self.net, self.seed = net, seed
        self.native = net.backend.with_masks(net.native)
        self.dropouts = list(_dropouts(net.table))

    def draw_masks(self, epoch: int, step: int, batch_size: int, rows: slice) -> None:
        """Draw the masks of a whole batch, and set these rows of them in the dropout layers."""
        for index, rate, input_shape, image in self.dropouts:
            shape = (batch_size, *input_shape)  # (B, C, H, W) or (B, features)
            mask = draw_mask(self.seed, epoch, step, index, rate, shape)[rows]
            self.net.backend.set_mask(self.native, index, self.net.to_own_layout(mask, image))


def draw_mask(
    seed: int, epoch: int, step: int, index: int, rate: float, shape: Sequence[int]
) -> np.ndarray:
    """Return the mask of layer ``index``: uint8 of ``shape``, 0 with probability ``rate``, else 1.

    ``shape`` is the shape of the whole mini-batch in the neutral layout: (B, C, H, W) or (B, features).
    Rate 0.5 takes one random bit for each entry, any other rate 32 bits.

    >>> draw_mask(seed=0, epoch=0, step=0, index=2, rate=0.5, shape=(2, 6))
    array([[1, 0, 1, 0, 0, 0],
           [1, 0, 0, 0, 0, 1]], dtype=uint8)
    """
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    source = np.random.Philox(key=key, counter=[0, index, step, epoch])
    size = math.prod(shape)
    if rate == 0.5:
        words = source.random_raw(-(-size // 64)).astype("<u8")  # the same bytes on any processor
        return np.unpackbits(words.view(np.uint8), count=size).reshape(shape)
    words = source.random_raw(-(-size // 2)).astype("<u8").view("<u4")[:size]
    return (words >= round(rate * 2**32)).astype(np.uint8).reshape(shape)


def has_dropout(net: BoundNet) -> bool:
    """Return whether the table of the net has a Dropout layer."""
    return net.table is not None and any(isinstance(r.layer, Dropout) for r in net.table.rows)


def _dropouts(table: ResolvedNet) -> list[tuple[int, float, Shape, Shape | None]]:
    """Return index, rate and input shape of each Dropout, and the image its features came from."""
    found = []
    image: Shape | None = None  # flattened into the features; None again after a Dense layer
    for row in table.rows:
        if len(row.input_shape) == 3:
            image = row.input_shape
        if isinstance(row.layer, Dropout):
            found.append((row.index, row.layer.rate, row.input_shape, image))
        if isinstance(row.layer, Dense):
            image = None
    return found
