"""What a comparison was and what came of it: rows, a table, a picture, a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.backends import framework
from alexnet.comparison.plan import Plan, check_workers, describe_data
from alexnet.errors import AlexNetError, RunError
from alexnet.json_values import from_json, to_json
from alexnet.parity.check import Differences
from alexnet.train import check_settings
from alexnet.training.history import History
from alexnet.training.recipes import net_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 3  # of comparison.json
SAVED = ("alexnet", "begun", "plan", "seed", "device", "rows")
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    AlexNetError,
)


@dataclass
class Row:
    """One net in one backend: its part of a comparison."""

    model: str
    backend: str
    problem: str = ""  # why there is no history
    version: str = ""
    device: str = ""
    machine: str = ""  # where it ran: processor, cores, memory, system, Python
    threads: str = ""  # that it was given
    history: History | None = None
    peak_memory: int | None = None  # bytes; of the process, or of the GPU
    logits_difference: float | None = None  # largest, over the largest logit of the reference
    answers: Answers | None = None
    parity: Differences | None = (
        None  # of one step of training, `alexnet.workers.examine.SELF_TEST`
    )
    note: str = ""
    missing: bool = False  # its framework is not installed

    @property
    def name(self) -> str:
        """What its files are called by."""
        return f"{self.model}-{self.backend}"

    @property
    def finished(self) -> bool:
        """Whether its worker has sent all that a worker sends."""
        return None not in (self.history, self.answers, self.parity)

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {
            "history": self.history and self.history.to_dict(),
            "answers": self.answers and asdict(self.answers),
            "parity": self.parity and to_json(asdict(self.parity)),
        }


@dataclass(frozen=True)
class Answers:
    """What a trained net says of each test image, in their order. Raises ValueError for no answers."""

    classes: list[int]
    probabilities: list[float | None]  # of that class, in [0, 1]; None: of a net that has diverged

    def __post_init__(self) -> None:
        if len(self.classes) != len(self.probabilities):
            raise ValueError(
                f"{len(self.classes)} classes, {len(self.probabilities)} probabilities"
            )
        if min(self.classes, default=0) < 0:
            raise ValueError(f"classes cannot be {min(self.classes)}")
        for p in self.probabilities:
            if p is not None and not 0 <= p <= 1:
                raise ValueError(f"probabilities cannot be {p}")


def check_finished(history: History) -> History:
    """The history, of which a report can be made. Raises ValueError unless it is of whole epochs."""
    if not history.epochs or not history.steps:
        raise ValueError("a history of a whole run has an epoch and a step")
    seconds = [s["seconds"] for s in history.steps] + [e.seconds for e in history.epochs]
    if not all(0 <= s < math.inf for s in seconds):
        raise ValueError("a history's seconds are finite and not below 0")
    if not all(s["examples"] >= 1 for s in history.steps):
        raise ValueError("a history's steps have an example at least")
    clock = history.timed_seconds if history.timed_examples else history.warmup_seconds
    if not 0 < clock < math.inf:
        raise ValueError("a history's speed is finite and above 0")
    known = {"train_examples": int, "test_examples": int, "test_crc32": str}
    for name, kind in known.items():
        if type(history.settings.get(name)) is not kind:
            raise ValueError(f"a history's {name} cannot be {history.settings.get(name)!r:.60}")
    return history


def labels(rows: Sequence[Row]) -> dict[str, str]:
    """What rows are shown as, by their names: the backend, and the net where there are several."""
    several = len({row.model for row in rows}) > 1
    return {row.name: f"{row.model} {row.backend}" if several else row.backend for row in rows}


def titles(rows: Sequence[Row]) -> dict[str, str]:
    """What rows are called in a sentence, by their names: PyTorch; or lenet in PyTorch."""
    several = len({row.model for row in rows}) > 1
    called = {row.name: framework(row.backend).title for row in rows}
    return {row.name: f"{row.model} in {called[row.name]}" for row in rows} if several else called


@dataclass(repr=False)
class Comparison:
    """What a comparison was and what came of it."""

    plan: Plan
    seed: int
    device: str | None
    folder: Path
    begun: str  # local time, to the second, as ISO 8601 has it
    rows: list[Row] = field(default_factory=list)
    version: str = __version__  # of this library, when the run was made
    interrupted: bool = False

    @property
    def models(self) -> list[str]:
        return list(self.plan.recipes)

    @property
    def data(self) -> str:
        """Where the images came from."""
        return describe_data(self.plan.root)

    @property
    def histories(self) -> list[History]:
        return [row.history for row in self.rows if row.history is not None]

    def __repr__(self) -> str:
        """The table, as text."""
        from alexnet.views.tables import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """The table and the curves, as a notebook shows them."""
        from alexnet.comparison.notebook import as_html

        return as_html(self)

    def plot(self) -> Figure:
        """The loss and accuracy curves of all backends, a line of pictures for each net."""
        from alexnet.views.curves import plot_by_net

        return plot_by_net(self.histories)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "alexnet": self.version,
            "begun": self.begun,
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
            saved = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
            if saved.get("format") == FORMAT:
                return cls._restored(saved, folder)
        except UNREADABLE as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise RunError(f"{file}: is no comparison that can be read ({why})") from None
        raise RunError(f"{file}: is of format {saved.get('format')!r}; this version reads {FORMAT}")

    @classmethod
    def _restored(cls, saved: dict[str, Any], folder: Path) -> Comparison:
        absent = [key for key in SAVED if key not in saved]
        if absent:
            raise ValueError(f"missing: {', '.join(absent)}")
        found = cls(
            from_json(Plan, saved["plan"], "plan"),
            from_json(int, saved["seed"], "seed"),
            from_json(str | None, saved["device"], "device"),
            folder,
            from_json(str, saved["begun"], "begun"),
            from_json(list[Row], saved["rows"], "rows"),
            from_json(str, saved["alexnet"], "alexnet"),
        )
        found._check()
        return found

    def _check(self) -> None:
        """Raise ValueError or one of this library's errors unless the parts go together."""
        for model, recipe in self.plan.recipes.items():
            net_for(model, recipe)
            check_settings(recipe.num_epochs, recipe.lr, recipe.momentum, self.seed)
            for name in ("batch_size", "train_examples", "test_examples", "numpy_batches"):
                number = getattr(recipe, name)
                if number is not None and number < 1:
                    raise ValueError(f"{name} must be at least 1, not {number}")
        check_workers(self.plan.parallel, self.plan.silence)
        for name in (*self.plan.names, *self.plan.pythons):
            framework(name)
        wanted = {(model, name) for model in self.plan.recipes for name in self.plan.names}
        if sorted(wanted) != sorted((row.model, row.backend) for row in self.rows):
            raise ValueError("its rows are not those of its plan")
        for row in self.rows:
            if row.history is not None:
                check_finished(row.history)

    def save(self) -> None:
        """Write comparison.json, table.txt and curves.png into the run's folder."""
        from alexnet.views.tables import as_text

        with replacing(self.folder / "comparison.json") as new:
            new.write_text(
                json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
            )
        with replacing(self.folder / "table.txt") as new:
            new.write_text(as_text(self), encoding="utf-8")
        if self.histories:  # the figures are worth more than their picture
            with suppress(Exception), replacing(self.folder / "curves.png") as new:
                self.plot().savefig(new, dpi=150)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
