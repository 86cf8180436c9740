"""Runs a bench: in each round every backend takes its turn in a new process, one at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.atomic import replacing
from alexnet.bench import hand, limits
from alexnet.bench.cases import Case
from alexnet.bench.job import Job
from alexnet.bench.limits import PEAKS, PROGRAM
from alexnet.bench.picture import picture
from alexnet.bench.plan import WORKERS, Plan
from alexnet.bench.results import FILE, Bench, Row, empty_rows
from alexnet.bench.table import summary
from alexnet.errors import MissingBackendError
from alexnet.views.tables import as_text
from alexnet.workers import processes
from alexnet.workers.folders import locked, new_folder

Said = Callable[[str], None]


def run_plan(plan: Plan, out: Path | None = None, say: Said = lambda line: None) -> Bench:
    """Run a plan. Saves the results in the folder ``out`` after each turn of a backend.

    The folder defaults to ``runs/bench-<time>``. ``say`` gets a line before each turn. If a backend is not
    installed or its worker fails, its rows give the reason, and the others still run. Ctrl-C stops the
    worker and returns the results so far. Raises RunError if the folder cannot be used, and
    MissingBackendError, before anything is measured, if no backend is installed.
    """
    if not any(_can_run(plan, name) for name in plan.names):
        entries = [backends.framework(name) for name in plan.names]
        raise MissingBackendError(
            "; ".join(f"{entry.title} is {entry.missing}" for entry in entries)
        )
    begun = datetime.now().astimezone().isoformat(timespec="seconds")
    bench = Bench(
        plan,
        new_folder(
            "bench", out, [FILE], holds="a bench", advice="choose another folder with --out"
        ),
        begun,
        empty_rows(plan),
    )
    with locked(bench.folder, "bench"):
        _run_locked(bench, say)
    return bench


def _run_locked(bench: Bench, say: Said) -> None:
    """Do the rounds, and save the results after each turn of a backend."""
    plan = bench.plan
    bench.hand_loops = hand.folder() is not None
    for row in bench.rows:
        if not _can_run(plan, row.backend):
            row.problem, row.missing = backends.framework(row.backend).missing, True
    started = time.monotonic()
    try:
        for number in _rounds(plan):
            for task in _tasks(bench, number):
                say(_line(task.job, number))
                _run(bench, task)
                bench.seconds = time.monotonic() - started
                _save(bench)
            bench.rounds += 1
        for task in _peaks(bench):  # the first ones were measured before each round
            _run(bench, task)
    except KeyboardInterrupt:
        bench.interrupted = True
    bench.seconds = time.monotonic() - started
    _save(bench)


def _can_run(plan: Plan, name: str) -> bool:
    return name in plan.pythons or backends.installed(name)


def _save(bench: Bench) -> None:
    """Write bench.json, table.txt and bench.png to the run's folder."""
    bench.save()
    with replacing(bench.folder / "table.txt") as new:
        new.write_text(as_text(summary(bench)), encoding="utf-8")
    if any(row.figures for row in bench.rows):  # an error in the picture must not lose the results
        with suppress(Exception), replacing(bench.folder / "bench.png") as new:
            picture(bench).savefig(new, dpi=150)


def _rounds(plan: Plan) -> Iterator[int]:
    """Yield the numbers of the rounds, as long as the next one is likely to end in time."""
    started = time.monotonic()
    longest = 0.0
    for number in range(plan.rounds):
        begun = time.monotonic()
        ends = begun - started + longest
        if number >= plan.fewest and plan.seconds is not None and ends > plan.seconds:
            return
        yield number
        longest = max(longest, time.monotonic() - begun)


def _tasks(bench: Bench, number: int) -> Iterator[processes.Task]:
    """Yield the tasks of a round: the machine's peaks, then each backend with the cases that work.

    The parts of a backend come in one order and in the opposite order, in turn, because the first part in a
    process finds less memory allocated than the last.
    """
    plan = bench.plan
    yield from _peaks(bench)
    alone = plan.sweep is not None  # peak memory and threads belong to a process
    parts = plan.parts[::-1] if number % 2 else plan.parts
    if plan.device == "gpu" and number == 0 and not alone and plan.seconds is None:
        parts = (*parts, "recipe")
    groups = [[case] for case in plan.cases] if alone else [plan.cases]
    pairs = [(group, name) for group in groups for name in plan.names]
    if plan.sweep == WORKERS:  # the speed-ups compare the cases of one backend
        pairs.sort(key=lambda pair: plan.names.index(pair[1]))
    for group, name in pairs:
        failed = [plan.cases[r.case] for r in bench.rows if r.backend == name and r.problem]
        cases = tuple(case for case in group if case not in failed)
        if cases:
            job = Job(
                name,
                cases,
                parts,
                plan.root,
                plan.device if name != backends.REFERENCE else None,
                str(hand.folder()) if bench.hand_loops else None,
            )
            yield _task(bench, job, cases[0])


def _peaks(bench: Bench) -> Iterator[processes.Task]:
    """Yield the task that measures the machine's peaks in every precision that the cases may use."""
    plan = bench.plan
    if plan.sweep is not None:
        return
    wanted = {case.precision for case in plan.cases}
    known = ("float32", "bfloat16", *(("tf32",) if plan.device == "gpu" else ()))
    precisions = known if "auto" in wanted else [p for p in known if p in wanted]
    yield limits.task(precisions, plan.device, plan.pythons, bench.folder / "peaks.log")


def _task(bench: Bench, job: Job, first: Case) -> processes.Task:
    python = bench.plan.pythons.get(job.backend, sys.executable)
    log = bench.folder / f"{job.backend}.log"
    return processes.Task(job, python, log, PROGRAM, first.threads, first.processes or 1)


def _line(job: Job, number: int) -> str:
    if job.parts == PEAKS:
        return f"round {number + 1}: the machine's peaks"
    cases = "; ".join(case.title for case in job.cases)
    return f"round {number + 1}: {backends.framework(job.backend).title}, {cases}"


def _run(bench: Bench, task: processes.Task) -> None:
    """Run one worker to its end and record its events."""
    job: Job = task.job
    cases = bench.plan.cases
    mine = [row for row in bench.rows if row.backend == job.backend]
    rows = [row for row in mine if job.parts != PEAKS and cases[row.case] in job.cases]
    with closing(processes.run([task], bench.plan.timeout)) as events:
        for _, event in events:
            try:
                if job.parts == PEAKS:
                    bench.limits.record(job, event)
                else:
                    _record(bench, rows, event)
            except (ValueError, TypeError, IndexError) as error:
                _fail(rows, f"sent the event {event['event']}, which cannot be read ({error})")
                return
    for row in rows:  # another row trains in the same precision and has the figures
        if not (row.figures or row.problems or row.problem):
            same = replace(cases[row.case], precision=row.precision)
            row.figures = next((r.figures for r in mine if cases[r.case] == same), {})
            if not row.figures:
                _fail([row], "ended without a result")


def _record(bench: Bench, rows: list[Row], event: dict[str, Any]) -> None:
    """Record the event of a worker that measures ``rows``. Raises an error for an event that is wrong."""
    match event["event"]:
        case "ready":
            for row in rows:
                row.version, row.device = event["version"], event["device"]
            bench.machine = bench.machine or event["machine"]
        case "measured":
            row = _row(rows, event)
            row.precision = event["precision"]
            row.add(event["figures"])
        case "failed":
            row = _row(rows, event)
            if event["part"]:
                row.problems.setdefault(event["part"], event["message"])
            else:
                _fail([row], event["message"])
        case "error":
            _fail(rows, event["message"])
        case "end" if event["problem"]:
            _fail(rows, " | ".join([event["problem"], *event["said"]]))


def _row(rows: list[Row], event: dict[str, Any]) -> Row:
    if not 0 <= event["case"] < len(rows):
        raise ValueError(f"there is no case {event['case']}")
    return rows[event["case"]]


def _fail(rows: list[Row], why: str) -> None:
    """Record why rows failed. Only the first reason is kept."""
    for row in rows:
        row.problem = row.problem or why
