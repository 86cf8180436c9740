"""Tables for the terminal, made with rich."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rich.box
from rich.console import Console, Group
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from alexnet.comparison.results import titles
from alexnet.spec import ResolvedNet, shape_text

if TYPE_CHECKING:
    from alexnet.comparison.results import Comparison, Row
    from alexnet.parity.check import Differences


# A line under the head and above the foot, one space between columns: AlexNet's fit 80 characters.
LAYOUT: dict[str, Any] = {"box": rich.box.SIMPLE, "padding": 0, "show_edge": False}

GAP = 2  # characters between programs side by side


def summary_table(net: ResolvedNet) -> Table:
    """The layers of a net with their shapes, parameters and costs, and the totals.

    Multiply-adds and memory (of the outputs, float32) are for one example's forward pass.
    """
    title = f"{net.name}, input {shape_text(net.input_shape)}"
    table = Table(title=title, show_footer=True, **LAYOUT)
    totals = {
        "#": "",
        "layer": "total",
        "output": "",
        "parameters": f"{net.parameter_count:,}",
        "multiply-adds": f"{net.macs:,}",
        "kB": f"{net.activation_bytes / 1000:,.1f}",
    }
    for name, total in totals.items():
        left = name == "layer"
        table.add_column(name, total, justify="left" if left else "right", no_wrap=True)
    for row in net.rows:
        table.add_row(
            str(row.index),
            repr(row.layer),
            shape_text(row.output_shape),
            f"{row.parameter_count:,}",
            f"{row.macs:,}",
            f"{row.activation_bytes / 1000:,.1f}",
        )
    return table


def parity_table(differences: Sequence[Differences], dtype: str) -> Table:
    """A row for each backend: its largest differences from the reference, and where the largest is."""
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


def recipe_lines(comparison: Comparison) -> list[str]:
    """What every backend of a comparison was given, a line for each net."""
    return [
        f"{model} at {r.resize or 28}×{r.resize or 28}: {r.train_examples:,} images, epochs: "
        f"{r.num_epochs}, batches of {r.batch_size}, lr {r.lr:g}, momentum {r.momentum:g}"
        f"{', normalised' if r.normalize else ''}, seed {comparison.seed}"
        for model, r in comparison.plan.recipes.items()
    ]


def comparison_table(comparison: Comparison) -> Table:
    """A row for each backend, under its net where there are several: the last epoch's loss and
    accuracies, speed, memory, parity.

    ``Δ logits`` is the largest difference of the initial logits from the reference in double
    precision, over the largest logit.
    """
    table = Table(**LAYOUT)
    for name in ("backend", "version", "device"):
        table.add_column(name, no_wrap=name == "backend")
    for name in ("loss", "train", "test", "ex/s", "peak MB", "Δ logits"):
        table.add_column(name, justify="right", no_wrap=True)
    for model in comparison.models:
        if len(comparison.models) > 1:
            table.add_section()
            table.add_row(model, style="bold")
        for row in comparison.rows:
            if row.model == model:
                table.add_row(*_cells(row))
    return table


def problems(comparison: Comparison) -> list[str]:
    """A line for each row that did not come through, or not well, saying why."""
    titled = titles(comparison.rows)
    rows = ((titled[row.name], row.problem or row.note) for row in comparison.rows)
    return [f"{title}: {text}" for title, text in rows if text]


def _cells(row: Row) -> list[str]:
    h = row.history
    if h is None:
        return [row.backend, row.version, row.device, *["–"] * 6]
    peak = f"{row.peak_memory / 1e6:,.0f}" if row.peak_memory else "–"
    difference = f"{row.logits_difference:.1e}" if row.logits_difference is not None else "–"
    e = h.last
    return [
        row.backend,
        row.version,
        row.device,
        f"{e.loss:.3f}",
        f"{e.train_accuracy:.3f}",
        f"{e.test_accuracy:.3f}",
        f"{h.examples_per_sec:.1f}",
        peak,
        difference,
    ]


def as_text(comparison: Comparison, width: int = 120) -> str:
    """A comparison as plain text, for a file."""
    console = Console(
        file=io.StringIO(),
        force_jupyter=False,  # it would show by itself what is printed
        width=width,
        color_system=None,
        markup=False,
        soft_wrap=True,
    )
    console.print(f"Images: {comparison.data}")
    for line in recipe_lines(comparison):
        console.print(line)
    console.print(comparison_table(comparison))
    for line in problems(comparison):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def side_by_side(programs: Mapping[str, str], width: int) -> Table:
    """Programs under their titles, as many beside each other as there is room for."""
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
