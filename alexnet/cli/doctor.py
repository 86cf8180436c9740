"""The command ``doctor``, which checks the backends that are installed here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from alexnet import backends
from alexnet.cli.options import Backends, Pythons, Timeout, named_backends, out
from alexnet.comparison.plan import check_timeout, interpreters
from alexnet.errors import RunError
from alexnet.training.recipes import recipe_for
from alexnet.workers import processes
from alexnet.workers.job import Job


@dataclass
class Finding:
    """The result of the check of one backend."""

    backend: str
    problem: str = ""  # why it cannot be used
    missing: bool = False  # whether it is not installed
    version: str = ""
    python: str = ""  # the interpreter and its version
    gpu: str = ""  # the GPUs that it sees, or why it sees no GPU
    threads: str = ""
    self_test: str = ""
    traps: tuple[str, ...] = ()  # known problems, and what is done about them

    @property
    def well(self) -> bool:
        return not self.problem


FIELDS = ("backend", "problem", "version", "python", "gpu", "threads", "self_test")


def find(names: Sequence[str], pythons: Mapping[str, str], timeout: float) -> Iterator[Finding]:
    """Yield a `Finding` for each backend, checked in a separate process because it may crash."""
    check_timeout(timeout)
    tasks = []
    for name in names:
        if name not in pythons and not backends.installed(name):
            yield Finding(name, backends.framework(name).missing, missing=True)
        else:
            job = Job("lenet", name, recipe_for("lenet", False), 0, None, kind="examine")
            tasks.append(processes.Task(job, pythons.get(name, sys.executable)))
    with closing(processes.run(tasks, timeout)) as events:
        for task, event in events:
            match event["event"]:
                case "start":
                    finding = Finding(task.job.backend, python=task.python)
                case "examined":
                    known: dict[str, Any] = {
                        k: str(v) for k, v in event["finding"].items() if k in FIELDS
                    }
                    finding = Finding(**known, traps=tuple(map(str, event["traps"])))
                case "error":
                    finding.problem = event["message"]
                case "end":
                    if not finding.version and not finding.problem:
                        finding.problem = event["problem"] or "ended without a result"
                    yield finding


def doctor(
    only: Backends = None,
    pythons: Pythons = None,
    timeout: Timeout = 600.0,
) -> None:
    """Check which backends are installed, what they can use, and whether they compute correctly."""
    names = named_backends(only)
    unusable = []
    for finding in find(names or list(backends.FRAMEWORKS), interpreters(pythons or []), timeout):
        out.print(f"{backends.framework(finding.backend).title} {finding.version}".rstrip())
        for title in ("problem", "self_test", "gpu", "threads", "python"):
            if text := getattr(finding, title):
                out.print(f"  {title.replace('_', '-')}: {text}")
        for trap in finding.traps:
            out.print(f"  known problem: {trap}")
        if not finding.well and (names or not finding.missing):
            unusable.append(finding.backend)
    if unusable:
        raise RunError(f"cannot use {', '.join(unusable)}; the problem is printed above")
