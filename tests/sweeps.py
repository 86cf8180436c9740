"""Small sweeps: their plans, and results written by hand."""

from __future__ import annotations

from reports import history

from alexnet.sweeps.plan import plan
from alexnet.sweeps.results import RUNS, Sweep

TINY = {"train_examples": 48, "test_examples": 16, "num_epochs": 1}
BEGUN = "2026-11-22T08:00:00+00:00"


def planned(settings, names=("numpy",), **options):
    return plan("lenet", settings, list(names), data="sample", **options)


def by_hand(folder, settings, accuracy, names=("numpy",), **options):
    """A sweep whose runs have the test accuracy that ``accuracy(settings, backend, seed)`` returns."""
    found = Sweep(planned(settings, names, **options), folder, BEGUN)
    found.rows = found.plan.rows()
    for row in found.rows:
        row.version, row.device, row.machine = "1.2.3", "cpu", "a machine"
        row.history = history(row.backend)
        its_settings = found.combinations[row.model].settings
        row.history.last.test_accuracy = accuracy(its_settings, row.backend, row.seed)
        found.seconds[row.name] = 2.0
    return found


def contents(folder):
    """The bytes of the files of all runs, by name."""
    return {path.name: path.read_bytes() for path in (folder / RUNS).glob("*.json")}
