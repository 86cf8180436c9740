"""What happens to the pixels of an image on its way to a net, defined once for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class ImageTransform:
    """uint8 pixels to float32: over 255, then ``R @ x @ R.T``, then ``(x - mean) / std``.

    ``matrix`` is R, float32 (size out, size in), or None to keep the size.
    """

    matrix: np.ndarray | None = None
    mean: float = 0.0
    std: float = 1.0

    def apply(self, x: Any, to_tensor: Callable[[np.ndarray], Any]) -> Any:
        """Pixels of a batch, a float32 tensor of any framework (B, H, W), to (B, S, S).

        ``to_tensor`` makes such a tensor of an array, on the same device.
        """
        x = x / 255  # (B, H, W), in [0, 1]
        if self.matrix is not None:
            x = to_tensor(self.matrix) @ x @ to_tensor(self.matrix.T)  # (B, S, S)
        return (x - self.mean) / self.std


@lru_cache(maxsize=8)
def resize_matrix(size_out: int, size_in: int) -> np.ndarray:
    """Bilinear interpolation with half-pixel centres along one axis: float32 (size_out, size_in).

    A square image ``x`` is resized by ``R @ x @ R.T``. This is ``align_corners=False`` in PyTorch
    and MXNet, ``tf.image.resize``, and ``align_mode=0`` in Paddle. No smoothing when shrinking.

    The two weights of a row add up to one exactly, so values in [0, 1] stay there.

    >>> resize_matrix(4, 2)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]], dtype=float32)
    """
    centres = (np.arange(size_out) + 0.5) * size_in / size_out - 0.5
    centres = centres.clip(0, size_in - 1)  # beyond the outermost pixels, their own values
    left = np.floor(centres).astype(int)
    right = np.minimum(left + 1, size_in - 1)
    share = centres - left  # of the right pixel
    # Round the larger weight to float32; one minus it is then exact, and so is their sum.
    larger = np.maximum(share, 1 - share).astype(np.float32)
    smaller = np.float32(1) - larger
    rows = np.arange(size_out)
    matrix = np.zeros((size_out, size_in), np.float32)
    np.add.at(matrix, (rows, left), np.where(share > 0.5, smaller, larger))
    np.add.at(matrix, (rows, right), np.where(share > 0.5, larger, smaller))
    matrix.flags.writeable = False  # it is shared
    return matrix
