"""Runs a sweep: one process for each run, here or on a Dask cluster."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet._version import __version__
from alexnet.comparison.filling import (
    CHECKPOINTS,
    Events,
    NullWatcher,
    Watcher,
    fill,
    needs_worker,
)
from alexnet.comparison.plan import TIMEOUT
from alexnet.comparison.rows import Row
from alexnet.errors import RunError
from alexnet.spec import Net
from alexnet.sweeps.plan import Plan, check, checksum, plan
from alexnet.sweeps.results import FILE, RUNS, Sweep
from alexnet.sweeps.settings import values_of
from alexnet.training.callbacks import in_notebook
from alexnet.workers import processes
from alexnet.workers.folders import locked, new_folder
from alexnet.workers.job import Job

Run = Callable[[Sequence[processes.Task], float, int], Events]
"""A function that runs tasks and yields their events, such as `alexnet.workers.processes.run`."""


def sweep(
    model: str | Net = "alexnet",
    backends: Sequence[str] | None = None,
    *,
    seeds: int = 1,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    pythons: Mapping[str, str] | None = None,
    parallel: int = 1,
    timeout: float = TIMEOUT,
    shared_dropout: bool = True,
    scheduler: str | None = None,
    **settings: Any,
) -> Sweep:
    """Train a net with every combination of the given settings, and show which settings matter.

    Each combination trains with each seed in each backend, in a separate process. If a run fails, the
    others still run. The folder has a file for each run, and the results as a table, a picture, a page
    (``sweep.html``) and CSV. ``alexnet sweep --resume FOLDER`` continues it, or adds values.

    Parameters
    ----------
    model : the name of a net in `alexnet.spec.zoo`, or a `Net`. Its recipe is found by its name.
    backends : names of the backends; default: PyTorch if it is installed, else NumPy.
    seeds : number of seeds; each combination trains with ``seed``, ``seed + 1``, …
    scheduler : the address of a Dask scheduler, such as ``"tcp://node1:8786"``. Its workers then do the
        runs. Default: this machine does.
    settings : values by name. A list has several values; anything else is one value. A setting is a field
        of `alexnet.training.recipes.Recipe`, such as ``lr=[0.01, 0.1]``, or an argument of
        `Net.replace`, such as ``activation=["relu", "sigmoid"]`` or ``pool_window=[(3, 2), (2, 2)]``.

    The other arguments are those of `alexnet.compare`.

    Raises SpecError, BackendError, DataError or RunError before any worker starts.

    >>> import tempfile
    >>> small = dict(data="sample", train_examples=64, test_examples=32, num_epochs=1)
    >>> found = sweep("lenet", ["numpy"], lr=[0.1, 0.5], out=tempfile.mkdtemp(), **small)
    >>> [(run["lr"], run["state"]) for run in found.records()]
    [(0.1, 'done'), (0.5, 'done')]
    """
    planned = plan(
        model,
        settings,
        backends,
        full=full,
        data=data,
        device=device,
        seed=seed,
        seeds=seeds,
        shared_dropout=shared_dropout,
        pythons=pythons,
        parallel=parallel,
        timeout=timeout,
    )
    watcher: Watcher = NullWatcher()
    if in_notebook():
        from alexnet.comparison.notebook import NotebookWatcher

        watcher = NotebookWatcher(curves=False)
    return run_plan(planned, Path(out) if out is not None else None, watcher, scheduler)


def run_plan(
    plan: Plan,
    out: Path | None = None,
    watcher: Watcher | None = None,
    scheduler: str | None = None,
) -> Sweep:
    """Run a plan in a new folder; default: ``runs/sweep-<time>``. Saves each run as soon as it ends.

    If a backend is not installed or a worker dies, its run gives the reason, and the others still run.
    Ctrl-C stops all workers and returns the results so far. Raises RunError if the folder cannot be used.
    """
    run = runner(scheduler)
    folder = new_folder(
        "sweep",
        out,
        [FILE, RUNS],
        holds="a sweep",
        advice="use --resume {folder} to continue it",
    )
    begun = datetime.now().astimezone().isoformat(timespec="seconds")
    found = Sweep(plan, folder, begun, plan.rows())
    with locked(folder, "sweep"):
        return _run(found, watcher or NullWatcher(), run)


def resume(
    folder: Path,
    watcher: Watcher | None = None,
    scheduler: str | None = None,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    names: Sequence[str] | None = None,
    **options: Any,
) -> Sweep:
    """Continue the sweep in a folder: run what is missing, and add the given values.

    A finished run never runs again. A run that was interrupted resumes after its last complete epoch.
    ``options``: fields of `Plan`. ``seeds`` may grow; ``pythons``, ``parallel`` and ``timeout`` may change.
    Raises RunError for any other change, because the new runs could not be compared with the finished
    ones. Also raises RunError if another process is running the sweep.
    """
    Sweep.load(folder)  # the folder must hold a sweep before it gets a lock
    run = runner(scheduler)
    with locked(folder, "sweep"):
        found = extended(Sweep.load(folder), model, settings or {}, names, **options)
        return _run(found, watcher or NullWatcher(), run)


def extended(
    found: Sweep,
    model: str | None,
    settings: Mapping[str, Any],
    names: Sequence[str] | None,
    **options: Any,
) -> Sweep:
    """Return a sweep with more values, as `resume` describes them. It has all results that are there."""
    old, place = found.plan, found.folder
    if found.version != __version__:
        raise RunError(
            f"{place}: the sweep was made by alexnet {found.version}, this is {__version__}; its runs "
            "cannot be compared with new ones"
        )
    options = {name: value for name, value in options.items() if value is not None}
    free = {name: options.pop(name) for name in FREE if name in options}
    if options.pop("data", None) is not None:
        raise RunError(f"{place}: --data cannot be used with --resume; the images are {found.data}")
    given = {"net": model, **options}
    kept = {**vars(old), "net": old.net.name}
    for name, value in given.items():
        if value is not None and value != kept[name]:
            raise RunError(
                f"{place}: {name} must be {kept[name]!r} as in the sweep, got {value!r}; the new runs "
                "could not be compared with those that are done"
            )
    if checksum(old.root) != old.images:
        raise RunError(f"{place}: the images have changed since the sweep began ({found.data})")
    new = {name: values_of(name, values) for name, values in settings.items()}
    for name in new:
        if name not in old.settings:
            raise RunError(
                f"{place}: {name} is not a setting of the sweep ({', '.join(old.settings)}); begin a new "
                "sweep to vary it"
            )
    values = {name: _united(known, new.get(name, ())) for name, known in old.settings.items()}
    planned = replace(
        old,
        settings=values,
        names=_united(old.names, tuple(names or ())),
        **{**free, "seeds": max(old.seeds, free.get("seeds", 0))},
    )
    check(planned)
    known_rows = {row.name: row for row in found.rows}
    rows = [known_rows.get(row.name, row) for row in planned.rows()]
    return Sweep(planned, found.folder, found.begun, rows, found.seconds, found.version)


FREE = ("seeds", "pythons", "parallel", "timeout")  # what may change when a sweep is resumed


def _united(known: tuple[Any, ...], new: tuple[Any, ...]) -> tuple[Any, ...]:
    return known + tuple(value for value in new if value not in known)


def unfinished(found: Sweep) -> list[Row]:
    """Return the rows of the runs that are missing."""
    return [row for row in found.rows if needs_worker(row, found.checkpoint(row))]


def runner(scheduler: str | None) -> Run:
    """Return the function that runs tasks: on this machine, or on the cluster of a Dask scheduler.

    Raises RunError if Dask is not installed or the scheduler does not answer.
    """
    if scheduler is None:
        return processes.run
    try:
        from alexnet.sweeps import cluster
    except ModuleNotFoundError as error:
        if error.name != "distributed":
            raise
        raise RunError(
            'a Dask scheduler needs dask.distributed; run pip install "distributed>=2024.1"'
        ) from None
    return cluster.connect(scheduler)


def _run(found: Sweep, watcher: Watcher, run: Run) -> Sweep:
    """Do the runs that are missing, and write the results."""
    from alexnet.sweeps.page import keep_page

    plan = found.plan
    rows = unfinished(found)
    found.save_plan()
    (found.folder / RUNS).mkdir(exist_ok=True)
    began: dict[str, float] = {}

    def timed(tasks: Sequence[processes.Task]) -> Events:
        """Yield the events of the tasks, and keep the seconds of each; a cluster has measured them."""
        with closing(run(tasks, plan.timeout, plan.parallel)) as events:
            for task, event in events:
                name = task.job.row
                if event["event"] == "start":
                    began[name] = time.monotonic()
                if event["event"] == "end":
                    event.setdefault("seconds", time.monotonic() - began[name])
                    found.seconds[name] = event["seconds"]
                yield task, event

    def save(row: Row) -> None:
        found.save_run(row)
        found.save_tables()
        if row.finished:
            found.checkpoint(row).unlink(missing_ok=True)

    here = run is processes.run
    tasks = {row.name: _task(found, row, here) for row in rows if not here or _can_run(plan, row)}
    advice = f"use --resume {found.folder} to continue"
    found.interrupted = fill(tasks, rows, timed, watcher, save, advice)
    if found.interrupted:
        for row in rows:
            if row.history is not None and not row.finished:
                found.save_run(row)
            elif row.problem == f"interrupted; {advice}":
                row.problem = ""  # it has no file, so it is not done yet
    found.save_tables()
    found.save_picture()
    if problem := keep_page(found):
        warnings.warn(problem, stacklevel=2)
    with suppress(OSError):  # fails if checkpoints are left in it
        (found.folder / CHECKPOINTS).rmdir()
    return found


def _can_run(plan: Plan, row: Row) -> bool:
    return row.backend in plan.pythons or backends.installed(row.backend)


def _task(found: Sweep, row: Row, here: bool) -> processes.Task:
    """Return the task of a run. Elsewhere it has no log and no checkpoint: the folder is only here."""
    plan, combination = found.plan, found.combinations[row.model]
    assert row.seed is not None
    job = Job(
        combination.net,
        row.backend,
        combination.recipe,
        row.seed,
        plan.root,
        plan.device if row.backend != backends.REFERENCE else None,
        plan.shared_dropout,
        row=row.name,
        checkpoint=str(found.checkpoint(row)) if here else None,
        resume=here,
    )
    python = plan.pythons.get(row.backend, sys.executable if here else "")
    return processes.Task(job, python, found.log(row) if here else None)
