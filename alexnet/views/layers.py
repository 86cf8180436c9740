"""The maps of a net's layers, drawn from plain arrays."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alexnet.spec import shape_text
from alexnet.views.curves import new_figure
from alexnet.views.mosaic import image_shape, image_tiles, mosaic
from alexnet.views.shown import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches
COLUMNS = 16  # maps in a line; half as many for a layer with so few maps
MOST_MAPS = 1024  # in a figure of one layer
INPUT = 1.3  # inches, the height of the image
STRIP = 0.5  # inches, the height of a vector's units
LETTERS = 98  # of the text in a line at the end
DARKEST = 0.995  # this part of a layer's values lies within its colour scale; a few are far larger
FEW = 20  # units of a vector whose values are written
HEAD = 0.65  # inches above the first picture
ABOVE, BELOW = 0.3, 0.12  # inches above a picture, for its title, and below
MARGIN = 0.1  # inches
INNER = WIDTH - 2 * MARGIN  # inches
SCALE = "red: above zero, white: zero, blue: below zero; darkest: ± the number on the right or more"


def plot_layers(
    net: str, image: np.ndarray, outputs: Sequence[tuple[str, np.ndarray]], most: int, note: str
) -> Figure:
    """Draw an image, and below it the outputs of layers, each with its own colour scale around zero.

    ``image``: (C, H, W) or (features,). ``outputs``: pairs of a title and an array (C, H, W) or (units,).
    ``most``: the largest number of maps of a layer. ``note``: a text at the end.
    """
    lines = [_input_line(image), *(_line(title, values, most) for title, values in outputs)]
    words = textwrap.wrap(note, LETTERS)
    foot = MARGIN + 0.2 * len(words)
    total = HEAD + sum(ABOVE + line.height + BELOW for line in lines) + foot  # inches
    figure = new_figure(WIDTH, total)
    figure.set_layout_engine("none")  # every place is known, and many axes would take long
    figure.text(MARGIN / WIDTH, 1 - 0.1 / total, net, size=16, va="top")
    figure.text(MARGIN / WIDTH, 1 - 0.4 / total, SCALE, size=12, va="top")
    bottom = total - HEAD
    for line in lines:
        bottom -= ABOVE + line.height
        left, width, height = MARGIN / WIDTH, line.width / WIDTH, line.height / total
        _draw(figure.add_axes((left, bottom / total, width, height)), line)
        above = bottom / total + height + 0.06 / total
        figure.text(left, above, line.title, size=14)
        figure.text(1 - left, above, line.scale, size=12, ha="right")
        bottom -= BELOW
    figure.text(MARGIN / WIDTH, foot / total, "\n".join(words), size=12, va="top")
    return figure


@dataclass(frozen=True, eq=False)
class _Line:
    """One picture in a figure of layers, with its text."""

    title: str
    scale: str  # what its colours mean
    pixels: np.ndarray  # uint8 (height, width, 4): RGBA
    width: float  # inches
    height: float  # inches
    values: Sequence[float] = ()  # to be written into the pixels


def _input_line(image: np.ndarray) -> _Line:
    """Return the picture of the image that the net got, in its own black and white."""
    low, high = float(image.min()), float(image.max())
    shape = image.shape if image.ndim == 3 else image_shape(image.size) or (1, 1, image.size)
    (pixels,) = image_tiles(image.reshape(1, *shape), low, high)  # (H, W', 4)
    width = min(INPUT * pixels.shape[1] / pixels.shape[0], INNER)
    scale = f"black {low:.2g}, white {high:.2g}"
    return _Line(f"image: {shape_text(image.shape)}", scale, pixels, width, INPUT)


def _line(title: str, values: np.ndarray, most: int) -> _Line:
    """Return the picture of a layer's output: its maps side by side, or the units of a vector."""
    from matplotlib import colormaps

    sizes = np.abs(values)
    limit = float(np.quantile(sizes, DARKEST) or sizes.max())
    scale = f"±{limit:.2g}"
    if values.ndim == 3 and len(values) > most:
        values, scale = values[:most], f"first {most} maps, {scale}"
    colours = colormaps["RdBu_r"](values / (2 * limit or 1) + 0.5, bytes=True)  # RGBA in a new axis
    if values.ndim == 3:
        pixels = mosaic(colours, COLUMNS if len(values) > COLUMNS // 2 else COLUMNS // 2)
        return _Line(title, scale, pixels, INNER, INNER * pixels.shape[0] / pixels.shape[1])
    if len(values) <= FEW:
        return _Line(title, scale, colours[None], INNER, STRIP, values.tolist())
    columns = math.ceil(math.sqrt(len(values) * INNER / STRIP))
    rows = -(-len(values) // columns)
    pixels = np.zeros((rows * columns, 4), np.uint8)
    pixels[: len(values)] = colours
    return _Line(title, scale, pixels.reshape(rows, columns, 4), INNER, INNER * rows / columns)


def _draw(axes: Axes, line: _Line) -> None:
    axes.imshow(line.pixels, aspect="auto")
    axes.set_axis_off()
    for unit, value in enumerate(line.values):
        ink = ink_on(line.pixels[0, unit] / 255)
        axes.text(unit, 0, f"{unit}\n{value:.2g}", ha="center", va="center", color=ink, size=12)
