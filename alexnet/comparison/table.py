"""A comparison as lines of text and a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.table import Table

from alexnet.backends import framework
from alexnet.comparison.agreement import is_short, steps_taken
from alexnet.comparison.plan import Plan
from alexnet.comparison.rows import Row, titles
from alexnet.training.recipes import Recipe
from alexnet.views.tables import LAYOUT

EMPTY = "–"


def recipe_lines(plan: Plan, seed: int) -> list[str]:
    """Return the settings that all backends share, one line for each net."""
    seeds = f"seeds {seed} to {seed + plan.seeds - 1}" if plan.seeds > 1 else f"seed {seed}"
    processes = f", {processes_of(plan)}" if plan.workers > 1 else ""
    return [
        f"{recipe_line(model, recipe)}, {seeds}{processes}"
        for model, recipe in plan.recipes.items()
    ]


def processes_of(plan: Plan) -> str:
    """Return how many processes train each net: ``2 processes`` or ``2 processes (NumPy: 1)``."""
    alone = [framework(name).title for name in plan.names if plan.processes(name) == 1]
    exceptions = f" ({', '.join(alone)}: 1)" if alone and plan.workers > 1 else ""
    return f"{plan.workers} process{'es' if plan.workers > 1 else ''}{exceptions}"


def recipe_line(what: str, r: Recipe) -> str:
    """Return a line with the settings of a recipe. ``what``: the net that trains."""
    return (
        f"{what} at {r.resize or 28}×{r.resize or 28}: {r.train_examples:,} images, epochs: "
        f"{r.num_epochs}, batches of {r.batch_size}, lr {r.lr:g}"
        f"{f' {r.schedule}' if r.schedule != 'constant' else ''}, momentum {r.momentum:g}"
        f"{' (Nesterov)' if r.nesterov else ''}"
        f"{f', precision {r.precision}' if r.precision != 'float32' else ''}"
        f"{', normalised' if r.normalize else ''}"
        f"{', flipped' if r.flip else ''}{f', cropped by {r.crop}' if r.crop else ''}"
    )


def rows_table(rows: Sequence[Row]) -> Table:
    """Return the table of results. Several nets have their own sections.

    Columns: loss and accuracies of the last epoch, speed, peak memory, and ``Δ logits``: the largest
    difference of the initial logits from the reference in float64, over the largest logit. A row that took
    only a part of the steps shows their number. Another precision than float32 stands after the backend's
    name. With several seeds, a line shows a backend's mean and
    standard deviation.
    """
    table = Table(**LAYOUT)
    several_seeds = any(row.seed is not None for row in rows)
    for name in ("backend",) if several_seeds else ("backend", "version", "device"):
        table.add_column(name, no_wrap=name == "backend")
    for name in ("loss", "train", "test", "ex/s", "peak MB", "Δ logits"):
        table.add_column(name, justify="right", no_wrap=True)
    models = list(dict.fromkeys(row.model for row in rows))
    for model in models:
        if len(models) > 1:
            table.add_section()
            table.add_row(model, style="bold")
        for backend in dict.fromkeys(row.backend for row in rows):
            group = [row for row in rows if (row.model, row.backend) == (model, backend)]
            if group:
                first = next((row for row in group if row.history), group[0])
                names = [backend + first.precision_note]
                names += [] if several_seeds else [first.version, first.device_name]
                table.add_row(*names, *cells(group))
    return table


def problems(rows: Sequence[Row]) -> list[str]:
    """Return a line for each row with a problem or a note."""
    titled = titles(rows)
    said = ((titled[row.name], row.problem or row.note) for row in rows)
    return [f"{title}: {text}" for title, text in said if text]


def cells(rows: Sequence[Row]) -> list[str]:
    """Return the figures of one backend: its only row, or its rows with several seeds."""
    done = [row for row in rows if row.history is not None]
    histories = [row.history for row in done if row.history is not None]
    if not histories:
        return [EMPTY] * 6
    if is_short(done[0]):
        learned = [EMPTY, EMPTY, f"{steps_taken(done[0])} steps"]
    else:
        learned = [
            _mean([getattr(history.last, figure) for history in histories])
            for figure in ("loss", "train_accuracy", "test_accuracy")
        ]
    peaks = [row.peak_memory for row in done if row.peak_memory]
    differences = [row.logits_difference for row in done if row.logits_difference is not None]
    return [
        *learned,
        f"{np.mean([history.examples_per_sec for history in histories]):.1f}",
        f"{max(peaks) / 1e6:,.0f}" if peaks else EMPTY,
        f"{max(differences):.1e}" if differences else EMPTY,
    ]


def _mean(values: Sequence[float]) -> str:
    """Return one number, or the mean and the standard deviation of several."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ±{np.std(values, ddof=1):.3f}"
