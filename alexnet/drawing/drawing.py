"""A drawing of nets, for a notebook or a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from alexnet.atomic import replacing
from alexnet.drawing.diagram import Diagram
from alexnet.drawing.elements import Page
from alexnet.drawing.layout import legend, page
from alexnet.drawing.scale import Scale, fitting
from alexnet.drawing.svg import as_img
from alexnet.errors import DataError

SUFFIXES = ".svg", ".png"


class Drawing:
    """A drawing of one net, or of several nets at one scale.

    A notebook shows it if a cell ends with it. Its ``repr`` is its text alternative. ``scale`` is the one
    that fits these nets, unless it is given.

    >>> from alexnet.drawing.diagram import Step
    >>> drawing = Drawing([Diagram("tiny", "15 parameters", (4,), (Step("FC (3)", (3,), "dense"),))])
    >>> drawing.svg[:4], "FC (3)" in drawing.svg
    ('<svg', True)
    """

    def __init__(self, diagrams: Sequence[Diagram], scale: Scale | None = None) -> None:
        self.diagrams = tuple(diagrams)
        if not self.diagrams:
            raise DataError("a drawing needs at least one net")
        self.scale = scale or fitting(self.diagrams)

    @property
    def title(self) -> str:
        """The names of the nets."""
        return f"Architecture of {', '.join(diagram.name for diagram in self.diagrams)}"

    @property
    def description(self) -> str:
        """The text alternative: every layer with its shape in a sentence, and the scale."""
        nets = (diagram.description for diagram in self.diagrams)
        return "\n".join([*nets, legend(self.diagrams, self.scale)])

    @property
    def svg(self) -> str:
        """The drawing as SVG, with the nets beside each other, light or dark like the page around it."""
        from alexnet.drawing.paint import svg

        return svg(self.page, self.title, self.description)

    @cached_property
    def page(self) -> Page:
        """Where everything lies in the picture."""
        from alexnet.drawing.paint import measure

        return page(self.diagrams, self.scale, measure)

    def save(self, path: str | Path) -> Path:
        """Save the drawing as SVG or PNG, by the suffix of ``path``. Return the path.

        An SVG file is light or dark like the page around it; a PNG file is light. If the process is killed,
        the file is either the old one or the new one. Raises DataError for another suffix, or if the file
        cannot be written.
        """
        from alexnet.drawing.paint import save_png

        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: a drawing's file name must end in {' or '.join(SUFFIXES)}")
        try:
            with replacing(path) as new:
                if path.suffix.lower() == ".svg":
                    new.write_text(self.svg, encoding="utf-8")
                else:
                    save_png(self.page, new)
        except (OSError, ValueError) as error:  # ValueError: no file can have such a path
            why = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"{path}: cannot write the drawing ({why})") from None
        return path

    def __repr__(self) -> str:
        return self.description

    def _repr_html_(self) -> str:
        """Return one picture for each net, beside each other where there is room."""
        alone = (Drawing([diagram], self.scale) for diagram in self.diagrams)
        pictures = "".join(as_img(drawing.svg, drawing.description) for drawing in alone)
        return f'<div style="display:flex;flex-wrap:wrap;align-items:end">{pictures}</div>'
