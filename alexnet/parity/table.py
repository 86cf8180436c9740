"""Differences from the NumPy reference as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from alexnet.parity.check import Differences
from alexnet.views.tables import LAYOUT


def parity_table(differences: Sequence[Differences], dtype: str) -> Table:
    """Return a table of each backend's largest differences. A backend that does not agree is red."""
    table = Table(**LAYOUT)
    table.add_column("backend", no_wrap=True)
    for name in ("logits", "loss", "gradients", "weights"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("largest in")
    for d in differences:
        figures = [f"{v:.1e}" for v in (d.logits, d.loss, d.gradients, d.weights)]
        where = d.problem or d.worst
        style = "" if d.agrees(dtype) else "red"
        table.add_row(d.backend, *([""] * 4 if d.problem else figures), where, style=style)
    return table
