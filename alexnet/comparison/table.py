"""A comparison as lines of text and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from alexnet.comparison.rows import Row, titles
from alexnet.training.recipes import Recipe
from alexnet.views.tables import LAYOUT


def recipe_lines(recipes: Mapping[str, Recipe], seed: int) -> list[str]:
    """Return one line for each net, with the settings that all backends get."""
    return [
        f"{model} at {r.resize or 28}×{r.resize or 28}: {r.train_examples:,} images, epochs: "
        f"{r.num_epochs}, batches of {r.batch_size}, lr {r.lr:g}, momentum {r.momentum:g}"
        f"{', normalised' if r.normalize else ''}, seed {seed}"
        for model, r in recipes.items()
    ]


def rows_table(rows: Sequence[Row]) -> Table:
    """Return a table with one row for each backend, grouped by net if there are several.

    It shows the last epoch's loss and accuracies, examples per second and peak memory. ``Δ logits`` is the
    largest difference of the initial logits from the float64 reference, divided by its largest logit.
    """
    table = Table(**LAYOUT)
    for name in ("backend", "version", "device"):
        table.add_column(name, no_wrap=name == "backend")
    for name in ("loss", "train", "test", "ex/s", "peak MB", "Δ logits"):
        table.add_column(name, justify="right", no_wrap=True)
    models = list(dict.fromkeys(row.model for row in rows))
    for model in models:
        if len(models) > 1:
            table.add_section()
            table.add_row(model, style="bold")
        for row in rows:
            if row.model == model:
                table.add_row(*_cells(row))
    return table


def problems(rows: Sequence[Row]) -> list[str]:
    """Return one line for each row that has a problem or a note."""
    names = titles(rows)
    texts = ((names[row.name], row.problem or row.note) for row in rows)
    return [f"{name}: {text}" for name, text in texts if text]


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
