"""``alexnet compare``: one process per backend, one table, one picture."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from alexnet import backends, zoo
from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.data import limits
from alexnet.errors import RunError
from alexnet.files import ENVIRONMENT, FASHION_MNIST, find, locate, sample_is_named
from alexnet.history import FORMAT, History
from alexnet.recipes import Recipe, recipe_for
from alexnet.train import check_settings
from alexnet.weights import initial_weights
from alexnet.worker import Job, initial_logits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_LINES = 3  # of a worker that died, in its row


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
    initial_logits: np.ndarray | None = None
    note: str = ""
    missing: bool = False  # its framework is not installed

    def to_dict(self) -> dict[str, Any]:
        plain = {k: v for k, v in vars(self).items() if k not in ("history", "initial_logits")}
        return plain | {"history": self.history.to_dict() if self.history else None}


@dataclass
class Comparison:
    """What a comparison was and what came of it."""

    model: str
    recipe: Recipe
    data: str  # where the images came from
    seed: int
    folder: Path
    rows: list[Row] = field(default_factory=list)

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
            "recipe": vars(self.recipe),
            "data": self.data,
            "seed": self.seed,
            "rows": [row.to_dict() for row in self.rows],
        }

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

    def start(self, backend: str) -> None: ...

    def event(self, backend: str, event: dict[str, Any]) -> None: ...

    def finish(self, row: Row) -> None: ...


@dataclass(frozen=True)
class Plan:
    """What a run will do: its recipe, the folder of its images (None: the sample), its backends."""

    recipe: Recipe
    root: str | None
    names: tuple[str, ...]


def plan(
    model: str,
    names: Sequence[str] | None = None,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    **overrides: Any,
) -> Plan:
    """Fill in what the user left open.

    ``full=None`` means the book's recipe if every framework that is to run and is installed sees a
    GPU, else the quick one. NumPy, which would take days, is left out of a full run unless it is
    named. A quick run takes the images that it finds here, else the sample; a full run downloads
    them. ``data`` names a folder, or is ``"sample"``. ``overrides`` are fields of the recipe.
    """
    model = zoo.get(model).name
    for name in names or ():
        backends.framework(name)
    if full is None:
        here = [n for n in names or backends.FRAMEWORKS if n != "numpy" and backends.installed(n)]
        may_use_gpu = device != "cpu" and bool(here) and gpu_hardware()
        full = may_use_gpu and all(_uses_gpu(model, name) for name in here)
    recipe = recipe_for(model, full)
    recipe = replace(recipe, **{key: v for key, v in overrides.items() if v is not None})
    train, test = limits((recipe.train_examples, recipe.test_examples))
    recipe = replace(
        recipe,
        train_examples=train or recipe.train_examples,
        test_examples=test or recipe.test_examples,
    )
    chosen = tuple(names or (n for n in backends.FRAMEWORKS if n != "numpy" or not full))
    if not any(backends.installed(name) for name in chosen if name != "numpy"):
        recipe = replace(recipe, numpy_batches=None)  # it is alone, and has the time
    if data == "sample" or (data is None and sample_is_named()):
        return Plan(recipe, None, chosen)
    if data is not None or full or os.environ.get(ENVIRONMENT):
        return Plan(recipe, str(locate(FASHION_MNIST, data)), chosen)
    found = find(FASHION_MNIST)
    return Plan(recipe, str(found) if found else None, chosen)


def describe_data(root: str | None) -> str:
    """One line that says where a run's images come from."""
    if root is None:
        return "the sample of Fashion-MNIST in this package (5,000 and 1,000 images)"
    return f"Fashion-MNIST in {root}"


def gpu_hardware() -> bool:
    """Whether there may be a GPU, seen without loading any framework."""
    nodes = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")
    return sys.platform == "darwin" or any(Path(node).exists() for node in nodes)


def _uses_gpu(model: str, backend: str) -> bool:
    job = Job(model, backend, recipe_for(model, False), 0, None, only_report_device=True)
    with subprocess.Popen(_command(), **_pipes(subprocess.DEVNULL)) as process:
        return any(event.get("on_gpu") for event in _events(process, job))


def compare(
    model: str,
    plan: Plan,
    *,
    seed: int = 0,
    device: str | None = None,
    out: Path | None = None,
    watcher: Watcher | None = None,
) -> Comparison:
    """Train a net in every backend, one process after another, and set them side by side.

    All get the same images in the same order and the same initial weights. A backend that is not
    installed or that dies is a row that says why; the others go on. The run's folder (default:
    ``runs/<model>-<time>``) is written anew after each backend.
    """
    recipe, root = plan.recipe, plan.root
    net = zoo.get(model)
    shape = (net.input_shape[0], recipe.resize or 28, recipe.resize or 28)
    # Refuse here what every worker would refuse.
    net.resolve(shape)
    check_settings(recipe.num_epochs, recipe.lr, recipe.momentum, seed)
    reference_job = Job(net.name, "numpy", recipe, seed, root)
    reference_job.load_data()
    folder = out or Path("runs") / f"{net.name}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: the run's folder cannot be made ({error.strerror})") from None
    comparison = Comparison(net.name, recipe, describe_data(root), seed, folder)
    reference = _reference(reference_job, shape)
    for name in plan.names:
        job = Job(net.name, name, recipe, seed, root, device if name != "numpy" else None)
        row = _row(job, folder / f"{name}.log", watcher)
        if row.initial_logits is not None:
            difference = np.abs(row.initial_logits - reference).max()
            if np.isfinite(difference):
                row.logits_difference = float(difference / np.abs(reference).max())
            else:
                row.note = "its initial logits are not finite"
        if name == "numpy" and row.history and _stops_early(recipe):
            row.note = f"trained on the first {recipe.numpy_batches} batches of every epoch only"
        comparison.rows.append(row)
        comparison.save()
        if watcher:
            watcher.finish(row)
    return comparison


def _stops_early(recipe: Recipe) -> bool:
    """Whether NumPy is to leave out a part of every epoch."""
    batches = recipe.numpy_batches
    return batches is not None and batches * recipe.batch_size < recipe.train_examples


def _reference(job: Job, shape: tuple[int, ...]) -> np.ndarray:
    """The initial logits in double precision."""
    resolved, numpy_backend = zoo.get(job.model).resolve(shape), backends.load("numpy")
    net = numpy_backend.render(resolved, "cpu", "float64")
    numpy_backend.set_weights(net, initial_weights(resolved.parameters, job.seed))
    return initial_logits(job, net, "cpu")


def _row(job: Job, log: Path, watcher: Watcher | None) -> Row:
    """Run one worker and make its row."""
    row = Row(job.backend)
    if not backends.installed(job.backend):
        row.problem = f"not installed; {backends.framework(job.backend).install_command}"
        row.missing = True
        return row
    if watcher:
        watcher.start(job.backend)
    with log.open("w") as said, subprocess.Popen(_command(), **_pipes(said)) as process:
        try:
            for event in _events(process, job):
                _note(row, event)
                if watcher:
                    watcher.event(job.backend, event)
        except BaseException:  # Ctrl-C, or a fault of ours: leave nothing running
            process.kill()
            raise
    if row.history is None and not row.problem:
        row.problem = _cause_of_death(process.returncode, log)
    return row


def _command() -> list[str]:
    return [sys.executable, "-m", "alexnet.worker"]


def _pipes(stderr: Any) -> dict[str, Any]:
    """Pipes for a job and its events."""
    return {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr, "text": True}


def _events(process: subprocess.Popen[str], job: Job) -> Iterator[dict[str, Any]]:
    """Hand the job to a worker and yield its events until it is done."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(job.to_json())
        process.stdin.close()
    except BrokenPipeError:  # it died at once; its exit status will say how
        pass
    for line in process.stdout:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # it was killed within a line: its exit status will say how
            return


def _note(row: Row, event: dict[str, Any]) -> None:
    """Write down in a row what an event says."""
    match event["event"]:
        case "ready":
            row.version, row.device = event["version"], event["device"]
        case "initial_logits":
            row.initial_logits = np.array(event["logits"])
        case "result":
            row.history = History.from_dict(event["history"])
            row.peak_memory = event["peak_memory"]
        case "error":
            row.problem = event["message"]


def _cause_of_death(status: int, log: Path) -> str:
    how = f"ended with exit status {status}"
    if status < 0:
        names = {s.value: s.name for s in signal.Signals}
        how = f"killed by {names.get(-status, f'signal {-status}')}"
    tail = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join([how, *tail[-LOG_LINES:]])
