"""What this machine can do at most: FLOP/s and bytes/s, measured in a worker process."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.bench.cases import Case
from alexnet.bench.job import Job
from alexnet.workers.processes import Task

PROGRAM = "alexnet.bench.worker"
PEAKS = ("peaks",)

Visits = dict[str, list[float]]
"""Values by kind of work, such as ``"matmul"`` or ``"copy"``: a list with one value of each visit."""


@dataclass
class Limits:
    """The fastest arithmetic and the fastest memory of this machine that were measured."""

    peaks: dict[str, Visits] = field(default_factory=dict)  # FLOP/s, by precision
    bandwidth: Visits = field(default_factory=dict)  # bytes/s, read and written

    def peak(self, precision: str) -> float | None:
        """Return the largest measured FLOP/s in a precision, or None if it was not measured."""
        return _largest(self.peaks.get(precision, {}))

    @property
    def bytes_per_second(self) -> float | None:
        """The largest measured memory bandwidth in bytes/s, or None if it was not measured.

        >>> Limits(bandwidth={"copy": [9e9, 11e9], "triad": [10e9, 10e9]}).bytes_per_second
        11000000000.0
        """
        return _largest(self.bandwidth)

    def record(self, job: Job, event: dict[str, Any]) -> None:
        """Record an event of the worker of `task`. A figure that cannot be measured has no limit.

        Raises ValueError, TypeError or IndexError for an event that is wrong.
        """
        match event["event"]:
            case "measured":
                precision = job.cases[event["case"]].precision
                _append(self.peaks.setdefault(precision, {}), event["figures"])
            case "bandwidth":
                _append(self.bandwidth, event["figures"])


def task(
    precisions: Sequence[str], device: str | None, pythons: Mapping[str, str], log: Path | None
) -> Task:
    """Return the task that measures the peaks in these precisions, and the memory bandwidth.

    The default framework measures them if it is installed, else NumPy, which fails on a GPU.
    """
    fastest = backends.DEFAULT
    usable = fastest in pythons or backends.installed(fastest)
    name = fastest if usable else backends.REFERENCE
    cases = tuple(Case("lenet", 28, 1, precision, 1, 2) for precision in precisions)
    job = Job(name, cases, PEAKS, device=device)
    return Task(job, pythons.get(name, sys.executable), log, PROGRAM)


def _append(visits: Visits, figures: dict[str, Any]) -> None:
    for kind, value in figures.items():
        visits.setdefault(kind, []).append(float(value))


def _largest(visits: Visits) -> float | None:
    return max((max(values) for values in visits.values() if values), default=None)
