"""Random flips and crops of training images, drawn by NumPy: the same for every framework."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STREAM = 1  # keeps these random numbers apart from the order of the images


@dataclass(frozen=True, eq=False)
class Augmentation:
    """How each image of an epoch is changed. The n-th entry is for the n-th image of the epoch.

    Krizhevsky, Sutskever & Hinton (2012), section 4.1, also used flips and crops.
    """

    flips: np.ndarray  # bool (N,): whether to mirror the image left to right
    corners: np.ndarray  # int64 (2, N): row and column where to cut the padded image
    crop: int  # pixels added on every side before cutting; 0: no cut

    @classmethod
    def draw(cls, count: int, seed: int, epoch: int, flip: bool, crop: int) -> Augmentation:
        """Draw the changes of ``count`` images from the seed and the epoch.

        >>> drawn = Augmentation.draw(6, seed=0, epoch=0, flip=True, crop=2)
        >>> drawn.flips, drawn.corners
        (array([ True,  True, False,  True,  True,  True]), array([[0, 0, 3, 1, 4, 4],
               [1, 0, 1, 0, 1, 1]]))
        """
        rng = np.random.Generator(np.random.PCG64([seed, epoch, STREAM]))
        coin, row, column = rng.random((3, count))  # [0, 1)
        corners = np.stack([row, column]) * (2 * crop + 1)
        return cls((coin < 0.5) & flip, corners.astype(np.int64), crop)

    def apply(self, pixels: np.ndarray, part: slice) -> np.ndarray:
        """Return changed copies of the images ``part`` of the epoch, given as uint8 (B, H, W).

        >>> image = np.array([[[1, 2], [3, 4]]], np.uint8)
        >>> moved = Augmentation(np.array([True]), np.array([[0], [1]]), crop=1)
        >>> moved.apply(image, slice(0, 1))
        array([[[0, 0],
                [2, 1]]], dtype=uint8)
        """
        if self.crop:
            sides = (self.crop, self.crop)
            padded = np.pad(pixels, ((0, 0), sides, sides))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (1, *pixels.shape[1:]))
            row, column = self.corners[:, part]
            pixels = windows[np.arange(len(pixels)), row, column, 0]  # (B, H, W)
        flips = self.flips[part]
        if flips.any():
            pixels = np.where(flips[:, None, None], pixels[:, :, ::-1], pixels)
        return pixels
