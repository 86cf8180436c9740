"""Scaling, resizing and normalising of images, defined once for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class ImageTransform:
    """The steps from uint8 pixels to float32 input: ``x / 255``, ``(x - mean) / std``, ``R @ x @ R.T``.

    ``matrix`` is R, float32 (size out, size in), or None to keep the size. ``mean`` and ``std`` are for
    pixels in [0, 1]. Each row of R adds up to one, so the resize may come last: at 224×224, the other steps
    then have 64 times fewer pixels to change.
    """

    matrix: np.ndarray | None = None
    mean: float = 0.0
    std: float = 1.0

    def apply(self, x: Any, to_tensor: Callable[[np.ndarray], Any]) -> Any:
        """Return the transformed batch, float32 (B, S, S).

        ``x`` is a float32 tensor (B, H, W) of any framework, with pixels from 0 to 255. ``to_tensor`` turns
        an array into a tensor of the same framework on the same device.
        """
        x = x / 255  # (B, H, W), in [0, 1]
        if (self.mean, self.std) != (0, 1):
            x = (x - self.mean) / self.std
        if self.matrix is not None:
            x = to_tensor(self.matrix) @ x @ to_tensor(self.matrix.T)  # (B, S, S)
        return x


@lru_cache(maxsize=8)
def resize_matrix(size_out: int, size_in: int) -> np.ndarray:
    """Return the matrix R of bilinear interpolation along one axis: float32 (size_out, size_in).

    ``R @ x @ R.T`` resizes a square image ``x``, with half-pixel centres. This equals
    ``align_corners=False`` in PyTorch and MXNet, ``tf.image.resize``, and ``align_mode=0`` in Paddle.
    Shrinking does not smooth the image.

    The two weights of a row add up to exactly one, so values in [0, 1] stay in [0, 1].

    >>> resize_matrix(4, 2)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]], dtype=float32)
    """
    centres = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5
    centres = centres.clip(0, size_in - 1)  # outside the outermost centres, use the edge pixel
    left = np.floor(centres).astype(int)
    right = np.minimum(left + 1, size_in - 1)
    right_weight = centres - left
    # Round the larger weight to float32. Then 1 - larger is exact, and larger + smaller is exactly 1.
    larger = np.maximum(right_weight, 1 - right_weight).astype(np.float32)
    smaller = np.float32(1) - larger
    rows = np.arange(size_out)
    matrix = np.zeros((size_out, size_in), np.float32)
    np.add.at(matrix, (rows, left), np.where(right_weight > 0.5, smaller, larger))
    np.add.at(matrix, (rows, right), np.where(right_weight > 0.5, larger, smaller))
    matrix.flags.writeable = False  # the cache returns the same array to all callers
    return matrix
