"""The rows of a report's runs, with names that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alexnet.backends import framework
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Row
from alexnet.spec import ResolvedNet, shape_text
from alexnet.training.recipes import net_for


@dataclass(frozen=True)
class Entry:
    """A row of a run. ``net`` includes the input size if the report has that net in several sizes."""

    run: str
    net: str
    comparison: Comparison
    row: Row
    table: ResolvedNet

    @property
    def title(self) -> str:
        return framework(self.row.backend).title + self.row.precision_note

    @property
    def label(self) -> str:
        """The title, with the seed if the run has several."""
        return self.title if self.row.seed is None else f"{self.title}, seed {self.row.seed}"


def entries_of(runs: Mapping[str, Comparison]) -> list[Entry]:
    """Return the rows of these runs, in order."""
    tables = {
        (run, model): net_for(comparison.plan.net(model), recipe)
        for run, comparison in runs.items()
        for model, recipe in comparison.plan.recipes.items()
    }
    shapes: dict[str, set[str]] = {}
    for table in tables.values():
        shapes.setdefault(table.name, set()).add(shape_text(table.input_shape))

    def name_of(table: ResolvedNet) -> str:
        several = len(shapes[table.name]) > 1
        return f"{table.name} at {shape_text(table.input_shape)}" if several else table.name

    return [
        Entry(run, name_of(tables[run, row.model]), comparison, row, tables[run, row.model])
        for run, comparison in runs.items()
        for row in comparison.rows
    ]
