"""Comparing: a process for each net and backend, one after another or several at a time."""

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

from alexnet import backends, processes
from alexnet.checkup import SELF_TEST
from alexnet.comparison import Answers, Comparison, Row, check_finished
from alexnet.display import in_notebook
from alexnet.errors import AlexNetError, RunError
from alexnet.history import Epoch, History, steps_from
from alexnet.parity import Differences
from alexnet.plain import restore
from alexnet.planning import SILENCE, Plan, plan
from alexnet.recipes import Recipe, net_for
from alexnet.train import check_settings
from alexnet.weights import initial_weights
from alexnet.worker import Job, initial_logits

CHECKPOINTS = "checkpoints"  # in a run's folder, of the rows that are not finished
ANSWERS = ("classes", "probabilities")


class Watcher(Protocol):
    """Told of a comparison as it goes."""

    def begin(self, rows: Sequence[Row]) -> None: ...

    def event(self, row: Row, event: dict[str, Any]) -> None:
        """An event of `alexnet.worker`, or ``start`` or ``end``."""

    def finish(self, row: Row) -> None: ...

    def end(self) -> None: ...


class Unwatched:
    """Looks away."""

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
    timeout: float = SILENCE,
    **recipe: Any,
) -> Comparison:
    """Train a net in every framework, each in a process of its own, and set them side by side.

    All get the same images in the same order and the same initial weights. In a notebook a table and
    the curves are shown while it runs, and the comparison shows both. Its folder holds all that came
    of it, and a report: ``report.html``.

    Parameters
    ----------
    models : a name of `alexnet.zoo`, or several.
    backends : their names; default: all.
    full : the book's recipe, or (False) one for a CPU; default: full if every framework sees a GPU.
    data : folder of the four IDX files, or ``"sample"``; default: those found here, else the sample.
    device : ``"cpu"``, ``"gpu"``, ``"gpu:1"``; default: a GPU, else the CPU.
    seed : of the weights, the images' order and dropout.
    out : the run's folder; default: ``runs/<model>-<time>``.
    pythons : the interpreter of each backend that is to have one of its own.
    parallel : backends at a time, each with a GPU and its share of the cores.
    timeout : seconds of silence after which a backend is given up.
    recipe : fields of `alexnet.recipes.Recipe`, such as ``num_epochs=2, lr=0.1, train_examples=512``.

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
        silence=timeout,
        **recipe,
    )
    from alexnet.report import keep_report

    watcher: Watcher = Unwatched()
    if in_notebook():
        from alexnet.notebook import NotebookWatcher

        watcher = NotebookWatcher()
    folder = Path(out) if out is not None else None
    found = carry_out(planned, seed=seed, device=device, out=folder, watcher=watcher)
    if problem := keep_report(found):
        warnings.warn(problem, stacklevel=2)
    return found


def carry_out(
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
        _job(comparison, Row(model, "numpy")).load_data()
    comparison.folder = _new_folder("-".join(plan.recipes), out)
    return _fill(comparison, watcher or Unwatched())


def resume(folder: Path, watcher: Watcher | None = None) -> Comparison:
    """Go on with what a run lacks, from each row's last epoch: results, answers, parity."""
    return _fill(Comparison.load(folder), watcher or Unwatched(), resumed=True)


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


def _fill(comparison: Comparison, watcher: Watcher, resumed: bool = False) -> Comparison:
    """Run every row that is unfinished. Raises RunError if another process is doing so."""
    from filelock import FileLock, Timeout

    lock = FileLock(comparison.folder / ".lock", timeout=0)
    try:
        with lock:
            return _fill_alone(comparison, watcher, resumed)
    except Timeout:
        raise RunError(f"{comparison.folder}: another process is at work on this run") from None
    except OSError as error:
        raise RunError(
            f"{comparison.folder}: cannot be written to ({error.strerror or error})"
        ) from None


def _fill_alone(comparison: Comparison, watcher: Watcher, resumed: bool) -> Comparison:
    plan = comparison.plan
    rows = {(r.model, r.backend): r for r in comparison.rows if _is_unfinished(comparison, r)}
    for row in rows.values():
        row.problem, row.missing = "", False
        row.note = _cut_short(comparison, row)
    comparison.save()
    tasks = []
    watcher.begin(list(rows.values()))
    try:
        for row in rows.values():
            name = row.backend
            if name not in plan.pythons and not backends.installed(name):
                _fail(row, f"not installed; {backends.framework(name).install_command}")
                row.missing = True
                watcher.finish(row)
            else:
                python = plan.pythons.get(name, sys.executable)
                log = comparison.folder / f"{row.name}.log"
                job = replace(_job(comparison, row), resume=resumed)
                tasks.append(processes.Task(job, python, log))
        references = {
            model: _reference(comparison, model) for model in {t.job.model for t in tasks}
        }
        with closing(processes.run(tasks, plan.silence, plan.parallel)) as events:
            for task, event in events:
                row = rows[task.job.model, task.job.backend]
                try:
                    _note(row, event, references[row.model])
                except (AlexNetError, ValueError, TypeError, KeyError) as error:
                    _fail(row, f"sent the event {event['event']}, which cannot be read ({error})")
                    continue
                watcher.event(row, event)
                if event["event"] == "end":
                    _finish(comparison, row)
                    watcher.finish(row)
    except KeyboardInterrupt:
        comparison.interrupted = True
        for row in rows.values():
            if row.parity is None and not row.problem:
                _fail(row, f"interrupted; --resume {comparison.folder} goes on with it")
        comparison.save()
    finally:
        watcher.end()
    return comparison


def _job(comparison: Comparison, row: Row) -> Job:
    """What a row's worker is to do."""
    return Job(
        row.model,
        row.backend,
        comparison.plan.recipes[row.model],
        comparison.seed,
        comparison.plan.root,
        comparison.device if row.backend != "numpy" else None,
        checkpoint=str(_checkpoint(comparison, row)),
    )


def _checkpoint(comparison: Comparison, row: Row) -> Path:
    """Where a worker keeps its run until it is done."""
    return (comparison.folder / CHECKPOINTS / f"{row.name}.safetensors").absolute()


def _reference(comparison: Comparison, model: str) -> np.ndarray:
    """The initial logits in double precision."""
    job, reference = _job(comparison, Row(model, "numpy")), backends.load("numpy")
    resolved = net_for(model, job.recipe)
    net = reference.render(resolved, "cpu", "float64")
    reference.set_weights(net, initial_weights(resolved.parameters, job.seed))
    return initial_logits(job, net, "cpu")


def _note(row: Row, event: dict[str, Any], reference: np.ndarray | None) -> None:
    """Write down in a row what an event says."""
    match event["event"]:
        case "ready":
            row.version, row.device = event["version"], event["device"]
            row.machine, row.threads = event["machine"], event["threads"]
        case "begin":
            History.from_dict(event["history"])
        case "step":
            steps_from(event["steps"])
        case "epoch":
            restore(Epoch, event["epoch"], "epoch")
        case "initial_logits" if reference is not None:
            difference = np.abs(np.array(event["logits"]) - reference).max()
            if np.isfinite(difference):
                row.logits_difference = float(difference / np.abs(reference).max())
            else:
                _add(row, "its initial logits are not finite")
        case "result":
            row.history = check_finished(History.from_dict(event["history"]))
            # Of a run that was taken up again only to be checked, the training's own peak stays.
            row.peak_memory = max(
                filter(None, (row.peak_memory, event["peak_memory"])), default=None
            )
        case "answers":
            row.answers = restore(Answers, {k: event[k] for k in ANSWERS}, "answers")
        case "parity":
            row.parity = restore(Differences, event["figures"], "parity")
            if not row.parity.agrees(SELF_TEST.dtype):
                found = row.parity.problem or f"{row.parity.worst} by {row.parity.largest:.1e}"
                _add(row, f"one step of training is not the reference's: {found}")
        case "error":
            _fail(row, event["message"])
        case "end" if row.history is None and not row.problem:
            row.problem = " | ".join([event["problem"] or "ended without a result", *event["said"]])
        case "end" if row.history is not None and event["problem"]:
            _fail(row, event["problem"])


def _fail(row: Row, why: str) -> None:
    """Say why a row has no result; or, if it has one, no more than that."""
    if row.history is None:
        row.problem = why
    else:
        _add(row, f"after its training: {why}")


def _add(row: Row, remark: str) -> None:
    row.note = "; ".join(filter(None, [row.note, remark]))


def _finish(comparison: Comparison, row: Row) -> None:
    """Keep a row whose worker is no more."""
    if row.parity is not None:
        kept = _checkpoint(comparison, row)
        kept.unlink(missing_ok=True)
        with suppress(OSError):  # there are others in it
            kept.parent.rmdir()
    comparison.save()


def _is_unfinished(comparison: Comparison, row: Row) -> bool:
    """Whether it has no result, or lacks what comes after it and has kept its net for that."""
    return row.history is None or (row.parity is None and _checkpoint(comparison, row).exists())


def _cut_short(comparison: Comparison, row: Row) -> str:
    """What is to be said of a row that does not see all images."""
    recipe = comparison.plan.recipes[row.model]
    batches = recipe.numpy_batches if row.backend == "numpy" else None
    if batches is None or batches * recipe.batch_size >= recipe.train_examples:
        return ""
    return f"trained on the first {batches} batches of every epoch only"
