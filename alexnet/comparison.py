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
from alexnet.errors import RunError
from alexnet.history import History, finite
from alexnet.parity import Differences
from alexnet.planning import Plan, describe_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 3  # of comparison.json


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
    parity: Differences | None = None  # of one step of training, `alexnet.checkup.SELF_TEST`
    note: str = ""
    missing: bool = False  # its framework is not installed

    @property
    def name(self) -> str:
        """What its files are called by."""
        return f"{self.model}-{self.backend}"

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {
            "history": self.history and self.history.to_dict(),
            "answers": self.answers and asdict(self.answers),
            "parity": self.parity and finite(asdict(self.parity)),
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Row:
        history, answers, parity = (plain[key] for key in ("history", "answers", "parity"))
        return cls(
            **{
                **plain,
                "history": history and History.from_dict(history),
                "answers": answers and Answers(**answers),
                "parity": parity and differences_from(parity),
            }
        )


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
        if not all(type(number) is int and number >= 0 for number in self.classes):
            raise ValueError("classes are whole numbers of at least 0")
        if not all(
            p is None or (type(p) in (int, float) and 0 <= p <= 1) for p in self.probabilities
        ):
            raise ValueError("probabilities lie in [0, 1]")


def differences_from(plain: dict[str, Any]) -> Differences:
    """The reverse of ``finite(asdict(differences))``. Raises TypeError for anything else."""
    fields: dict[str, Any] = {k: math.nan if v is None else v for k, v in plain.items()}
    found = Differences(**fields)
    figures = (found.logits, found.loss, found.gradients, found.weights)
    texts = (found.backend, found.worst, found.problem)
    if not all(type(f) in (int, float) for f in figures) or not all(type(t) is str for t in texts):
        raise TypeError(f"no differences: {plain!r:.60}")
    return found


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
        from alexnet.table import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """The table and the curves, as a notebook shows them."""
        from alexnet.notebook import as_html

        return as_html(self)

    def plot(self) -> Figure:
        """The loss and accuracy curves of all backends, a line of pictures for each net."""
        from alexnet.plotting import plot_histories

        return plot_histories(self.histories)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "alexnet": __version__,
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
            saved = json.loads(file.read_text())
            if saved.get("format") != FORMAT:
                raise RunError(
                    f"{file}: is of format {saved.get('format')!r}; this version reads {FORMAT}"
                )
            rows = [Row.from_dict(row) for row in saved["rows"]]
            plan = Plan.from_dict(saved["plan"])
            return cls(plan, saved["seed"], saved["device"], folder, saved["begun"], rows)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = error.strerror if isinstance(error, OSError) else repr(error)
            raise RunError(f"{file}: is no comparison that can be read ({why})") from None

    def save(self) -> None:
        """Write comparison.json, table.txt and curves.png into the run's folder."""
        from alexnet.table import as_text

        with replacing(self.folder / "comparison.json") as new:
            new.write_text(
                json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
            )
        with replacing(self.folder / "table.txt") as new:
            new.write_text(as_text(self), encoding="utf-8")
        if self.histories:  # the figures are worth more than their picture
            with suppress(Exception), replacing(self.folder / "curves.png") as new:
                self.plot().savefig(new, dpi=150)
