"""matplotlib figures as SVG pictures that are light or dark like the page around them."""

from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from contextlib import AbstractContextManager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, QUIET, PAPER = "#1f2328", "#59636e", "#ffffff"  # text, secondary lines, background
DARK = {INK: "#e6e8eb", QUIET: "#9aa4af", PAPER: "#1b1f24"}
"""The colours of a dark page for those of a light page, as in the report of a comparison."""

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
NAME = "alexnet-picture"


def drawing_style() -> AbstractContextManager[None]:
    """Return a context in which figures get these colours, not the user's own settings of matplotlib."""
    from matplotlib.style import context

    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    papered = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    settings: dict[Any, Any] = {
        **dict.fromkeys(inked, INK),
        **dict.fromkeys(papered, PAPER),
        "grid.color": QUIET,
        "grid.alpha": 0.25,
        "font.size": 9,
        "svg.fonttype": "none",  # text as text
        "svg.hashsalt": "alexnet",  # the same ids every time
    }
    return context(["default", settings])


def svg(figure: Figure, description: str, dark: Mapping[str, str]) -> str:
    """Return a figure as SVG, with a text alternative. Closes the figure.

    ``dark`` maps further colours of the figure to those for a dark page. A viewer that does not know dark
    pages shows the light colours.
    """
    import matplotlib.pyplot as plt

    file = io.StringIO()
    with drawing_style():
        figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(file.getvalue())
    for attribute, value in {"role": "img", "class": NAME}.items():
        root.set(attribute, value)
    for place, (tag, text) in enumerate({"desc": description, "style": _style(dark)}.items()):
        element = ET.Element(tag)
        element.text = text
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def as_img(picture: str, description: str) -> str:
    """Return an SVG picture as an HTML element for a notebook."""
    data = base64.b64encode(picture.encode()).decode()
    return (
        f'<img alt="{escape(description)}" style="max-width:100%;height:auto" '
        f'src="data:image/svg+xml;base64,{data}">'
    )


def _style(dark: Mapping[str, str]) -> str:
    """Return the style sheet: on a dark page, each colour has another value."""
    rules = "\n".join(
        f'.{NAME} [style*="{what}: {colour}"] {{ {what}: {other} !important }}'
        for colour, other in {**DARK, **dark}.items()
        for what in ("fill", "stroke")
    )
    size = f".{NAME} {{ max-width: 100%; height: auto }}"
    return f"{size}\n@media (prefers-color-scheme: dark) {{\n{rules}\n}}"
