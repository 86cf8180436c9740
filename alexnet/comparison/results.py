"""The results of a comparison, and the folder that stores them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.backends import framework
from alexnet.backends.precision import check_precision
from alexnet.backends.schedules import Schedule
from alexnet.comparison.plan import Plan, check_workers, describe_data
from alexnet.comparison.rows import Row, check_finished
from alexnet.errors import AlexNetError, RunError
from alexnet.json_values import from_json, sealed, unsealed
from alexnet.train import check_settings
from alexnet.training.history import History
from alexnet.training.plots import plot_by_net
from alexnet.training.recipes import Recipe, net_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

FORMAT = 7  # version of the layout of comparison.json
SAVED = {"format", "alexnet", "begun", "data", "plan", "seed", "device", "rows"}
# What reading a damaged file can raise.
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


@dataclass(repr=False)
class Comparison:
    """A comparison: its plan and its results."""

    plan: Plan
    seed: int
    device: str | None
    folder: Path
    begun: str  # local time in ISO 8601, to the second
    rows: list[Row] = field(default_factory=list)
    version: str = __version__  # of the library that made the run
    interrupted: bool = False

    @property
    def models(self) -> list[str]:
        """The names of the nets."""
        return list(self.plan.recipes)

    @property
    def data(self) -> str:
        """A line that names the source of the images."""
        return describe_data(self.plan.root)

    @property
    def histories(self) -> list[History]:
        """The histories of the rows that have a result."""
        return [row.history for row in self.rows if row.history is not None]

    def __repr__(self) -> str:
        """Return the summary as text."""
        from alexnet.views.tables import as_text

        return as_text([f"Images: {self.data}", *self.summary()])

    def _repr_html_(self) -> str:
        """Return the summary and the curves as HTML for a notebook."""
        from alexnet.views.tables import as_html

        return as_html(self.summary(), [self.plot()] if self.histories else [])

    def plot(self) -> Figure:
        """Plot loss and accuracy of all backends, with a row of axes for each net.

        Raises DataError if no row has a result.
        """
        return plot_by_net(self.histories)

    def summary(self) -> list[str | Table]:
        """Return what to print: a line per recipe, the table, how far the nets agree, the problems."""
        from alexnet.comparison.agreement import sentences
        from alexnet.comparison.table import problems, recipe_lines, rows_table

        recipes = recipe_lines(self.plan, self.seed)
        agreement = sentences(self.rows, self.plan)
        return [*recipes, rows_table(self.rows), *agreement, *problems(self.rows)]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values for JSON."""
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
    def load(cls, folder: str | Path) -> Comparison:
        """Read the comparison in a run's folder. Raises RunError if it is missing or damaged."""
        folder = Path(folder)
        file = folder / "comparison.json"
        try:
            saved = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse)
            if saved.get("format") in (3, 4, 5, 6, FORMAT):
                return cls._restored(_upgraded(unsealed(saved)), folder)
        except UNREADABLE as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise RunError(f"{file}: cannot read the comparison ({why})") from None
        raise RunError(
            f"{file}: has format {saved.get('format')!r}; this version of alexnet reads format {FORMAT}"
        )

    @classmethod
    def _restored(cls, saved: dict[str, Any], folder: Path) -> Comparison:
        wrong = saved.keys() ^ SAVED
        if wrong:
            raise ValueError(f"wrong or missing: {', '.join(sorted(wrong))}")
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
        """Raise ValueError or an AlexNetError if the settings are bad or the rows do not fit them."""
        for model, recipe in self.plan.recipes.items():
            net_for(self.plan.net(model), recipe)
            check_recipe(recipe, self.seed)
            for name in ("batch_size", "train_examples", "test_examples", "numpy_batches"):
                number = getattr(recipe, name)
                if number is not None and number < 1:
                    raise ValueError(f"{name} must be at least 1, got {number}")
        check_workers(self.plan.parallel, self.plan.timeout, self.plan.seeds, self.plan.workers)
        for name in (*self.plan.names, *self.plan.pythons):
            framework(name)
        planned = {row.name for row in empty_rows(self.plan, self.seed)}
        if sorted(planned) != sorted(row.name for row in self.rows):
            raise ValueError("the rows do not match the models, backends and seeds of the plan")
        for row in self.rows:
            if row.history is not None:
                check_finished(row.history)

    def save(self) -> None:
        """Write comparison.json, table.txt and curves.png to the run's folder."""
        with replacing(self.folder / "comparison.json") as new:
            new.write_text(
                json.dumps(sealed(self.to_dict()), indent=1, allow_nan=False) + "\n",
                encoding="utf-8",
            )
        with replacing(self.folder / "table.txt") as new:
            new.write_text(repr(self), encoding="utf-8")
        if self.histories:  # an error in the picture must not lose the results
            with suppress(Exception), replacing(self.folder / "curves.png") as new:
                self.plot().savefig(new, dpi=150)


def empty_rows(plan: Plan, seed: int) -> list[Row]:
    """Return the rows of a plan without results: for each net and seed, a row for each backend."""
    seeds = range(seed, seed + plan.seeds) if plan.seeds > 1 else [None]
    return [Row(model, name, s) for model in plan.recipes for s in seeds for name in plan.names]


def check_recipe(recipe: Recipe, seed: int) -> None:
    """Raise RunError unless `train_ch6` accepts the recipe's settings and the seed."""
    check_settings(recipe.num_epochs, recipe.lr, recipe.momentum, seed, recipe.nesterov)
    check_precision(recipe.precision)
    Schedule(recipe.schedule, recipe.lr, recipe.num_epochs, steps_per_epoch=1)


def _upgraded(saved: dict[str, Any]) -> dict[str, Any]:
    """Return a saved comparison in the present format: settings that it lacks get their old values."""
    if saved["format"] == 3:
        plan = saved["plan"]
        if "silence" in plan:  # the name of the timeout before 0.1.0
            plan["timeout"] = plan.pop("silence")
        plan |= {"seeds": 1, "shared_dropout": False}
        for recipe in plan["recipes"].values():
            recipe["schedule"] = "constant"
        for row in saved["rows"]:
            row["seed"] = None
    if saved["format"] < 5:
        for recipe in saved["plan"]["recipes"].values():
            recipe |= {"precision": "float32", "nesterov": False, "flip": False, "crop": 0}
    if saved["format"] < 6:
        saved["plan"]["nets"] = {}
    if saved["format"] < FORMAT:
        saved["plan"]["workers"] = 1
    return saved


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
