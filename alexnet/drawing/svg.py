"""matplotlib's SVG pictures, light or dark as the page around them, with a text alternative."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from html import escape

INK, QUIET, PAPER = "#1f2328", "#59636e", "#ffffff"  # text, secondary lines, background
DARK = {INK: "#e6e8eb", QUIET: "#9aa4af", PAPER: "#1b1f24"}
"""The colours of a dark page for those of a light page, as in the report of a comparison."""

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
NAME = "alexnet-picture"  # the class of an SVG, so that its style changes nothing else on a page


def for_both_pages(
    source: str,
    texts: Mapping[str, str],
    dark: Mapping[str, str],
    attributes: Mapping[str, str] | None = None,
) -> str:
    """Return an SVG picture of matplotlib with a text alternative and the colours of a dark page.

    ``texts`` are the texts of elements such as ``desc`` and ``title``. ``dark`` maps the colours of the
    picture to those on a dark page, in addition to `DARK`. ``attributes`` are set on the SVG element. A
    viewer that does not know dark pages shows the light colours.
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(source)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)  # it names matplotlib only
    for attribute, value in {"role": "img", "class": NAME, **(attributes or {})}.items():
        root.set(attribute, value)
    for place, (tag, text) in enumerate({**texts, "style": _style(dark)}.items()):
        element = ET.Element(f"{{{SVG}}}{tag}")
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
