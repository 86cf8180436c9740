"""Where everything lies: each net is a tower from its input, at the bottom, to its name."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle

from alexnet.drawing.diagram import Diagram, Step
from alexnet.drawing.elements import Area, Element, Page, Words
from alexnet.drawing.scale import Scale
from alexnet.drawing.solids import Link, Solid
from alexnet.shapes import Shape, shape_text

MARGIN = 10.0  # around the drawing
BESIDE = 12.0  # between the boxes and their texts
BETWEEN = 24.0  # between nets
GAP = 34.0  # least distance between boxes
AIR = 11.0  # around the texts of a step
SPACE = 5.0  # around the texts of a box
LINE = 15.5  # height of a line of text
LONGEST_NAME = 32  # characters of a net's name in one line
PLACES = 0.06, 0.94  # windows lie left and right in turn, so they do not cover each other

Measure = Callable[[str, str], float]
"""Returns the width of a text in one of `FONTS`."""

Line = tuple[str, str, str]
"""A text, its font and its colour."""


@dataclass(frozen=True)
class Floor:
    """An image or a vector, the step that gives it (None: the input), and the labels beside it."""

    shape: Shape
    step: Step | None
    name: str  # "input", "layer3"
    labels: list[str] = field(default_factory=list)


def floors(diagram: Diagram) -> list[Floor]:
    """Return the floors of a net's tower, from the input on."""
    found = [Floor(diagram.input_shape, None, "input")]
    for index, step in enumerate(diagram.steps):
        if step.kind == "label":
            found[-1].labels.append(step.title)
        else:
            found.append(Floor(step.shape, step, f"layer{index}"))
    return found


def page(diagrams: Sequence[Diagram], scale: Scale, measure: Measure) -> Page:
    """Return a drawing of nets beside each other, and below them the words of the scale."""
    towers = [_tower(diagram, number, scale, measure) for number, diagram in enumerate(diagrams)]
    width = sum(tower.width for tower in towers) + BETWEEN * (len(towers) - 1) + 2 * MARGIN
    lines = _wrapped(legend(diagrams, scale), width - 2 * MARGIN, measure)
    texts = _Texts(MARGIN)
    texts.add([(line, "small", "quiet") for line in reversed(lines)])
    texts.y += AIR
    elements: list[Element] = [words.moved(MARGIN, 0) for words in texts.words]
    x = MARGIN
    for tower in towers:
        elements += [element.moved(x, texts.y) for element in tower.elements]
        x += tower.width + BETWEEN
    height = texts.y + max(tower.height for tower in towers) + MARGIN
    return Page(width, height, tuple(elements))


def legend(diagrams: Sequence[Diagram], scale: Scale) -> str:
    """Return the sentences that explain what the lengths and the marks mean."""
    shapes = [shape for diagram in diagrams for shape in diagram.shapes]
    logarithmic = []
    found = ["The input is at the bottom."]
    if any(len(shape) == 3 for shape in shapes):
        found.append(
            "Heights and widths are to scale."
            if scale.power == 1
            else "Heights and widths: square-root scale (4 times the pixels, twice the length)."
        )
        logarithmic.append("channels")
    if any(len(shape) == 1 for shape in shapes):
        logarithmic.append("vectors")
    found.append(f"{' and '.join(logarithmic).capitalize()}: log scale.")
    if any(step.window for diagram in diagrams for step in diagram.steps):
        found.append("In colour: one position of each window.")
    return " ".join(found)


@dataclass
class _Texts:
    """Lines of text above each other, and the height that they have reached."""

    y: float
    words: list[Words] = field(default_factory=list)

    def add(self, lines: Sequence[Line], least: float = 0) -> float:
        """Add lines from the lowest up, in the middle of a room. Return the height of the room.

        The room is at least ``least`` high.
        """
        room = max(least, LINE * len(lines))
        low = self.y + (room - LINE * len(lines)) / 2
        for number, line in enumerate(lines):
            self.words.append(Words(0, low + LINE * (number + 0.5), *line))
        self.y += room
        return room


def _tower(diagram: Diagram, number: int, scale: Scale, measure: Measure) -> Page:
    every = floors(diagram)
    texts = _Texts(0)
    solids: list[Solid] = []
    for floor in every:
        texts.add(*_step_lines(floor))
        solid = Solid.of(floor.shape, scale)
        labels = [(label, "small", "quiet") for label in floor.labels]
        low = texts.y
        lines = [(shape_text(floor.shape), "shape", "ink"), *labels]
        room = texts.add(lines, max(solid.seen_height, LINE * len(lines) + SPACE))
        solids.append(replace(solid, y=low + (room - solid.seen_height) / 2))
    links = [
        Link(floor.step, lower, upper, scale, place)
        for floor, lower, upper, place in zip(every[1:], solids, solids[1:], cycle(PLACES))
        if floor.step is not None
    ]
    shown = _boxes(solids, links, [f"net{number}-{floor.name}" for floor in every])
    places = [x for element in shown if isinstance(element, Area) for x, _ in element.points]
    left, right = min(places), max(places) + BESIDE
    words = [line.moved(right, 0) for line in texts.words]
    head = _Texts(texts.y + AIR)
    name_lines = [(line, "title", "ink") for line in textwrap.wrap(diagram.name, LONGEST_NAME)]
    head.add([(diagram.note, "small", "quiet"), *reversed(name_lines)])
    words += [line.moved(left, 0) for line in head.words]
    end = max(line.x + measure(line.text, line.font) for line in words)
    moved = (element.moved(-left, 0) for element in [*shown, *words])
    return Page(end - left, head.y, tuple(moved))


def _step_lines(floor: Floor) -> tuple[list[Line], float]:
    """Return the texts below a floor, and the least room for them."""
    step = floor.step
    if step is None:
        return [("Image" if len(floor.shape) == 3 else "Input", "name", "ink")], LINE + AIR / 2
    lines: list[Line] = [(step.details, "small", "quiet")] if step.details else []
    lines.append((step.name, "name", step.kind))
    return lines, max(GAP, LINE * len(lines) + AIR)


def _boxes(solids: Sequence[Solid], links: Sequence[Link], names: Sequence[str]) -> list[Element]:
    """Return the boxes with the windows on them and between them, from the lowest to the highest."""
    found: list[Element] = []
    for number, (solid, name) in enumerate(zip(solids, names, strict=True)):
        if number:
            found += links[number - 1].between()
        found += solid.faces(name)
        if number:
            found += links[number - 1].on_output()
        if number < len(links):
            found += links[number].on_input()
    return found


def _wrapped(text: str, width: float, measure: Measure) -> list[str]:
    """Return a text in lines of at most this width, if its words are not wider."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure(longer, "small") > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
