"""Runs a comparison: one process for each net and backend, one after another or several at a time."""

from __future__ import annotations

import itertools
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
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Row
from alexnet.errors import AlexNetError, RunError
from alexnet.spec.weights import initial_weights
from alexnet.train import check_settings
from alexnet.training.callbacks import in_notebook
from alexnet.training.recipes import Recipe, net_for
from alexnet.workers import processes
from alexnet.workers.job import Job, initial_logits

CHECKPOINTS = "checkpoints"  # in a run's folder, of the rows that are not finished


class Watcher(Protocol):
    """Methods that a comparison calls while it runs."""

    def begin(self, rows: Sequence[Row]) -> None: ...

    def event(self, row: Row, event: dict[str, Any]) -> None:
        """An event of `alexnet.workers.events`, or ``start`` or ``end``."""

    def finish(self, row: Row) -> None: ...

    def end(self) -> None: ...


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
    **recipe: Any,
) -> Comparison:
    """Train a net in every framework, each in a process of its own, and set them side by side.

    All get the same images in the same order and the same initial weights. In a notebook a table and
    the curves are shown while it runs, and the comparison shows both. Its folder holds all that came
    of it, and a report: ``report.html``.

    Parameters
    ----------
    models : a name of `alexnet.spec.zoo`, or several.
    backends : their names; default: all.
    full : the book's recipe, or (False) one for a CPU; default: full if every framework sees a GPU.
    data : folder of the four IDX files, or ``"sample"``; default: those found here, else the sample.
    device : ``"cpu"``, ``"gpu"``, ``"gpu:1"``; default: a GPU, else the CPU.
    seed : of the weights, the images' order and dropout.
    out : the run's folder; default: ``runs/<model>-<time>``.
    pythons : the interpreter of each backend that is to have one of its own.
    parallel : backends at a time, each with a GPU and its share of the cores.
    timeout : seconds of silence after which a backend is given up.
    recipe : fields of `alexnet.training.recipes.Recipe`, such as ``num_epochs=2, lr=0.1``.

    Raises SpecError, BackendError, DataError or RunError before anything is run.

    >>> import tempfile
    >>> small = dict(data="sample", train_examples=64, test_examples=32, num_epochs=1)
    >>> found = compare("lenet", ["numpy"], out=tempfile.mkdtemp(), **small)
    >>> found.rows[0].history.settings["train_examples"]
    64
    """
    unknown = recipe.keys() - Recipe.__dataclass_fields__.keys()
    if unknown:
        raise RunError(
            f"a recipe has no {', '.join(sorted(unknown))}; it has "
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
    """Carry out a plan. Its folder (default: ``runs/<model>-<time>``) is written anew after each row.

    A backend that is not installed or that dies is a row that says why; the others go on. Ctrl-C ends
    all workers and gives what there is.
    """
    rows = [Row(model, name) for model in plan.recipes for name in plan.names]
    begun = datetime.now().astimezone().isoformat(timespec="seconds")
    comparison = Comparison(plan, seed, device, out or Path("runs"), begun, rows)
    # Refuse here what every worker would refuse.
    for model, recipe in plan.recipes.items():
        net_for(model, recipe)
        check_settings(recipe.num_epochs, recipe.lr, recipe.momentum, seed)
        _job(comparison, Row(model, backends.REFERENCE)).load_data()
    comparison.folder = _new_folder("-".join(plan.recipes), out)
    return _run_locked(comparison, watcher or NullWatcher())


def resume(folder: Path, watcher: Watcher | None = None) -> Comparison:
    """Continue a run: each row from its last epoch, and what is missing of answers and parity."""
    return _run_locked(Comparison.load(folder), watcher or NullWatcher(), resumed=True)


def _new_folder(models: str, out: Path | None) -> Path:
    """A folder that no other run has, not even one that begins in the same second."""
    name = f"{models}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in itertools.count(1):
        folder = out or Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=out is not None)
        except FileExistsError:
            if out is None:
                continue
            raise RunError(f"{folder}: is a file; a run needs a folder") from None
        except OSError as error:
            raise RunError(
                f"{folder}: the run's folder cannot be made ({error.strerror})"
            ) from None
        if (folder / "comparison.json").exists() or (folder / CHECKPOINTS).exists():
            raise RunError(
                f"{folder}: holds a comparison already; --resume {folder} goes on with it"
            )
        return folder
    raise AssertionError("there is always another number")


def _run_locked(comparison: Comparison, watcher: Watcher, resumed: bool = False) -> Comparison:
    """Run every row that is unfinished. Raises RunError if another process is doing so."""
    from filelock import FileLock, Timeout

    lock = FileLock(comparison.folder / ".lock", timeout=0)
    try:
        with lock:
            return _run_unfinished(comparison, watcher, resumed)
    except Timeout:
        raise RunError(f"{comparison.folder}: another process is at work on this run") from None
    except OSError as error:
        raise RunError(
            f"{comparison.folder}: cannot be written to ({error.strerror or error})"
        ) from None


def _run_unfinished(comparison: Comparison, watcher: Watcher, resumed: bool) -> Comparison:
    plan = comparison.plan
    _delete_checkpoints(comparison)
    rows = [row for row in comparison.rows if _is_unfinished(comparison, row)]
    attempts = {(r.model, r.backend): Attempt(r, _note_if_shortened(comparison, r)) for r in rows}
    comparison.save()
    tasks = []
    watcher.begin(rows)
    try:
        for (_, name), attempt in attempts.items():
            if name not in plan.pythons and not backends.installed(name):
                attempt.fail(f"not installed; {backends.framework(name).install_command}")
                attempt.row.missing = True
                watcher.finish(attempt.row)
            else:
                python = plan.pythons.get(name, sys.executable)
                log = comparison.folder / f"{attempt.row.name}.log"
                job = replace(_job(comparison, attempt.row), resume=resumed)
                tasks.append(processes.Task(job, python, log))
        references = {
            model: _reference(comparison, model) for model in {t.job.model for t in tasks}
        }
        with closing(processes.run(tasks, plan.timeout, plan.parallel)) as events:
            for task, event in events:
                attempt = attempts[task.job.model, task.job.backend]
                try:
                    attempt.record_event(event, references[task.job.model])
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
            attempt.interrupt(f"--resume {comparison.folder} goes on with it")
        _delete_checkpoints(comparison)
        comparison.save()
    finally:
        watcher.end()
    with suppress(OSError):  # there are some in it
        (comparison.folder / CHECKPOINTS).rmdir()
    return comparison


def _job(comparison: Comparison, row: Row) -> Job:
    """The job of a row's worker."""
    return Job(
        row.model,
        row.backend,
        comparison.plan.recipes[row.model],
        comparison.seed,
        comparison.plan.root,
        comparison.device if row.backend != backends.REFERENCE else None,
        checkpoint=str(_checkpoint(comparison, row)),
    )


def _checkpoint(comparison: Comparison, row: Row) -> Path:
    """The checkpoint of a row's worker, which is deleted when the row is finished."""
    return (comparison.folder / CHECKPOINTS / f"{row.name}.safetensors").absolute()


def _reference(comparison: Comparison, model: str) -> np.ndarray:
    """The initial logits in double precision."""
    job = _job(comparison, Row(model, backends.REFERENCE))
    table = net_for(model, job.recipe)
    reference = backends.load(backends.REFERENCE)
    net = render(table, reference, reference.cpu(), "float64")
    reference.set_weights(net.native, initial_weights(table.parameters, job.seed))
    return initial_logits(job, net)


def _is_unfinished(comparison: Comparison, row: Row) -> bool:
    """Whether a worker must run: there is no result, or answers are missing and the net is kept."""
    return row.history is None or (not row.finished and _checkpoint(comparison, row).exists())


def _delete_checkpoints(comparison: Comparison) -> None:
    """Delete the checkpoints of rows that are finished."""
    for row in comparison.rows:
        if row.finished:
            _checkpoint(comparison, row).unlink(missing_ok=True)


def _note_if_shortened(comparison: Comparison, row: Row) -> str:
    """The note for a row that does not train on all images; else empty."""
    recipe = comparison.plan.recipes[row.model]
    batches = recipe.numpy_batches if row.backend == backends.REFERENCE else None
    if batches is None or batches * recipe.batch_size >= recipe.train_examples:
        return ""
    return f"trained on the first {batches} batches of every epoch only"
