"""Measures the limits of this machine, and each layer in one framework, in worker processes."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.bench import limits
from alexnet.bench.limits import Limits
from alexnet.costs.job import Job
from alexnet.costs.layers import PASSES, Pass
from alexnet.errors import RunError
from alexnet.spec import ResolvedNet
from alexnet.workers import processes
from alexnet.workers.processes import Task

PROGRAM = "alexnet.costs.worker"
TIMEOUT = 600.0  # seconds; a worker that sends no event for so long is stopped
PRECISION = "float32"
DEVICES = ("cpu", "gpu")
LIMITS = "the limits of this machine"


@dataclass
class Measurement:
    """What was measured on this machine: its limits, and the seconds of each layer in one framework."""

    backend: str
    place: str  # one of `DEVICES`
    version: str = ""
    device: str = ""  # the framework's name of the device
    machine: str = ""
    limits: Limits = field(default_factory=Limits)
    seconds: dict[int, dict[str, float]] = field(default_factory=dict)
    """The fastest run of each layer by its index and the name of the pass, of a whole mini-batch."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why something is missing, by what was measured: the title of the framework, or `LIMITS`."""

    @property
    def peak(self) -> float | None:
        """The largest measured FLOP/s in float32, or None."""
        return self.limits.peak(PRECISION)

    @property
    def bandwidth(self) -> float | None:
        """The largest measured memory bandwidth in bytes/s, or None."""
        return self.limits.bytes_per_second

    @property
    def ridge(self) -> float | None:
        """The FLOP that the machine does at its peak while its memory moves one byte, or None."""
        return self.peak / self.bandwidth if self.peak and self.bandwidth else None

    def least_seconds(self, work: Pass) -> float | None:
        """Return the seconds that a pass takes at the limits of the machine, or None without them."""
        if not self.peak or not self.bandwidth:
            return None
        return max(work.flop / self.peak, work.bytes / self.bandwidth)

    def add(self, index: int, figures: dict[str, Any]) -> None:
        """Record the seconds of a layer. Raises ValueError unless they are finite and above 0.

        Every layer has a forward pass.
        """
        if "forward" not in figures:
            raise ValueError("the forward pass is missing")
        for name, value in figures.items():
            if name not in PASSES:
                raise ValueError(f"unknown pass {name!r:.60}")
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise ValueError(f"seconds must be above 0 and finite, got {value!r:.60}")
        self.seconds[index] = {name: float(value) for name, value in figures.items()}


def default_backend() -> str:
    """Return the first framework that is installed; without any, NumPy."""
    order = (backends.DEFAULT, *backends.FRAMEWORKS)
    found = (name for name in order if name != backends.REFERENCE and backends.installed(name))
    return next(found, backends.REFERENCE)


def check(net: ResolvedNet, backend: str, device: str) -> None:
    """Raise an error of this library for a net, a backend or a device that cannot be measured."""
    if device not in DEVICES:
        raise RunError(f"unknown device {device!r}; known: {', '.join(DEVICES)}")
    backends.require_installed(backend)
    backends.framework(backend).calls_of(net)


def measure(
    net: ResolvedNet,
    batch_size: int,
    backend: str,
    device: str,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Measurement:
    """Measure the limits of this machine, each layer of a net, and the limits again.

    The machine may do other work during one of the two measurements, so the larger value counts.
    ``folder`` gets the logs of the workers. ``say`` gets a line before each step. If something cannot be
    measured, `Measurement.problems` has the reason.
    """
    title = backends.framework(backend).title
    job = Job(backend, net.net.to_dict(), batch_size, device)
    peaks = limits.task((PRECISION,), device, {}, folder and folder / "peaks.log")
    layers = Task(job, sys.executable, folder and folder / f"{backend}.log", PROGRAM)
    found = Measurement(backend, device)
    with closing(processes.run([peaks, layers, peaks], TIMEOUT)) as events:
        for task, event in events:
            if event["event"] == "start":
                say(f"Measuring {f'each layer in {title}' if task is layers else LIMITS} …")
            try:
                if task is layers:
                    _record(found, net, event)
                else:
                    found.limits.record(task.job, event)
                problem = _problem(net, event)
            except (ValueError, TypeError, IndexError) as error:
                problem = f"sent the event {event['event']}, which cannot be read ({error})"
            if problem:  # the first one is the reason of the others
                found.problems.setdefault(title if task is layers else LIMITS, problem)
    return found


def _record(found: Measurement, net: ResolvedNet, event: dict[str, Any]) -> None:
    """Record an event of the worker that measures the layers. Raises an error for a wrong event."""
    match event["event"]:
        case "ready":
            found.version, found.device = event["version"], event["device"]
            found.machine = event["machine"]
        case "measured":
            if not 0 <= event["case"] < len(net.rows):
                raise ValueError(f"there is no layer {event['case']}")
            found.add(event["case"], event["figures"])


def _problem(net: ResolvedNet, event: dict[str, Any]) -> str:
    """Return why a worker could not measure something, or an empty text."""
    match event["event"]:
        case "failed" if not event["part"] and 0 <= event["case"] < len(net.rows):
            row = net.rows[event["case"]]
            return f"layer {row.index} {row.layer!r}: {event['message']}"
        case "failed" | "error":
            return str(event["message"])
        case "end" if event["problem"]:
            return " | ".join([event["problem"], *event["said"]])
    return ""
