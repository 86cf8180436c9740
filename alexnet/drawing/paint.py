"""A page as an SVG or as a PNG picture, drawn with matplotlib."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width
from warnings import catch_warnings, filterwarnings

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Polygon
from matplotlib.style import context
from matplotlib.textpath import text_to_path

from alexnet.drawing.elements import FONTS, Area, Lines, Page, Words
from alexnet.drawing.svg import DARK, INK, PAPER, QUIET, for_both_pages

PER_INCH = 96  # CSS pixels
POINT = 72 / PER_INCH  # the points in a CSS pixel
SHARP = 2  # pixels of a PNG file for each CSS pixel
LARGEST = 60_000  # pixels of a PNG file; matplotlib cannot draw more than 65,535

STYLE: list[Any] = [
    "default",  # not the user's own settings of matplotlib
    {
        "svg.fonttype": "none",  # text as text
        "svg.hashsalt": "alexnet",  # the same ids every time
        "text.hinting": "none",  # the same widths at every size
    },
]

# On a light page and on a dark page. No two roles have the same colour, so that the style of an SVG
# can replace each one.
COLOURS = {
    "ink": (INK, DARK[INK]),
    "quiet": (QUIET, DARK[QUIET]),
    "paper": (PAPER, DARK[PAPER]),
    "top": ("#dfeaf4", "#4a6580"),
    "front": ("#bdd3e6", "#36506a"),
    "side": ("#9dbbd6", "#263c52"),
    "edge": ("#4f6f8f", "#9db8d2"),
    "convolution": ("#a84300", "#ffa657"),
    "pooling": ("#1a7f37", "#63c174"),
    "dense": ("#6639ba", "#c297ff"),
    "reshape": ("#596470", "#9aa5b0"),
    "convolution window": ("#f4b183", "#b0662b"),
    "convolution group": ("#fbdcc4", "#6b4526"),  # each second group
    "pooling window": ("#93d2a0", "#2f7d43"),
}
BEAM = 0.13, 0.6  # opacity of a beam and its edges
THIN, THINNER = 0.8 * POINT, 0.6 * POINT  # lines


def measure(text: str, font: str) -> float:
    """Return the width of a text in CSS pixels, in one of `FONTS`.

    matplotlib's own font has no Chinese characters, which are as wide as the font's size.
    """
    size, bold = FONTS[font]
    properties = FontProperties(family="DejaVu Sans", weight=_weight(bold), size=size)
    narrow = "".join(c for c in text if east_asian_width(c) not in "FW")
    width, _, _ = text_to_path.get_text_width_height_descent(narrow, properties, ismath=False)
    return width + size * (len(text) - len(narrow))


def svg(page: Page, title: str, description: str) -> str:
    """Return a page as an SVG picture with a text alternative. Its colours follow the page around it.

    A viewer that does not know dark pages shows the light colours.
    """
    file = io.StringIO()
    with context(STYLE), catch_warnings():
        filterwarnings("ignore", "Glyph .* missing")  # the viewer has other fonts
        figure(page).savefig(file, format="svg", metadata={"Date": None})
    size = {"width": f"{page.width:.0f}", "height": f"{page.height:.0f}"}  # CSS pixels, not points
    return for_both_pages(
        file.getvalue(), {"title": title, "desc": description}, dict(COLOURS.values()), size
    )


def save_png(page: Page, path: Path) -> None:
    """Save a page as a PNG file in its light colours. A very high page gets fewer pixels."""
    scale = min(SHARP, LARGEST / max(page.width, page.height))
    with context(STYLE):
        figure(page).savefig(path, format="png", dpi=scale * PER_INCH)


def figure(page: Page) -> Figure:
    """Return a page as a matplotlib figure, in its light colours."""
    light = {role: colours[0] for role, colours in COLOURS.items()}
    size = page.width / PER_INCH, page.height / PER_INCH
    drawn = Figure(size, dpi=PER_INCH, facecolor=light["paper"])
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, page.width), ylim=(0, page.height))
    axes.set_axis_off()
    for element in page.elements:
        match element:
            case Area(points, role, name):
                look = _look(role, light)
                axes.add_patch(Polygon(points, joinstyle="round", gid=name or None, **look))
            case Lines(pairs, role):
                colour = light[role], BEAM[1]
                axes.add_collection(LineCollection(pairs, colors=[colour], linewidths=THINNER))
            case Words(x, y, text, font, role):
                fontsize, bold = FONTS[font]
                axes.text(
                    x,
                    y,
                    text,
                    fontsize=fontsize * POINT,
                    weight=_weight(bold),
                    color=light[role],
                    va="center_baseline",
                    parse_math=False,
                )
    return drawn


def _look(role: str, light: dict[str, str]) -> dict[str, Any]:
    """Return the colours of an area for matplotlib: a face, or the window or the beam of a kind of step."""
    kind, _, part = role.partition(" ")
    if part == "beam":
        inside, edge = ((light[kind], opacity) for opacity in BEAM)
        return {"facecolor": inside, "edgecolor": edge, "linewidth": THINNER}
    edge_role = kind if part else "edge"
    return {"facecolor": light[role], "edgecolor": light[edge_role], "linewidth": THIN}


def _weight(bold: bool) -> str:
    return "bold" if bold else "normal"
