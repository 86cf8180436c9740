"""Runs a comparison: one process for each net and backend, one after another or several at a time."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.backends.nets import check_seed
from alexnet.comparison.attempt import Attempt
from alexnet.comparison.filling import (
    CHECKPOINTS,
    NullWatcher,
    Watcher,
    checkpoint_of,
    fill,
    needs_worker,
)
from alexnet.comparison.plan import TIMEOUT, Plan, plan
from alexnet.comparison.results import Comparison, check_recipe, empty_rows
from alexnet.comparison.rows import Row
from alexnet.errors import RunError
from alexnet.spec import Net
from alexnet.training.callbacks import in_notebook
from alexnet.training.recipes import Recipe, net_for
from alexnet.workers import processes
from alexnet.workers.folders import locked, new_folder
from alexnet.workers.job import Job


def compare(
    models: str | Net | Sequence[str | Net] = "alexnet",
    backends: Sequence[str] | None = None,
    *,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    pythons: Mapping[str, str] | None = None,
    parallel: int = 1,
    workers: int = 1,
    timeout: float = TIMEOUT,
    seeds: int = 1,
    shared_dropout: bool = True,
    **recipe: Any,
) -> Comparison:
    """Train nets in every framework and compare the results.

    Each net trains in each framework, in a separate process. All frameworks get the same initial weights,
    the same images in the same order, and the same dropout masks. All results and a report
    (``report.html``) are saved in the run's folder. In a notebook, a table and curves show the progress and
    the result.

    Parameters
    ----------
    models : the name of a net in `alexnet.spec.zoo`, or a `Net`; or a list of these.
    backends : names of the backends, which must be installed. Default: all; the row of one that is not
        installed gives the command that installs it.
    full : True uses the book's training settings. False uses shorter settings for a CPU. By default it is
        True if every installed framework finds a GPU.
    data : folder with the four IDX files, or ``"sample"``; default: the files on this machine, else the
        sample (a full run downloads the files instead).
    device : ``"cpu"``, ``"gpu"``, ``"gpu:1"``; default: a GPU if there is one, else the CPU.
    seed : of the weights, the order of the images and dropout.
    out : the run's folder; default: ``runs/<model>-<time>``.
    pythons : interpreters by backend name, for backends that need their own environment.
    parallel : number of frameworks that train at the same time. Each gets a share of the CPU cores and, if
        there are several GPUs, its own GPU.
    workers : number of processes that train each net together, on this machine. Each framework starts them
        with its own launcher; they share the CPU cores, and each takes its own GPU. NumPy trains in one
        process. ``workers`` and ``parallel`` cannot both be above 1.
    timeout : seconds without an event after which a worker is stopped.
    seeds : number of seeds; each net trains in each framework with ``seed``, ``seed + 1``, …
    shared_dropout : True: all frameworks get the same dropout masks, drawn by NumPy. False: each framework
        draws its own.
    recipe : fields of `alexnet.training.recipes.Recipe`, such as ``num_epochs=2, lr=0.1``.

    Raises SpecError, BackendError, DataError or RunError before any worker starts.

    >>> import tempfile
    >>> small = dict(data="sample", train_examples=64, test_examples=32, num_epochs=1)
    >>> found = compare("lenet", ["numpy"], out=tempfile.mkdtemp(), **small)
    >>> found.rows[0].history.settings["train_examples"]
    64
    """
    unknown = recipe.keys() - Recipe.__dataclass_fields__.keys()
    if unknown:
        raise RunError(
            f"unknown recipe field {', '.join(sorted(unknown))}; known fields: "
            f"{', '.join(Recipe.__dataclass_fields__)}"
        )
    planned = plan(
        [models] if isinstance(models, str | Net) else models,
        backends,
        full,
        data,
        device,
        pythons=pythons,
        parallel=parallel,
        workers=workers,
        timeout=timeout,
        seeds=seeds,
        shared_dropout=shared_dropout,
        **recipe,
    )
    from alexnet.comparison.report import keep_report

    watcher: Watcher = NullWatcher()
    if in_notebook():
        from alexnet.comparison.notebook import NotebookWatcher

        watcher = NotebookWatcher()
    folder = Path(out) if out is not None else None
    found = run_plan(planned, seed=seed, device=device, out=folder, watcher=watcher)
    if problem := keep_report(found):
        warnings.warn(problem, stacklevel=2)
    return found


def run_plan(
    plan: Plan,
    *,
    seed: int = 0,
    device: str | None = None,
    out: Path | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Run a plan. Saves the results in the run's folder after each row.

    The folder defaults to ``runs/<model>-<time>``. If a backend is not installed or its worker dies, its
    row gives the reason, and the other rows still run. Ctrl-C stops all workers and returns the results
    so far. Raises SpecError, DataError or RunError for settings that no worker could use.
    """
    seed = check_seed(seed)
    rows = empty_rows(plan, seed)
    begun = datetime.now().astimezone().isoformat(timespec="seconds")
    comparison = Comparison(plan, seed, device, out or Path("runs"), begun, rows)
    # Check the settings before creating the folder. An invalid setting would fail in every worker.
    for model, recipe in plan.recipes.items():
        net_for(plan.net(model), recipe)
        check_recipe(recipe, seed)
        _job(comparison, Row(model, backends.REFERENCE)).load_data()
    comparison.folder = new_folder(
        "-".join(plan.recipes),
        out,
        ["comparison.json", CHECKPOINTS],
        holds="a comparison",
        advice="use --resume {folder} to continue it",
    )
    return _run_locked(comparison, watcher or NullWatcher())


def resume(folder: Path, watcher: Watcher | None = None) -> Comparison:
    """Continue the unfinished run in a folder.

    A row resumes after its last complete epoch. If its net is already trained, a worker adds only the
    missing answers and parity check.
    Raises RunError if the folder holds no readable run, or if another process is running it.
    """
    return _run_locked(Comparison.load(folder), watcher or NullWatcher(), resumed=True)


def _run_locked(comparison: Comparison, watcher: Watcher, resumed: bool = False) -> Comparison:
    """Run all unfinished rows. Raises RunError if another process holds the folder's lock."""
    with locked(comparison.folder, "comparison"):
        return _run_unfinished(comparison, watcher, resumed)


def _run_unfinished(comparison: Comparison, watcher: Watcher, resumed: bool) -> Comparison:
    plan = comparison.plan
    _delete_checkpoints(comparison)
    rows = [r for r in comparison.rows if needs_worker(r, _checkpoint(comparison, r))]
    for row in rows:
        Attempt(row)  # forgets why the row failed before
    comparison.save()

    def save(row: Row) -> None:
        _delete_checkpoints(comparison)
        comparison.save()

    comparison.interrupted = fill(
        {row.name: _task(comparison, row, resumed) for row in rows if _can_run(plan, row)},
        rows,
        lambda tasks: processes.run(tasks, plan.timeout, plan.parallel),
        watcher,
        save,
        advice=f"use --resume {comparison.folder} to continue",
    )
    if comparison.interrupted:
        _delete_checkpoints(comparison)
        comparison.save()
    with suppress(OSError):  # fails if checkpoints are left in it
        (comparison.folder / CHECKPOINTS).rmdir()
    return comparison


def _can_run(plan: Plan, row: Row) -> bool:
    return row.backend in plan.pythons or backends.installed(row.backend)


def _task(comparison: Comparison, row: Row, resumed: bool) -> processes.Task:
    python = comparison.plan.pythons.get(row.backend, sys.executable)
    job = replace(_job(comparison, row), resume=resumed)
    log = comparison.folder / f"{row.name}.log"
    return processes.Task(job, python, log, processes=job.processes)


def _job(comparison: Comparison, row: Row) -> Job:
    """Return the job for a row's worker."""
    return Job(
        comparison.plan.nets.get(row.model, row.model),
        row.backend,
        comparison.plan.recipes[row.model],
        comparison.seed if row.seed is None else row.seed,
        comparison.plan.root,
        comparison.device if row.backend != backends.REFERENCE else None,
        comparison.plan.shared_dropout,
        row=row.name,
        checkpoint=str(_checkpoint(comparison, row)),
        processes=comparison.plan.processes(row.backend),
    )


def _checkpoint(comparison: Comparison, row: Row) -> Path:
    return checkpoint_of(comparison.folder, row.name)


def _delete_checkpoints(comparison: Comparison) -> None:
    """Delete the checkpoints of rows that are finished."""
    for row in comparison.rows:
        if row.finished:
            _checkpoint(comparison, row).unlink(missing_ok=True)
