"""Notebooks as Markdown pages, with the outputs that they were committed with."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from html import escape

import nbformat
from nbformat import NotebookNode

EMBEDDED = re.compile(r"data:image/(png|jpeg|svg\+xml);base64,([A-Za-z0-9+/=\s]+)")
SUFFIXES = {"png": ".png", "jpeg": ".jpg", "svg+xml": ".svg"}


def as_markdown(notebook: NotebookNode, after_first: str, save: Callable[[str, bytes], str]) -> str:
    """Return a notebook as Markdown.

    ``after_first`` is a paragraph that follows the first cell. ``save`` gets the name and the content of
    each picture, and returns its address. Equal pictures have equal names, so the pages in two languages
    share theirs.
    """
    first, *rest = notebook.cells
    parts = [*_parts(first), after_first, *(part for cell in rest for part in _parts(cell))]

    def as_file(found: re.Match[str]) -> str:
        kind, code = found.groups()
        content = base64.b64decode(code)
        return save(f"{hashlib.sha256(content).hexdigest()[:16]}{SUFFIXES[kind]}", content)

    return EMBEDDED.sub(as_file, "\n\n".join(parts)) + "\n"


def without_outputs(notebook: NotebookNode) -> str:
    """Return a notebook that has not run, as the text of a file."""
    new = deepcopy(notebook)
    for cell in new.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(new)


def _parts(cell: NotebookNode) -> Iterator[str]:
    """Yield a cell and its outputs as Markdown."""
    if cell.cell_type == "markdown":
        yield cell.source
    elif cell.cell_type == "code":
        yield _listing(cell.source, "python")
        for output in cell.outputs:
            yield _output(output)


def _output(output: NotebookNode) -> str:
    """Return an output as Markdown, in the form that Jupyter would choose."""
    data = output.get("data", {})
    if "text/html" in data:
        return _shown(data["text/html"])
    if "text/markdown" in data:
        return data["text/markdown"]
    if "image/svg+xml" in data:
        return _shown(data["image/svg+xml"])
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            about = output.metadata.get(kind, {})
            alt = escape(about.get("alt", ""))
            width = f' width="{about["width"]}"' if "width" in about else ""
            return _shown(f'<img alt="{alt}"{width} src="data:{kind};base64,{data[kind].strip()}">')
    return _listing(output.get("text", data.get("text/plain", "")), "text .output .no-copy")


def _listing(text: str, kind: str) -> str:
    """Return code or text as a listing, whose fence is longer than all fences in the text."""
    longest = max((len(ticks) for ticks in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence} {{ .{kind} }}\n{text.rstrip()}\n{fence}"


def _shown(html: str) -> str:
    return f'<div class="output" data-search-exclude>{html}</div>'
