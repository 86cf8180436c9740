"""The scale of a drawing: how long a number of pixels, channels or features is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alexnet.drawing.diagram import Diagram

# Lengths are in CSS pixels, of which 96 are an inch.
LARGEST_SIDE = 106.0  # of an image
LARGEST_THICKNESS = 60.0  # of the channels
LARGEST_BAR = 140.0  # of a vector
DOUBLING = 3.6  # for twice the channels; less if the thickness would be too large
VISIBLE = 6.0  # a shorter side cannot be read


@dataclass(frozen=True)
class Scale:
    """The lengths of one drawing, the same for all its nets.

    Sides are proportional to pixels (``power`` 1) or to their square root (``power`` 0.5). Channels and
    features have a log scale: each doubling of ``1 + number`` adds the same length.

    >>> scale = Scale(power=0.5, pixel=8, doubling=4, bar_doubling=10)
    >>> scale.side(16), scale.thickness(3), scale.bar(15)
    (32.0, 8.0, 40.0)
    """

    power: float
    pixel: float
    doubling: float
    bar_doubling: float

    def side(self, pixels: int) -> float:
        """Return the length of a side of an image or of a window."""
        return self.pixel * pixels**self.power

    def thickness(self, channels: int) -> float:
        """Return the thickness of an image with so many channels."""
        return self.doubling * math.log2(1 + channels)

    def bar(self, features: int) -> float:
        """Return the length of the bar of a vector."""
        return self.bar_doubling * math.log2(1 + features)


def fitting(diagrams: Sequence[Diagram]) -> Scale:
    """Return one scale for all these nets. It has a square root if proportional sides are too small."""
    shapes = [shape for diagram in diagrams for shape in diagram.shapes]
    windows = [step.window for diagram in diagrams for step in diagram.steps if step.window]
    images = [shape for shape in shapes if len(shape) == 3]
    sides = [side for _, *image in images for side in image] or [1]
    largest, smallest = max(sides), min([*sides, *(side for w in windows for side in w)])
    power = 1 if LARGEST_SIDE * smallest / largest >= VISIBLE else 0.5
    return Scale(
        power,
        LARGEST_SIDE / largest**power,
        min(DOUBLING, _doubling(LARGEST_THICKNESS, (shape[0] for shape in images))),
        _doubling(LARGEST_BAR, (shape[0] for shape in shapes if len(shape) == 1)),
    )


def _doubling(largest: float, numbers: Iterable[int]) -> float:
    """Return the length of a doubling with which the largest number has this length."""
    return largest / math.log2(1 + max(numbers, default=1))
