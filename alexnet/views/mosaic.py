"""Many small images as one picture, drawn from plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from alexnet.spec import Shape, shape_text
from alexnet.views.curves import new_figure
from alexnet.views.images import draw_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 6.4  # inches of a picture; its text stays legible on a phone
LARGEST_TILE = 1.1  # inches
PER_ROW = 4  # images with titles
MOST_TILES = 256  # in one picture
ENLARGED = 48  # small tiles are enlarged to about this many pixels, so that the gaps look thin
GAP = 4  # transparent pixels between tiles
FRAME = 204  # light grey


def image_tiles(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return images (N, C, H, W) as tiles in RGBA: uint8 (N, H, W', 4), from black to white.

    Three channels become one image in colour (W' = W). Other channels become grey images side by side
    (W' = C*W). ``low`` and ``high``: the values that are black and white.
    """
    n, channels, height, width = images.shape
    shades = np.clip(255 * (images - low) / ((high - low) or 1.0), 0, 255).round().astype(np.uint8)
    if channels == 3:
        rgb = shades.transpose(0, 2, 3, 1)  # (N, H, W, 3)
    else:
        grey = shades.transpose(0, 2, 1, 3).reshape(n, height, channels * width)  # (N, H, C*W)
        rgb = np.stack([grey] * 3, axis=-1)  # (N, H, C*W, 3)
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=-1)  # (N, H, W', 4)


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Return tiles in RGBA, uint8 (N, H, W, 4), in rows of ``columns``: as one image (height, width, 4).

    Each tile has a thin grey frame. The gaps between tiles, and the places after the last tile, are
    transparent.

    >>> mosaic(np.zeros((3, 50, 60, 4), np.uint8), columns=2).shape  # with frames, tiles of 52×62
    (108, 128, 4)
    """
    times = math.ceil(ENLARGED / max(tiles.shape[1:3]))
    tiles = tiles.repeat(times, axis=1).repeat(times, axis=2)
    tiles = np.pad(tiles, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=FRAME)
    rows = -(-len(tiles) // columns)
    height, width = tiles.shape[1] + GAP, tiles.shape[2] + GAP
    whole = np.zeros((rows, height, columns, width, 4), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        whole[row, :-GAP, column, :-GAP] = tile
    return whole.reshape(rows * height, columns * width, 4)[:-GAP, :-GAP]


def plot_filters(weights: np.ndarray, title: str) -> Figure:
    """Draw filters (N, C, H, W) as images, all with one scale that is symmetric around zero.

    The title names the values that are black and white. At most 256 filters are drawn.
    """
    shown = weights[:MOST_TILES]
    largest = float(np.abs(weights).max())
    tiles = image_tiles(shown, -largest, largest)  # (N, H, W', 4)
    columns = columns_for(len(shown))
    rows = -(-len(shown) // columns)
    tile = min(LARGEST_TILE, WIDTH / columns)  # inches, the width of a tile
    figure = new_figure(WIDTH, rows * tile * tiles.shape[1] / tiles.shape[2] + 0.62)
    axes = figure.subplots()
    axes.imshow(mosaic(tiles, columns))
    axes.set_axis_off()
    count = f"first {len(shown)} of {len(weights)}" if len(shown) < len(weights) else len(weights)
    kind = "each colour channel: " if weights.shape[1] == 3 else ""
    axes.set_title(
        f"{title}\n{count} filters, {shape_text(weights.shape[1:])}; "
        f"{kind}black {-largest:.2g}, grey 0, white {largest:.2g}",
        fontsize="medium",
    )
    return figure


def plot_images(images: np.ndarray, titles: Sequence[str], title: str) -> Figure:
    """Draw images (N, C, H, W), each from its smallest value (black) to its largest, with titles above."""
    rows = -(-len(images) // PER_ROW)
    figure = new_figure(WIDTH, 0.4 + 2.15 * rows)
    tiles = [image_tiles(image[None], image.min(), image.max())[0] for image in images]
    draw_images(figure, tiles, rows, PER_ROW, titles, "medium")
    figure.suptitle(title)
    return figure


def columns_for(count: int) -> int:
    """Return the number of columns for ``count`` tiles: about square, with full rows if possible.

    >>> [columns_for(n) for n in (6, 16, 64, 96, 97)]
    [3, 4, 8, 12, 13]
    """
    side = math.sqrt(count)
    full = (n for n in range(math.ceil(side), math.ceil(2.5 * side)) if count % n == 0)
    return next(full, math.ceil(math.sqrt(1.5 * count)))


def image_shape(features: int) -> Shape | None:
    """Return the shape (C, H, H) of a square image with so many values, grey or RGB; None if there is none.

    >>> image_shape(784), image_shape(3072), image_shape(7)
    ((1, 28, 28), (3, 32, 32), None)
    """
    for channels in (1, 3):
        side = math.isqrt(features // channels)
        if channels * side**2 == features:
            return channels, side, side
    return None
