"""What a comparison was and what came of it: rows, a table, a picture, a folder."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.errors import RunError
from alexnet.history import History
from alexnet.planning import Plan, describe_data
from alexnet.recipes import Recipe

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


@dataclass(repr=False)
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

    def __repr__(self) -> str:
        """The table, as text."""
        from alexnet.table import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        """The table and the curves, as a notebook shows them."""
        from alexnet.notebook import as_html

        return as_html(self)

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
            new.write_text(
                json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
            )
        with replacing(self.folder / "table.txt") as new:
            new.write_text(as_text(self), encoding="utf-8")
        if self.histories:  # the figures are worth more than their picture
            with suppress(Exception), replacing(self.folder / "curves.png") as new:
                self.plot().savefig(new, dpi=150)
