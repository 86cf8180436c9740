"""Boxes in a simple projection, and what lies on them and between them.

The front of a box is seen straight on. Its depth goes to the upper right. An image lies flat: its width
goes to the right, its height into the depth, and its channels up.
"""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.drawing.diagram import Step
from alexnet.drawing.elements import Area, Element, Lines, Point
from alexnet.drawing.scale import Scale
from alexnet.shapes import Shape

RIGHT, UP = 0.45, 0.3  # where one unit of depth goes in the picture
BAR_DEPTH, BAR_HEIGHT = 14.0, 8.0  # of a vector's box, whose width alone has a meaning
THREADS = 5  # lines from each bar of a dense step
THINNEST = 2.0  # thickness of a group; thinner ones are not drawn apart


@dataclass(frozen=True)
class Solid:
    """A box: its lower left corner at the front, and its sizes."""

    x: float
    y: float
    width: float
    depth: float
    height: float

    @classmethod
    def of(cls, shape: Shape, scale: Scale) -> Solid:
        """Return the box of an image or a vector at height 0, with the centre of its picture at x = 0."""
        if len(shape) == 1:
            width, depth, height = scale.bar(shape[0]), BAR_DEPTH, BAR_HEIGHT
        else:
            channels, rows, columns = shape
            width, depth = scale.side(columns), scale.side(rows)
            height = scale.thickness(channels)
        return cls(-(width + RIGHT * depth) / 2, 0, width, depth, height)

    @property
    def seen_height(self) -> float:
        """The height of its picture."""
        return self.height + UP * self.depth

    def at(self, across: float, back: float, up: float) -> Point:
        """Return where a point of the box is in the picture."""
        return self.x + across + RIGHT * back, self.y + up + UP * back

    def flat(self, up: float, left: float, right: float, back: float) -> tuple[Point, ...]:
        """Return the corners of a level rectangle that begins at the front edge."""
        corners = (left, 0.0), (right, 0.0), (right, back), (left, back)
        return tuple(self.at(across, depth, up) for across, depth in corners)

    def front(self, left: float, right: float, low: float, high: float) -> tuple[Point, ...]:
        """Return the corners of a rectangle on the front."""
        corners = (left, low), (right, low), (right, high), (left, high)
        return tuple(self.at(across, 0, up) for across, up in corners)

    def faces(self, name: str) -> list[Element]:
        """Return the three faces that are seen. Their ids begin with ``name``."""
        w, d, h = self.width, self.depth, self.height
        side = self.at(w, 0, 0), self.at(w, d, 0), self.at(w, d, h), self.at(w, 0, h)
        return [
            Area(side, "side", f"{name}-side"),
            Area(self.flat(h, 0, w, d), "top", f"{name}-top"),
            Area(self.front(0, w, 0, h), "front", f"{name}-front"),
        ]


@dataclass(frozen=True)
class Link:
    """A step between the box of its input and the box of its output.

    A window is drawn in one position: it lies at the front edge of its input, at ``place`` between the
    left (0) and the right (1), and gives one pixel at the same place of its output.
    """

    step: Step
    lower: Solid
    upper: Solid
    scale: Scale
    place: float

    def between(self) -> list[Element]:
        """Return what is drawn between the boxes."""
        lower, upper, kind = self.lower, self.upper, self.step.kind
        if self.step.window is not None:
            left, right, depth = self._window(lower, self.step.window)
            base = lower.flat(lower.height, left, right, depth)
            left, right, depth = self._window(upper, (1, 1))
            end = upper.flat(0, left, right, depth)
            # The back, the left, the right and the front of a truncated pyramid.
            sides = (2, 3), (3, 0), (1, 2), (0, 1)
            return [Area((base[i], base[j], end[j], end[i]), f"{kind} beam") for i, j in sides]
        if kind == "dense":
            places = [i / (THREADS - 1) for i in range(THREADS)]
            pairs = (
                (lower.at(a * lower.width, 0, lower.height), upper.at(b * upper.width, 0, 0))
                for a in places
                for b in places
            )
            return [Lines(tuple(pairs), "dense")]
        base = lower.front(0, lower.width, lower.height, lower.height)
        end = upper.front(0, upper.width, 0, 0)
        return [Area((base[0], base[1], end[1], end[0]), f"{kind} beam")]

    def on_input(self) -> list[Element]:
        """Return the window as it lies on its input. A convolution reads all channels below it."""
        if self.step.window is None:
            return []
        left, right, depth = self._window(self.lower, self.step.window)
        top = self.lower.flat(self.lower.height, left, right, depth)
        return [Area(top, f"{self.step.kind} window"), *self._channels(self.lower, left, right)]

    def on_output(self) -> list[Element]:
        """Return the pixel of the output that a convolution gives, with all its channels."""
        left, right, _ = self._window(self.upper, (1, 1))
        return self._channels(self.upper, left, right)

    def _window(self, solid: Solid, window: tuple[int, int]) -> tuple[float, float, float]:
        """Return the left end, the right end and the depth of a window. Its padding is not drawn."""
        width = min(self.scale.side(window[1]), solid.width)
        left = self.place * (solid.width - width)
        return left, left + width, min(self.scale.side(window[0]), solid.depth)

    def _channels(self, solid: Solid, left: float, right: float) -> list[Element]:
        """Return the channels of a convolution's window on the front, each second group in another tone."""
        if self.step.kind != "convolution":
            return []
        groups = self.step.groups if solid.height / self.step.groups >= THINNEST else 1
        height = solid.height / groups
        return [
            Area(
                solid.front(left, right, i * height, (i + 1) * height),
                "convolution group" if i % 2 else "convolution window",
            )
            for i in range(groups)
        ]
