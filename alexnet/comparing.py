"""Comparing: a process for each backend, one after another or several at a time."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from alexnet import backends, processes, zoo
from alexnet.comparison import Comparison, Row
from alexnet.display import in_notebook
from alexnet.errors import AlexNetError, RunError
from alexnet.history import Epoch, History
from alexnet.planning import SILENCE, Plan, plan
from alexnet.recipes import Recipe
from alexnet.spec import Net, Shape
from alexnet.train import check_settings
from alexnet.weights import initial_weights
from alexnet.worker import Job, initial_logits

CHECKPOINTS = "checkpoints"  # in a run's folder, of the backends that have no result yet


class Watcher(Protocol):
    """Told of a comparison as it goes."""

    def begin(self, names: Sequence[str]) -> None: ...

    def event(self, backend: str, event: dict[str, Any]) -> None:
        """An event of `alexnet.worker`, or ``start`` or ``end``."""

    def finish(self, row: Row) -> None: ...

    def end(self) -> None: ...


class Unwatched:
    """Looks away."""

    def begin(self, names: Sequence[str]) -> None:
        pass

    def event(self, backend: str, event: dict[str, Any]) -> None:
        pass

    def finish(self, row: Row) -> None:
        pass

    def end(self) -> None:
        pass


def compare(
    model: str = "alexnet",
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
    the curves are shown while it runs, and the comparison shows both.

    Parameters
    ----------
    model : a name of `alexnet.zoo`.
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
        model,
        backends,
        full,
        data,
        device,
        pythons=pythons,
        parallel=parallel,
        silence=timeout,
        **recipe,
    )
    watcher: Watcher = Unwatched()
    if in_notebook():
        from alexnet.notebook import NotebookWatcher

        watcher = NotebookWatcher()
    folder = Path(out) if out is not None else None
    return carry_out(model, planned, seed=seed, device=device, out=folder, watcher=watcher)


def carry_out(
    model: str,
    plan: Plan,
    *,
    seed: int = 0,
    device: str | None = None,
    out: Path | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Carry out a plan. Its folder (default: ``runs/<model>-<time>``) is written anew after each backend.

    A backend that is not installed or that dies is a row that says why; the others go on. Ctrl-C ends
    all workers and gives what there is.
    """
    net, recipe = zoo.get(model), plan.recipe
    # Refuse here what every worker would refuse.
    net.resolve(_image_shape(net, recipe))
    check_settings(recipe.num_epochs, recipe.lr, recipe.momentum, seed)
    rows = [Row(name) for name in plan.names]
    comparison = Comparison(net.name, plan, seed, device, out or Path("runs"), rows)
    _job(comparison, "numpy").load_data()
    comparison.folder = _new_folder(net.name, out)
    return _fill(comparison, watcher or Unwatched())


def resume(folder: Path, watcher: Watcher | None = None) -> Comparison:
    """Go on with what a run lacks: each backend without a result, from its last epoch's checkpoint."""
    return _fill(Comparison.load(folder), watcher or Unwatched(), resumed=True)


def _new_folder(model: str, out: Path | None) -> Path:
    """A folder that no other run has, not even one that begins in the same second."""
    name = f"{model}-{datetime.now():%Y%m%d-%H%M%S}"
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
    """Run every backend that has no history yet. Raises RunError if another process is doing so."""
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
    rows = {row.backend: row for row in comparison.rows if row.history is None}
    for row in rows.values():
        row.problem, row.missing = "", False
    comparison.save()
    tasks = []
    watcher.begin(list(rows))
    try:
        for name, row in rows.items():
            if name not in plan.pythons and not backends.installed(name):
                row.problem = f"not installed; {backends.framework(name).install_command}"
                row.missing = True
                watcher.finish(row)
            else:
                python = plan.pythons.get(name, sys.executable)
                log = comparison.folder / f"{name}.log"
                job = replace(_job(comparison, name), resume=resumed)
                tasks.append(processes.Task(job, python, log))
        reference = _reference(comparison) if tasks else None
        with closing(processes.run(tasks, plan.silence, plan.parallel)) as events:
            for task, event in events:
                row = rows[task.job.backend]
                try:
                    _note(row, event, reference)
                except (AlexNetError, ValueError, TypeError, KeyError) as error:
                    row.problem = f"sent the event {event['event']}, which cannot be read ({error})"
                    continue
                watcher.event(row.backend, event)
                if event["event"] == "end":
                    _finish(comparison, row)
                    watcher.finish(row)
    except KeyboardInterrupt:
        comparison.interrupted = True
        for row in rows.values():
            if row.history is None and not row.problem:
                row.problem = f"interrupted; --resume {comparison.folder} goes on with it"
        comparison.save()
    finally:
        watcher.end()
    return comparison


def _image_shape(net: Net, recipe: Recipe) -> Shape:
    return net.input_shape[0], recipe.resize or 28, recipe.resize or 28


def _job(comparison: Comparison, name: str) -> Job:
    """What a backend's worker is to do."""
    return Job(
        comparison.model,
        name,
        comparison.recipe,
        comparison.seed,
        comparison.plan.root,
        comparison.device if name != "numpy" else None,
        checkpoint=str(_checkpoint(comparison, name)),
    )


def _checkpoint(comparison: Comparison, name: str) -> Path:
    """Where a worker keeps its run until it is done."""
    return (comparison.folder / CHECKPOINTS / f"{name}.safetensors").absolute()


def _reference(comparison: Comparison) -> np.ndarray:
    """The initial logits in double precision."""
    job = _job(comparison, "numpy")
    table, reference = zoo.get(job.model), backends.load("numpy")
    resolved = table.resolve(_image_shape(table, job.recipe))
    net = reference.render(resolved, "cpu", "float64")
    reference.set_weights(net, initial_weights(resolved.parameters, job.seed))
    return initial_logits(job, net, "cpu")


def _note(row: Row, event: dict[str, Any], reference: np.ndarray | None) -> None:
    """Write down in a row what an event says."""
    match event["event"]:
        case "ready":
            row.version, row.device = event["version"], event["device"]
        case "begin":
            History.from_dict(event["history"])
        case "epoch":
            Epoch(**event["epoch"])
        case "initial_logits" if reference is not None:
            difference = np.abs(np.array(event["logits"]) - reference).max()
            if np.isfinite(difference):
                row.logits_difference = float(difference / np.abs(reference).max())
            else:
                row.note = "its initial logits are not finite"
        case "result":
            row.history = History.from_dict(event["history"])
            row.peak_memory = event["peak_memory"]
        case "error":
            row.problem = event["message"]
        case "end" if row.history is None:
            how = event["problem"] or "ended without a result"
            row.problem = row.problem or " | ".join([how, *event["said"]])


def _finish(comparison: Comparison, row: Row) -> None:
    """Keep a row whose worker is no more."""
    recipe = comparison.recipe
    if row.history is not None:
        kept = _checkpoint(comparison, row.backend)
        kept.unlink(missing_ok=True)
        with suppress(OSError):  # there are others in it
            kept.parent.rmdir()
        batches = recipe.numpy_batches if row.backend == "numpy" else None
        if batches is not None and batches * recipe.batch_size < recipe.train_examples:
            row.note = f"trained on the first {batches} batches of every epoch only"
    comparison.save()
