"""A sweep as a table and as lines of text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from alexnet.backends import framework
from alexnet.comparison.rows import Row
from alexnet.comparison.table import EMPTY
from alexnet.sweeps.settings import label, text_of
from alexnet.views.tables import LAYOUT

if TYPE_CHECKING:
    from alexnet.sweeps.plan import Combination
    from alexnet.sweeps.runs import Runs


@dataclass(frozen=True)
class Line:
    """The runs of one combination in one backend, and their figures: one for each seed that is done."""

    combination: Combination
    backend: str
    rows: tuple[Row, ...]

    @property
    def done(self) -> list[Row]:
        """The rows that have a result."""
        return [row for row in self.rows if row.history is not None]

    def figures(self, name: str) -> np.ndarray:
        """Return a figure of `FIGURES` for each seed that is done: float64 (seeds,)."""
        return np.array([FIGURES[name](row) for row in self.done], dtype=float)

    def mean(self, name: str) -> float:
        """Return the mean over the seeds, or nan if no seed is done."""
        figures = self.figures(name)
        return float(figures.mean()) if len(figures) else math.nan

    def deviation(self, name: str) -> float:
        """Return the standard deviation over the seeds, or 0 if fewer than two are done."""
        figures = self.figures(name)
        return float(figures.std(ddof=1)) if len(figures) > 1 else 0.0

    @property
    def parameters(self) -> int:
        """The number of learned values of the net."""
        return self.combination.table.parameter_count


def _seconds(row: Row) -> float:
    assert row.history is not None
    return sum(epoch.seconds for epoch in row.history.epochs)


def _last(name: str) -> Callable[[Row], float]:
    def figure(row: Row) -> float:
        assert row.history is not None
        return float(getattr(row.history.last, name))

    return figure


def _speed(row: Row) -> float:
    assert row.history is not None
    return row.history.examples_per_sec


FIGURES: dict[str, Callable[[Row], float]] = {
    "test_accuracy": _last("test_accuracy"),
    "train_accuracy": _last("train_accuracy"),
    "loss": _last("loss"),
    "examples_per_sec": _speed,
    "seconds": _seconds,
}
"""The figures of a run: of the last epoch, the speed of training, and the seconds of all epochs."""

COLUMNS = {
    "test_accuracy": ("test", "{:.3f}"),
    "loss": ("loss", "{:.3f}"),
    "examples_per_sec": ("ex/s", "{:,.0f}"),
    "seconds": ("seconds", "{:,.1f}"),
}
"""The columns of the table, with their heads and formats."""


def lines(sweep: Runs) -> list[Line]:
    """Return the lines of the table: one for each combination and backend."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in sweep.rows:
        groups.setdefault((row.model, row.backend), []).append(row)
    return [
        Line(combination, name, tuple(groups[text, name]))
        for text, combination in sweep.combinations.items()
        for name in sweep.plan.names
    ]


def marks(found: Sequence[Line]) -> dict[int, list[str]]:
    """Return the marks of lines, by index: best (test accuracy), fastest (examples/s) and smallest.

    The smallest nets have the fewest parameters. Lines that are equal have the same mark; if all lines
    are equal, none has it. A line with a failed run has no mark.
    """
    marked: dict[int, list[str]] = {}
    failed = [any(row.problem for row in line.rows) for line in found]
    for mark, values in {
        "best": [line.mean("test_accuracy") for line in found],
        "fastest": [line.mean("examples_per_sec") for line in found],
        "smallest": [-float(line.parameters) if line.done else math.nan for line in found],
    }.items():
        values = [math.nan if bad else value for value, bad in zip(values, failed, strict=True)]
        known = [value for value in values if not math.isnan(value)]
        if len(set(known)) > 1:
            for number, value in enumerate(values):
                if value == max(known):
                    marked.setdefault(number, []).append(mark)
    return marked


def cells(line: Line) -> list[str]:
    """Return the figures of a line: means, with standard deviations if it has several seeds."""
    found = []
    for name in COLUMNS:
        text = number(name, line.mean(name)) if line.done else EMPTY
        if len(line.done) > 1:
            text += f" ±{number(name, line.deviation(name))}"
        found.append(text)
    return [*found, f"{line.parameters:,}"]


def number(name: str, value: float) -> str:
    """Return a figure in the format of its column. A large loss has an exponent.

    >>> number("loss", 0.25), number("loss", 4569157920.1)
    ('0.250', '4.57e+09')
    """
    form = COLUMNS[name][1]
    return f"{value:.2e}" if name == "loss" and value >= 1000 else form.format(value)


def names(sweep: Runs, line: Line) -> list[str]:
    """Return what distinguishes the line: its swept settings, and the backend if there are several."""
    settings = line.combination.settings
    found = [text_of(settings[name]) for name in sweep.plan.swept]
    return found + ([line.backend] if len(sweep.plan.names) > 1 or not found else [])


def heads(sweep: Runs) -> list[str]:
    """Return the heads of the columns in `names`."""
    swept = list(sweep.plan.swept)
    return swept + (["backend"] if len(sweep.plan.names) > 1 or not swept else [])


def seeds_done(sweep: Runs, line: Line) -> str:
    """Return how many seeds are done, such as ``2 of 3 seeds``, or an empty text if all are."""
    if len(line.done) == sweep.plan.seeds:
        return ""
    return f"{len(line.done)} of {sweep.plan.seeds} seeds" if sweep.plan.seeds > 1 else "no result"


def table(sweep: Runs) -> Table:
    """Return the table: a line for each combination and backend; its columns are the swept settings."""
    found = Table(**LAYOUT)
    for name in heads(sweep):
        found.add_column(name, no_wrap=True)
    its_lines = lines(sweep)
    columns = [head for head, _ in COLUMNS.values()]
    columns += ["parameters"] if several_sizes(its_lines) else []
    for name in columns:
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("", overflow="fold")
    marked = marks(its_lines)
    for place, line in enumerate(its_lines):
        remarks = [*marked.get(place, []), *filter(None, [seeds_done(sweep, line)])]
        figures = cells(line)[: len(columns)]
        found.add_row(*names(sweep, line), *figures, ", ".join(remarks))
    return found


def several_sizes(its_lines: Sequence[Line]) -> bool:
    """Return whether the nets differ in their numbers of parameters."""
    return len({line.parameters for line in its_lines}) > 1


def shared(sweep: Runs) -> str:
    """Return a line with what all runs have in common."""
    plan = sweep.plan
    recipe = plan.recipe
    fixed = {name: values[0] for name, values in plan.settings.items() if len(values) == 1}
    size = recipe.resize or 28
    parts = {
        "resize": f"at {size}×{size}",
        "train_examples": f"{recipe.train_examples:,} images",
        "num_epochs": f"epochs: {recipe.num_epochs}",
        "batch_size": f"batches of {recipe.batch_size}",
        "lr": f"lr {recipe.lr:g}",
        "schedule": recipe.schedule if recipe.schedule != "constant" else "",
        "momentum": f"momentum {recipe.momentum:g}",
        "nesterov": "Nesterov" if recipe.nesterov else "",
        "precision": recipe.precision if recipe.precision != "float32" else "",
        "normalize": "normalised" if recipe.normalize else "",
        "flip": "flipped" if recipe.flip else "",
        "crop": f"cropped by {recipe.crop}" if recipe.crop else "",
    }
    said = [text for name, text in parts.items() if text and name not in plan.settings]
    said += [label(fixed)] if fixed else []
    if len(plan.names) == 1:
        said.append(framework(plan.names[0]).title)
    sizes = {combination.table.parameter_count for combination in sweep.combinations.values()}
    if len(sizes) == 1:
        said.append(f"{sizes.pop():,} parameters")
    last = plan.seed + plan.seeds - 1
    said.append(f"seeds {plan.seed} to {last}" if plan.seeds > 1 else f"seed {plan.seed}")
    return f"{plan.net.name}: {', '.join(said)}"


def title(sweep: Runs, row: Row) -> str:
    """Return the swept settings of a run, with its framework if there are several."""
    settings = sweep.combinations[row.model].settings
    swept = label({name: settings[name] for name in sweep.plan.swept}) or sweep.plan.net.name
    return f"{swept} in {framework(row.backend).title}" if len(sweep.plan.names) > 1 else swept


def findings(sweep: Runs) -> list[str]:
    """Return in words which combination is best, fastest and smallest, if there is more than one."""
    its_lines = lines(sweep)
    said: dict[str, list[str]] = {}
    for number, its_marks in marks(its_lines).items():
        line = its_lines[number]
        for mark in its_marks:
            said.setdefault(mark, []).append(title(sweep, line.rows[0]))
    whats = {
        "best": "the highest test accuracy",
        "fastest": "the most examples per second",
        "smallest": "the fewest parameters",
    }
    return [
        f"{mark.capitalize()} ({what}): {'; '.join(said[mark])}."
        for mark, what in whats.items()
        if mark in said and len(said[mark]) <= 4  # a longer list does not help
    ]


def problems(sweep: Runs) -> list[str]:
    """Return a line for each run with a problem or a note, and one for the runs that are missing."""
    said = [
        f"{title(sweep, row)}, seed {row.seed}: {row.problem or row.note}"
        for row in sweep.rows
        if row.problem or row.note
    ]
    missing = sum(row.history is None and not row.problem for row in sweep.rows)
    if missing:
        what = "1 run is" if missing == 1 else f"{missing:,} runs are"
        said.append(f"{what} not done yet; alexnet sweep --resume {sweep.folder} continues")
    return said


def summary(sweep: Runs) -> list[str | Table]:
    """Return what to print: what all runs share, the table, the findings, and the problems."""
    return [shared(sweep), table(sweep), *findings(sweep), *problems(sweep)]
