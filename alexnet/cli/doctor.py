"""``alexnet doctor``: what is installed, what it can use here, and whether it computes rightly."""

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
    """What was found of one backend."""

    backend: str
    problem: str = ""  # why it cannot be used
    missing: bool = False  # it is not installed
    version: str = ""
    python: str = ""  # the interpreter, and its version
    gpu: str = ""  # those that it sees, or why it sees none
    threads: str = ""
    self_test: str = ""
    traps: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        return not self.problem


FIELDS = ("backend", "problem", "version", "python", "gpu", "threads", "self_test")


def find(names: Sequence[str], pythons: Mapping[str, str], timeout: float) -> Iterator[Finding]:
    """Look at each backend in a process of its own, which may crash."""
    check_timeout(timeout)
    tasks = []
    for name in names:
        if name not in pythons and not backends.installed(name):
            command = backends.framework(name).install_command
            yield Finding(name, f"not installed; {command}", missing=True)
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
    """Say of every backend whether it is there, what it can use, and whether it computes rightly."""
    names = named_backends(only)
    ill = []
    for finding in find(names or list(backends.FRAMEWORKS), interpreters(pythons or []), timeout):
        out.print(f"{backends.framework(finding.backend).title} {finding.version}".rstrip())
        for title in ("problem", "self_test", "gpu", "threads", "python"):
            if text := getattr(finding, title):
                out.print(f"  {title.replace('_', '-')}: {text}")
        for trap in finding.traps:
            out.print(f"  trap: {trap}")
        if not finding.well and (names or not finding.missing):
            ill.append(finding.backend)
    if ill:
        raise RunError(f"{', '.join(ill)} cannot be used as it is")
