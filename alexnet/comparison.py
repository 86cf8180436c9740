"""``alexnet compare``: one process per backend, one table, one picture."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from alexnet import backends, processes, zoo
from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.errors import RunError
from alexnet.history import History
from alexnet.planning import Plan, describe_data
from alexnet.recipes import Recipe
from alexnet.spec import Net, Shape
from alexnet.train import check_settings
from alexnet.weights import initial_weights
from alexnet.worker import Job, initial_logits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 2  # of comparison.json


@dataclass
class Row:
    """One backend's part of a comparison."""

    backend: str
    problem: str = ""  # why there is no history
    version: str = ""
    device: str = ""
    history: History | None = None
    peak_memory: int | None = None  # bytes; of the process, or of the GPU
    logits_difference: float | None = None  # largest, over the largest logit of the reference
    note: str = ""
    missing: bool = False  # its framework is not installed

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"history": self.history.to_dict() if self.history else None}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Row:
        history = plain["history"] and History.from_dict(plain["history"])
        return cls(**{**plain, "history": history})


@dataclass
class Comparison:
    """What a comparison was and what came of it."""

    model: str
    plan: Plan
    seed: int
    device: str | None
    folder: Path
    rows: list[Row] = field(default_factory=list)
    interrupted: bool = False

    @property
    def recipe(self) -> Recipe:
        return self.plan.recipe

    @property
    def data(self) -> str:
        """Where the images came from."""
        return describe_data(self.plan.root)

    @property
    def histories(self) -> list[History]:
        return [row.history for row in self.rows if row.history is not None]

    def plot(self) -> Figure:
        """The loss and accuracy curves of all backends."""
        from alexnet.plotting import plot_histories

        return plot_histories(self.histories)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "alexnet": __version__,
            "model": self.model,
            "data": self.data,
            "plan": self.plan.to_dict(),
            "seed": self.seed,
            "device": self.device,
            "rows": [row.to_dict() for row in self.rows],
        }

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read the folder of a run. Raises RunError if it holds none."""
        file = folder / "comparison.json"
        try:
            saved = json.loads(file.read_text())
            if saved.get("format") != FORMAT:
                raise RunError(
                    f"{file}: is of format {saved.get('format')!r}; this version reads {FORMAT}"
                )
            rows = [Row.from_dict(row) for row in saved["rows"]]
            plan = Plan.from_dict(saved["plan"])
            return cls(saved["model"], plan, saved["seed"], saved["device"], folder, rows)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = error.strerror if isinstance(error, OSError) else repr(error)
            raise RunError(f"{file}: is no comparison that can be read ({why})") from None

    def save(self) -> None:
        """Write comparison.json, table.txt and curves.png into the run's folder."""
        from alexnet.table import as_text

        with replacing(self.folder / "comparison.json") as new:
            new.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")
        with replacing(self.folder / "table.txt") as new:
            new.write_text(as_text(self))
        if self.histories:
            with replacing(self.folder / "curves.png") as new:
                self.plot().savefig(new, dpi=150)


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
    model: str,
    plan: Plan,
    *,
    seed: int = 0,
    device: str | None = None,
    out: Path | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Train a net in every backend, each in a process of its own, and set them side by side.

    All get the same images in the same order and the same initial weights. A backend that is not
    installed or that dies is a row that says why; the others go on. The run's folder (default:
    ``runs/<model>-<time>``) is written anew after each backend. Ctrl-C ends all workers and gives
    what there is.
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
    return _fill(Comparison.load(folder), watcher or Unwatched())


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
        if (folder / "comparison.json").exists():
            raise RunError(
                f"{folder}: holds a comparison already; --resume {folder} goes on with it"
            )
        return folder
    raise AssertionError("there is always another number")


def _fill(comparison: Comparison, watcher: Watcher) -> Comparison:
    """Run every backend that has no history yet."""
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
                tasks.append(processes.Task(_job(comparison, name), python, log))
        reference = _reference(comparison) if tasks else None
        with closing(processes.run(tasks, plan.silence, plan.parallel)) as events:
            for task, event in events:
                row = rows[task.job.backend]
                watcher.event(row.backend, event)
                _note(row, event, reference)
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
    return (comparison.folder / f"{name}.safetensors").absolute()


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
        _checkpoint(comparison, row.backend).unlink(missing_ok=True)
        batches = recipe.numpy_batches if row.backend == "numpy" else None
        if batches is not None and batches * recipe.batch_size < recipe.train_examples:
            row.note = f"trained on the first {batches} batches of every epoch only"
    comparison.save()
