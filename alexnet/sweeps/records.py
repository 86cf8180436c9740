"""The runs of a sweep as records of plain values, and as CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alexnet.comparison.rows import Row
from alexnet.sweeps.settings import SETTINGS, text_of
from alexnet.sweeps.table import FIGURES

if TYPE_CHECKING:
    from alexnet.sweeps.runs import Runs


def records(sweep: Runs) -> list[dict[str, Any]]:
    """Return a dict of plain values for each run, in the same order of keys."""
    of_net = [name for name in sweep.plan.settings if SETTINGS[name].of_net]
    return [_record(sweep, row, of_net) for row in sweep.rows]


def _record(sweep: Runs, row: Row, of_net: Sequence[str]) -> dict[str, Any]:
    combination = sweep.combinations[row.model]
    recipe, history = vars(combination.recipe), row.history
    figures = {name: figure(row) if history else None for name, figure in FIGURES.items()}
    state = "done" if history else "failed" if row.problem else "not done"
    net = combination.table
    return {
        "run": row.name,
        "net": sweep.plan.net.name,
        **{name: text_of(combination.settings[name]) for name in of_net},
        **{name: recipe[name] for name in SETTINGS if name in recipe},
        "resize": recipe["resize"] or 28,
        "backend": row.backend,
        "seed": row.seed,
        "state": state,
        **{name: None if v is None or not math.isfinite(v) else v for name, v in figures.items()},
        "run_seconds": sweep.seconds.get(row.name),
        "parameters": net.parameter_count,
        "multiply_adds": net.macs,
        "peak_memory": row.peak_memory,
        "precision_used": row.precision if history else None,
        "version": row.version,
        "device": row.device,
        "machine": row.machine,
        "problem": row.problem or row.note,
    }


def csv_text(sweep: Runs) -> str:
    """Return the records as CSV: a line for each run, with plain numbers; a missing value is empty."""
    rows = records(sweep)
    file = io.StringIO()
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\r\n")  # RFC 4180
    writer.writeheader()
    writer.writerows(
        {key: text_of(v) if isinstance(v, bool) else v for key, v in row.items()} for row in rows
    )
    return file.getvalue()
