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
    traps: tuple[str, ...] = ()  # known problems, each with what is done about it

    @property
    def well(self) -> bool:
        return not self.problem


FIELDS = ("backend", "problem", "version", "python", "gpu", "threads", "self_test")


def find(names: Sequence[str], pythons: Mapping[str, str], timeout: float) -> Iterator[Finding]:
    """Yield a `Finding` for each backend, checked in a separate process because it may crash."""
    check_timeout(timeout)
    for name in names:
        if name not in pythons and not backends.installed(name):
            yield Finding(name, backends.framework(name).missing, missing=True)
        else:
            yield _examine(name, pythons.get(name, sys.executable), timeout)


def _examine(name: str, python: str, timeout: float) -> Finding:
    """Return the `Finding` of a worker with this backend and interpreter."""
    job = Job("lenet", name, recipe_for("lenet", False), 0, None, kind="examine")
    finding = Finding(name, python=python)
    with closing(processes.run([processes.Task(job, python)], timeout)) as events:
        for _, event in events:
            match event["event"]:
                case "examined":
                    known: dict[str, Any] = {
                        k: str(v) for k, v in event["finding"].items() if k in FIELDS
                    }
                    finding = Finding(**known, traps=tuple(map(str, event["traps"])))
                case "error":
                    finding.problem = event["message"]
                case "end" if not finding.version and not finding.problem:
                    finding.problem = event["problem"] or "ended without a result"
    return finding


def doctor(
    only: Backends = None,
    pythons: Pythons = None,
    timeout: Timeout = 600.0,
) -> None:
    """Check which backends are installed, what they can use, and whether they compute correctly."""
    names = named_backends(only)
    checked, working, unusable = names or list(backends.FRAMEWORKS), 0, []
    for finding in find(checked, interpreters(pythons or []), timeout):
        working += finding.well
        out.print(f"{backends.framework(finding.backend).title} {finding.version}".rstrip())
        for title in ("problem", "self_test", "gpu", "threads", "python"):
            if text := getattr(finding, title):
                out.print(f"  {title.replace('_', '-')}: {text}")
        for trap in finding.traps:
            out.print(f"  note: {trap}")
        if not finding.well and (names or not finding.missing):
            unusable.append(finding.backend)
    out.print(f"Working backends: {working} of {len(checked)}")
    if unusable:
        raise RunError(f"cannot use {', '.join(unusable)}; the problem is printed above")
