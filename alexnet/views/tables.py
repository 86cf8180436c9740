"""Tables made with rich for a terminal, a file or a notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import rich.box
from rich.console import Console, Group
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from alexnet.spec import ResolvedNet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Lines under the header and above the footer; one space between columns, so AlexNet fits 80 characters.
LAYOUT: dict[str, Any] = {"box": rich.box.SIMPLE, "padding": 0, "show_edge": False}

GAP = 2  # characters between programs side by side
PRE = (  # on a phone, a table scrolls and keeps its lines
    '<pre style="white-space:pre;line-height:1.2;font-family:monospace;overflow-x:auto">{code}</pre>'
)


def summary_table(net: ResolvedNet) -> Table:
    """Return a table of a net's layers with their output shapes, parameters and costs, and the totals.

    Costs are for the forward pass of one example. "kB" is the size of the outputs in float32.
    """
    header, *rows, totals = net.table()
    table = Table(title=net.title, show_footer=True, **LAYOUT)
    for name, total in zip(header, totals, strict=True):
        left = name == "layer"
        table.add_column(name, total, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def side_by_side(programs: Mapping[str, str], width: int) -> Table:
    """Return programs under their titles, as many side by side as fit into ``width`` characters."""
    longest = max(len(line) for code in programs.values() for line in code.splitlines())
    columns = max(1, (width + GAP) // (longest + GAP))
    grid = Table.grid(padding=(0, GAP, 1, 0))
    blocks = [
        Group(
            Text(title, "bold"),
            Syntax(code, "python", theme="ansi_dark", background_color="default"),
        )
        for title, code in programs.items()
    ]
    for first in range(0, len(blocks), columns):
        grid.add_row(*blocks[first : first + columns])
    return grid


def as_text(parts: Iterable[object], width: int = 120) -> str:
    """Return lines and tables as plain text, for a file."""
    console = _console(width=width, color_system=None)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def as_html(
    parts: Iterable[object],
    figures: Iterable[Figure] = (),
    alt: str = "loss and accuracy over the epochs",
) -> str:
    """Return lines and tables, then figures, as HTML for a notebook. Closes the figures.

    ``alt`` says in words what the figures show.

    >>> as_html(["2 < 3"])
    '<p>2 &lt; 3</p>'
    """
    texts = [
        f"<p>{escape(part)}</p>" if isinstance(part, str) else _table_html(part) for part in parts
    ]
    return "".join([*texts, *(_figure_html(figure, alt) for figure in figures)])


def _table_html(table: object) -> str:
    console = _console(width=110, record=True)
    console.print(table)
    return console.export_html(code_format=PRE, inline_styles=True)


def _console(**options: Any) -> Console:
    return Console(
        file=io.StringIO(),
        force_jupyter=False,  # otherwise a notebook shows the output at once
        markup=False,
        highlight=False,
        soft_wrap=True,
        **options,
    )


def _figure_html(figure: Figure, alt: str) -> str:
    import matplotlib.pyplot as plt

    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100)
    plt.close(figure)  # otherwise a notebook shows the figure again
    data = base64.b64encode(png.getvalue()).decode()
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
