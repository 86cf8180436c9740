"""Runs a comparison: one process for each net and backend, one after another or several at a time."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from alexnet import backends
from alexnet.backends.nets import render
from alexnet.comparison.attempt import Attempt
from alexnet.comparison.plan import TIMEOUT, Plan, plan
from alexnet.comparison.results import Comparison, check_recipe, empty_rows
from alexnet.comparison.rows import Row
from alexnet.errors import AlexNetError, RunError
from alexnet.spec.weights import initial_weights
from alexnet.training.callbacks import in_notebook
from alexnet.training.recipes import Recipe, net_for
from alexnet.workers import processes
from alexnet.workers.folders import new_folder
from alexnet.workers.job import Job, initial_logits

CHECKPOINTS = "checkpoints"  # in a run's folder, for the rows that are not finished


class Watcher(Protocol):
    """The methods that a comparison calls while it runs."""

    def begin(self, rows: Sequence[Row]) -> None:
        """Called before the workers start. ``rows``: the rows that will run."""

    def event(self, row: Row, event: dict[str, Any]) -> None:
        """Called for each event of `alexnet.workers.events`, and for ``start`` and ``end``."""

    def finish(self, row: Row) -> None:
        """Called when a row's worker has ended, or cannot start."""

    def end(self) -> None:
        """Called at the end, also after Ctrl-C."""


class NullWatcher:
    """Ignores all events."""

    def begin(self, rows: Sequence[Row]) -> None:
        pass

    def event(self, row: Row, event: dict[str, Any]) -> None:
        pass

    def finish(self, row: Row) -> None:
        pass

    def end(self) -> None:
        pass


def compare(
    models: str | Sequence[str] = "alexnet",
    backends: Sequence[str] | None = None,
    *,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    pythons: Mapping[str, str] | None = None,
    parallel: int = 1,
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
    models : the name of a net in `alexnet.spec.zoo`, or several names.
    backends : names of the backends; default: all.
    full : True uses the book's training settings. False uses shorter settings for a CPU. By default it is
        True if every installed framework finds a GPU.
    data : folder with the four IDX files, or ``"sample"``; default: the files on this machine, else the
        sample (a full run downloads the files instead).
    device : ``"cpu"``, ``"gpu"``, ``"gpu:1"``; default: a GPU if there is one, else the CPU.
    seed : of the weights, the order of the images and dropout.
    out : the run's folder; default: ``runs/<model>-<time>``.
    pythons : interpreters by backend name, for backends that need their own environment.
    parallel : number of workers that run at the same time. Each gets a share of the CPU cores and, if there
        are several GPUs, its own GPU.
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
        [models] if isinstance(models, str) else models,
        backends,
        full,
        data,
        device,
        pythons=pythons,
        parallel=parallel,
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
    rows = empty_rows(plan, seed)
    begun = datetime.now().astimezone().isoformat(timespec="seconds")
    comparison = Comparison(plan, seed, device, out or Path("runs"), begun, rows)
    # Check the settings before creating the folder. An invalid setting would fail in every worker.
    for model, recipe in plan.recipes.items():
        net_for(model, recipe)
        check_recipe(recipe, seed)
        _job(comparison, Row(model, backends.REFERENCE)).load_data()
    comparison.folder = _folder("-".join(plan.recipes), out)
    return _run_locked(comparison, watcher or NullWatcher())


def resume(folder: Path, watcher: Watcher | None = None) -> Comparison:
    """Continue the unfinished run in a folder.

    A row resumes after its last complete epoch. If its net is already trained, a worker adds only the
    missing answers and parity check.
    Raises RunError if the folder holds no readable run, or if another process is running it.
    """
    return _run_locked(Comparison.load(folder), watcher or NullWatcher(), resumed=True)


def _folder(models: str, out: Path | None) -> Path:
    """Create and return a folder that no other run uses, even one that starts in the same second."""
    folder = new_folder(models, out)
    if (folder / "comparison.json").exists() or (folder / CHECKPOINTS).exists():
        raise RunError(
            f"{folder}: already holds a comparison; use --resume {folder} to continue it"
        )
    return folder


def _run_locked(comparison: Comparison, watcher: Watcher, resumed: bool = False) -> Comparison:
    """Run all unfinished rows. Raises RunError if another process holds the folder's lock."""
    from filelock import FileLock, Timeout

    lock = FileLock(comparison.folder / ".lock", timeout=0)
    try:
        with lock:
            return _run_unfinished(comparison, watcher, resumed)
    except Timeout:
        raise RunError(f"{comparison.folder}: another process is running this comparison") from None
    except OSError as error:
        raise RunError(
            f"{comparison.folder}: cannot write to the folder ({error.strerror or error})"
        ) from None


def _run_unfinished(comparison: Comparison, watcher: Watcher, resumed: bool) -> Comparison:
    plan = comparison.plan
    _delete_checkpoints(comparison)
    rows = [row for row in comparison.rows if _needs_worker(comparison, row)]
    attempts = {r.name: Attempt(r) for r in rows}
    comparison.save()
    tasks = []
    watcher.begin(rows)
    try:
        for attempt in attempts.values():
            name = attempt.row.backend
            if name not in plan.pythons and not backends.installed(name):
                attempt.fail(f"not installed; {backends.framework(name).install_command}")
                attempt.row.missing = True
                watcher.finish(attempt.row)
            else:
                python = plan.pythons.get(name, sys.executable)
                log = comparison.folder / f"{attempt.row.name}.log"
                job = replace(_job(comparison, attempt.row), resume=resumed)
                tasks.append(processes.Task(job, python, log))
        jobs = {(task.job.model, task.job.seed): task.job for task in tasks}
        reference_logits = {key: _reference_logits(job) for key, job in jobs.items()}
        with closing(processes.run(tasks, plan.timeout, plan.parallel)) as events:
            for task, event in events:
                attempt = attempts[task.job.row]
                try:
                    attempt.record_event(event, reference_logits[task.job.model, task.job.seed])
                except (AlexNetError, ValueError, TypeError, ArithmeticError) as error:
                    why = f"sent the event {event['event']}, which cannot be read ({error})"
                    attempt.fail(why)
                    continue
                watcher.event(attempt.row, event)
                if event["event"] == "end":
                    _delete_checkpoints(comparison)
                    comparison.save()
                    watcher.finish(attempt.row)
    except KeyboardInterrupt:
        comparison.interrupted = True
        for attempt in attempts.values():
            attempt.interrupt(f"use --resume {comparison.folder} to continue")
        _delete_checkpoints(comparison)
        comparison.save()
    finally:
        watcher.end()
    with suppress(OSError):  # fails if checkpoints are left in it
        (comparison.folder / CHECKPOINTS).rmdir()
    return comparison


def _job(comparison: Comparison, row: Row) -> Job:
    """Return the job for a row's worker."""
    return Job(
        row.model,
        row.backend,
        comparison.plan.recipes[row.model],
        comparison.seed if row.seed is None else row.seed,
        comparison.plan.root,
        comparison.device if row.backend != backends.REFERENCE else None,
        comparison.plan.shared_dropout,
        row=row.name,
        checkpoint=str(_checkpoint(comparison, row)),
    )


def _checkpoint(comparison: Comparison, row: Row) -> Path:
    """Return the path of a row's checkpoint, which is deleted when the row is finished."""
    return (comparison.folder / CHECKPOINTS / f"{row.name}.safetensors").absolute()


def _reference_logits(job: Job) -> np.ndarray:
    """Return the reference's initial logits (N, classes) in float64, for the net and seed of a job."""
    table = net_for(job.model, job.recipe)
    reference = backends.load(backends.REFERENCE)
    net = render(table, reference, reference.cpu(), "float64")
    reference.set_weights(net.native, initial_weights(table.parameters, job.seed))
    return initial_logits(job, net)


def _needs_worker(comparison: Comparison, row: Row) -> bool:
    """Return whether a worker must run for this row.

    A worker must run if the row has no training result. It must also run if the answers or the parity
    check are missing and the row's checkpoint exists.
    """
    return row.history is None or (not row.finished and _checkpoint(comparison, row).exists())


def _delete_checkpoints(comparison: Comparison) -> None:
    """Delete the checkpoints of rows that are finished."""
    for row in comparison.rows:
        if row.finished:
            _checkpoint(comparison, row).unlink(missing_ok=True)
