"""What a drawing consists of. Lengths are CSS pixels; x goes to the right and y goes up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

Point = tuple[float, float]


@dataclass(frozen=True)
class Area:
    """A polygon. ``role`` selects its colours. ``name`` is its id in an SVG file."""

    points: tuple[Point, ...]
    role: str
    name: str = ""

    def moved(self, x: float, y: float) -> Area:
        """Return the same polygon in another place."""
        return replace(self, points=_moved(self.points, x, y))


@dataclass(frozen=True)
class Lines:
    """Lines between pairs of points."""

    pairs: tuple[tuple[Point, Point], ...]
    role: str

    def moved(self, x: float, y: float) -> Lines:
        """Return the same lines in another place."""
        return replace(self, pairs=tuple((a, b) for a, b in (_moved(p, x, y) for p in self.pairs)))


@dataclass(frozen=True)
class Words:
    """A line of text: its left end, its middle height, its font (one of `FONTS`) and its colour."""

    x: float
    y: float
    text: str
    font: str
    role: str

    def moved(self, x: float, y: float) -> Words:
        """Return the same text in another place."""
        return replace(self, x=self.x + x, y=self.y + y)


Element = Area | Lines | Words

FONTS = {
    "title": (14.0, True),
    "shape": (12.0, True),
    "name": (12.0, False),
    "small": (11.0, False),
}
"""The size of each font in CSS pixels, and whether it is bold."""


@dataclass(frozen=True)
class Page:
    """A drawing or a part of it: its size, and its elements from back to front."""

    width: float
    height: float
    elements: tuple[Element, ...]


def _moved(points: Iterable[Point], x: float, y: float) -> tuple[Point, ...]:
    return tuple((a + x, b + y) for a, b in points)
