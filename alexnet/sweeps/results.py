"""The results of a sweep, and the folder that stores them: one file for each run."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.atomic import replacing
from alexnet.comparison.filling import checkpoint_of
from alexnet.comparison.results import UNREADABLE
from alexnet.comparison.rows import Row, check_finished
from alexnet.errors import RunError
from alexnet.json_values import from_json, sealed, unsealed
from alexnet.sweeps.plan import Plan
from alexnet.sweeps.runs import Runs
from alexnet.sweeps.settings import values_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

FORMAT = 1  # version of the layout of sweep.json and of the files of runs
FILE, RUNS = "sweep.json", "runs"  # in the sweep's folder
LONGEST_NAME = 120  # characters; longer names of files are cut, and get a hash


class Sweep(Runs):
    """A sweep: its plan and its results. In a notebook, it shows its table and its picture."""

    @classmethod
    def load(cls, folder: str | Path) -> Sweep:
        """Read the sweep in a folder. Raises RunError if its plan is missing or damaged.

        A run whose file is damaged has no result, and says why. ``--resume`` runs it again.
        """
        folder = Path(folder)
        saved = _read(folder / FILE)
        try:
            plan = _plan_from(saved["plan"])
            begun, version = from_json(str, saved["begun"], "begun"), saved["alexnet"]
            found = cls(
                plan, folder, begun, plan.rows(), version=from_json(str, version, "alexnet")
            )
        except UNREADABLE as error:
            raise RunError(f"{folder / FILE}: cannot read the sweep ({error})") from None
        for number, row in enumerate(found.rows):
            file = found.file(row)
            if not file.exists():
                continue
            try:
                found.rows[number], found.seconds[row.name] = _run_from(_read(file), row)
            except (RunError, *UNREADABLE) as error:
                row.problem = str(error)
        return found

    def file(self, row: Row) -> Path:
        """Return the file of a run."""
        return self.folder / RUNS / f"{stem(row.name)}.json"

    def log(self, row: Row) -> Path:
        """Return the file with the output of a run's worker."""
        return self.folder / RUNS / f"{stem(row.name)}.log"

    def checkpoint(self, row: Row) -> Path:
        """Return the checkpoint of a run, which exists while the run is not finished."""
        return checkpoint_of(self.folder, stem(row.name))

    def __repr__(self) -> str:
        """Return the summary as text."""
        from alexnet.views.tables import as_text

        return as_text([f"Images: {self.data}", *self.summary()])

    def _repr_html_(self) -> str:
        """Return the summary and the picture as HTML for a notebook."""
        from alexnet.views.tables import as_html

        alt = f"test accuracy by {', '.join(self.plan.swept)}, as in the table"
        return as_html(self.summary(), [self.plot()] if self.done else [], alt)

    def summary(self) -> list[str | Table]:
        """Return what to print: what all runs share, the table, what it shows, and the problems."""
        from alexnet.sweeps.table import summary

        return summary(self)

    def plot(self) -> Figure:
        """Return the picture of test accuracy and speed. Raises DataError if no run has a result."""
        from alexnet.sweeps.picture import picture

        return picture(self)

    def records(self) -> list[dict[str, Any]]:
        """Return a dict of plain values for each run: all settings and figures, as in sweep.csv.

        ``pandas.DataFrame(sweep.records())`` makes a table of them.
        """
        from alexnet.sweeps.records import records

        return records(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as plain values for JSON: its plan, and every run with its history."""
        runs = [self._run_to_dict(row) for row in self.rows if row.history or row.problem]
        return {**self._plan_to_dict(), "runs": runs}

    def _plan_to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "alexnet": self.version,
            "begun": self.begun,
            "data": self.data,
            "plan": self.plan.to_dict(),
        }

    def _run_to_dict(self, row: Row) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "alexnet": self.version,
            "settings": dict(self.combinations[row.model].settings),
            "seconds": self.seconds.get(row.name, 0.0),
            "row": row.to_dict(),
        }

    def save_plan(self) -> None:
        """Write sweep.json."""
        _write(self.folder / FILE, self._plan_to_dict())

    def save_run(self, row: Row) -> None:
        """Write the file of a run."""
        _write(self.file(row), self._run_to_dict(row))

    def save_tables(self) -> None:
        """Write table.txt and sweep.csv."""
        from alexnet.sweeps.records import csv_text

        with replacing(self.folder / "table.txt") as new:
            new.write_text(repr(self), encoding="utf-8")
        with replacing(self.folder / "sweep.csv") as new:
            new.write_text(csv_text(self), encoding="utf-8", newline="")

    def save_picture(self) -> None:
        """Write sweep.png, if there is a result. An error in the picture does not lose the results."""
        if self.done:
            with suppress(Exception), replacing(self.folder / "sweep.png") as new:
                self.plot().savefig(new, dpi=150)


def stem(name: str) -> str:
    """Return the start of the names of a run's files: its name, in characters that every system allows.

    >>> stem("pool_window=3/2, lr=0.1-torch-seed0")
    'pool_window=3-2,lr=0.1-torch-seed0'
    """
    clean = re.sub(r"[^A-Za-z0-9=.,_+-]", "", name.replace("/", "-"))
    if len(clean) <= LONGEST_NAME:
        return clean
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{clean[: LONGEST_NAME - 9]}-{digest}"


def _plan_from(saved: Mapping[str, Any]) -> Plan:
    """Return the plan that `Plan.to_dict` wrote. Raises an error for anything else."""
    plan = from_json(Plan, saved, "plan")
    values = {name: values_of(name, list(given)) for name, given in plan.settings.items()}
    return Plan(**{**vars(plan), "settings": values})


def _run_from(saved: Mapping[str, Any], planned: Row) -> tuple[Row, float]:
    """Return the row and the seconds in a run's file. Raises ValueError if it is another run's."""
    row = from_json(Row, saved["row"], "row")
    if row.name != planned.name:
        raise ValueError(f"it is the run {row.name}, not {planned.name}")
    if row.history is not None:
        check_finished(row.history)
    return row, from_json(float, saved["seconds"], "seconds")


def _write(file: Path, values: dict[str, Any]) -> None:
    with replacing(file) as new:
        text = json.dumps(sealed(values), indent=1, allow_nan=False)
        new.write_text(f"{text}\n", encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    """Return the values in a file. Raises RunError if it is missing, damaged or of another format."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        if "sha256" not in saved:
            raise ValueError("it has no checksum")
        if saved["format"] != FORMAT:
            raise ValueError(
                f"it has format {saved['format']!r}, this version reads format {FORMAT}"
            )
        return unsealed(saved)
    except UNREADABLE as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"{file}: cannot read the file ({why})") from None
