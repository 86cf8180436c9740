"""Estimates how long the runs of a sweep will take, and says what the estimate is based on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from alexnet.backends import framework
from alexnet.bench.cases import training_flop
from alexnet.bench.peaks.numpy import peaks
from alexnet.comparison.rows import Row
from alexnet.comparison.terminal import duration
from alexnet.sweeps.plan import Combination
from alexnet.sweeps.results import Sweep
from alexnet.sweeps.run import unfinished
from alexnet.sweeps.settings import text_of
from alexnet.sweeps.table import FIGURES, heads
from alexnet.views.tables import LAYOUT

SHARE = 0.2  # assumed speed of training, as a share of the fastest matrix product
START = 8.0  # assumed seconds of a run outside training: start, tests, parity check


def work(combination: Combination) -> float:
    """Return the floating-point operations of a run: training and the tests after the epochs.

    >>> from alexnet.sweeps.plan import plan
    >>> (lenet,) = plan("lenet", {"lr": 0.5}, ["numpy"], full=True, data="sample").combinations()
    >>> f"{work(lenet):.2e}"
    '1.22e+11'
    """
    net, recipe = combination.table, combination.recipe
    one_epoch = training_flop(net) * recipe.train_examples + 2 * net.macs * recipe.test_examples
    return float(recipe.num_epochs * one_epoch)


@dataclass(frozen=True)
class Estimate:
    """The seconds that each run needs, one run after another, and in words what they are based on."""

    seconds: dict[str, float]  # by the row's name
    basis: str

    @property
    def total(self) -> float:
        """The seconds of all runs, one after another."""
        return sum(self.seconds.values())


def estimate(sweep: Sweep) -> Estimate:
    """Return the estimate for the runs that are missing.

    If a combination is done with another seed, the new run takes as long as that run. Otherwise, its time
    is its arithmetic divided by the median speed of the finished runs of its backend. Without such runs,
    the speed is a share of the speed of a matrix product on this machine, measured now.
    """
    speeds: dict[str, list[float]] = {}
    same: dict[tuple[str, str], list[float]] = {}
    for row in sweep.done:
        # A run that was interrupted has the seconds of its last process only.
        seconds = max(sweep.seconds.get(row.name, 0.0), FIGURES["seconds"](row))
        if seconds > 0:
            speeds.setdefault(row.backend, []).append(work(sweep.combinations[row.model]) / seconds)
            same.setdefault((row.model, row.backend), []).append(seconds)
    rows = unfinished(sweep)
    assumed = 0.0
    if any(row.backend not in speeds for row in rows):
        assumed = SHARE * peaks(None, "float32")["matmul"]
    found = {row.name: _seconds(sweep, row, same, speeds, assumed) for row in rows}
    return Estimate(found, _basis(rows, same, speeds, assumed))


def _seconds(
    sweep: Sweep,
    row: Row,
    same: dict[tuple[str, str], list[float]],
    speeds: dict[str, list[float]],
    assumed: float,
) -> float:
    if (row.model, row.backend) in same:
        return median(same[row.model, row.backend])
    needed = work(sweep.combinations[row.model])
    if row.backend in speeds:
        return needed / median(speeds[row.backend])
    return START + needed / assumed


def _basis(
    rows: Sequence[Row],
    same: dict[tuple[str, str], list[float]],
    speeds: dict[str, list[float]],
    assumed: float,
) -> str:
    """Return what the estimate is based on, in sentences."""
    said = []
    if any((row.model, row.backend) in same for row in rows):
        said.append("Combinations that are done with another seed: the time of those runs.")
    of_speeds = dict.fromkeys(
        row.backend
        for row in rows
        if row.backend in speeds and (row.model, row.backend) not in same
    )
    if of_speeds:
        names = ", ".join(
            f"{framework(name).title} {median(speeds[name]) / 1e9:,.1f} GFLOP/s"
            for name in of_speeds
        )
        said.append(
            "Other runs: their arithmetic at the speed of the runs that are done "
            f"({names}, start and tests included)."
        )
    unknown = dict.fromkeys(row.backend for row in rows if row.backend not in speeds)
    if unknown:
        names = ", ".join(framework(name).title for name in unknown)
        said.append(
            f"{names}: no run is done yet, so this is a rough guess. It takes the arithmetic of each run "
            f"at {SHARE:.0%} of the speed of NumPy's matrix product on this machine "
            f"({assumed / SHARE / 1e9:,.0f} GFLOP/s, measured now), and {START:.0f} s for its start and "
            "tests. Small nets and small batches can take several times as long, a GPU much less time."
        )
    return " ".join(said)


def dry_run(sweep: Sweep) -> list[str | Table]:
    """Return what ``--dry-run`` prints: the runs that are missing, their times, and the total."""
    found = estimate(sweep)
    done = len(sweep.rows) - len(found.seconds)
    if not found.seconds:
        return [f"All {len(sweep.rows):,} runs are done."]
    table = Table(**LAYOUT)
    for head in heads(sweep):
        table.add_column(head, no_wrap=True)
    table.add_column("seed", justify="right")
    table.add_column("GFLOP", justify="right")
    table.add_column("time", justify="right", no_wrap=True)
    for row in unfinished(sweep):
        combination = sweep.combinations[row.model]
        values = [text_of(combination.settings[name]) for name in sweep.plan.swept]
        if len(values) < len(heads(sweep)):
            values.append(row.backend)
        seconds = found.seconds[row.name]
        gigaflop = f"{work(combination) / 1e9:,.0f}"
        table.add_row(*values, str(row.seed), gigaflop, duration(seconds))
    runs = f"{len(found.seconds):,} runs" if len(found.seconds) > 1 else "1 run"
    return [
        table,
        f"{runs} to do{f', {done:,} done' if done else ''}: about {duration(found.total)}, one after "
        "another.",
        found.basis,
    ]
