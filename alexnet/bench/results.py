"""The results of a bench, and the folder that stores them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from alexnet._version import __version__
from alexnet.atomic import replacing
from alexnet.backends import framework
from alexnet.bench.cases import FIGURES, STEPS, Case, training_flop
from alexnet.bench.limits import Limits
from alexnet.bench.plan import Plan
from alexnet.errors import AlexNetError, RunError
from alexnet.json_values import from_json, sealed, unsealed

FORMAT = 3  # version of the layout of bench.json
READABLE = (2, FORMAT)  # format 2 has no numbers of processes
FILE = "bench.json"
TORCHVISION = {"torchvision PIL per core": "PIL images", "torchvision per core": "tensors"}
"""The figures of torchvision's Resize in a DataLoader, with what it resizes."""
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
    AlexNetError,
)


@dataclass
class Row:
    """The figures of one case in one backend: lists with one number of each measurement."""

    case: int  # index in the plan
    backend: str
    version: str = ""
    device: str = ""
    precision: str = ""  # in which it trained; may differ from the case's if that is auto
    problem: str = ""  # why it has no figures, or no more
    missing: bool = False  # whether the framework is not installed
    problems: dict[str, str] = field(default_factory=dict)  # by part
    figures: dict[str, list[float]] = field(default_factory=dict)  # by name, see `FIGURES`

    def add(self, figures: dict[str, Any]) -> None:
        """Append figures. Raises ValueError unless all are known and above 0 and finite."""
        for name, value in figures.items():
            if name not in FIGURES:
                raise ValueError(f"unknown figure {name!r:.60}")
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, got {value!r:.60}")
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(float(value))

    def median(self, name: str) -> float | None:
        """Return the median of a figure over the rounds, or None without any value."""
        values = self.figures.get(name)
        return median(values) if values else None

    def spread(self, name: str) -> tuple[float, float] | None:
        """Return the smallest and the largest value of a figure, or None without any value."""
        values = self.figures.get(name)
        return (min(values), max(values)) if values else None

    def ratio(self, above: str, below: str) -> float | None:
        """Return the median of the ratios of two figures in the same round, or None without both.

        Both figures of a round come from one process, one soon after the other. So other load on the
        machine changes their ratio less than their medians.

        >>> Row(0, "numpy", figures={"train": [30, 20, 31], "hand": [30, 20, 30]}).ratio("train", "hand")
        1.0
        """
        a, b = self.figures.get(above), self.figures.get(below)
        if not a or not b:
            return None
        if len(a) != len(b):  # a part failed in some round
            return median(a) / median(b)
        return median(x / y for x, y in zip(a, b, strict=True))

    @property
    def step(self) -> str:
        """The figure of the step that trains: the reduced one, or the plain one of a single process."""
        plain, reduced = STEPS
        return reduced if reduced in self.figures else plain

    @property
    def communication(self) -> list[float]:
        """The seconds that a reduced step took longer than a plain one in the same turn.

        They have the sums over the processes, and the time in which processes wait for each other. A value
        may be below 0 if other work ran on the machine.

        >>> Row(0, "torch", figures={"plain step": [3, 2], "reduced step": [4, 4]}).communication
        [1, 2]
        """
        plain, reduced = (self.figures.get(name, []) for name in STEPS)
        return [r - p for p, r in zip(plain, reduced, strict=True)] if reduced else []

    @property
    def share_of_communication(self) -> float | None:
        """The part of a reduced step that is communication, at most 1; None without both steps.

        >>> Row(0, "torch", figures={"plain step": [3], "reduced step": [4]}).share_of_communication
        0.25
        """
        part = self.ratio(*STEPS)
        return None if part is None else 1 - part


@dataclass
class Bench:
    """A bench: its plan and its results."""

    plan: Plan
    folder: Path
    begun: str  # local time in ISO 8601, to the second
    rows: list[Row]
    limits: Limits = field(default_factory=Limits)  # of this machine
    rounds: int = 0  # finished
    seconds: float = 0.0  # in total
    machine: str = ""
    hand_loops: bool = True  # whether the hand-written loops were found
    version: str = __version__  # of the library that made the run
    interrupted: bool = False

    def case(self, row: Row) -> Case:
        """Return the case of a row."""
        return self.plan.cases[row.case]

    def limit(self, row: Row) -> float | None:
        """Return the examples per second that a row could reach at the machine's peak, or None."""
        peak = self.limits.peak(row.precision)
        return peak / training_flop(self.case(row).net) if peak else None

    def share_of_limit(self, row: Row) -> float | None:
        """Return the speed of `train_ch6` over the limit, or None without both."""
        limit, speed = self.limit(row), row.median("train")
        return speed / limit if limit and speed else None

    def speed_up(self, row: Row) -> float | None:
        """Return how many times as fast as one process a row's processes are, or None without both."""
        alone = replace(self.case(row), processes=1)
        mine = (r for r in self.rows if r.backend == row.backend and self.case(r) == alone)
        before = next((r.median(r.step) for r in mine), None)
        now = row.median(row.step)
        return before / now if before and now else None

    def loader_ratio(self, row: Row, way: str) -> float | None:
        """Return the loader's speed per core over torchvision's, or None. ``way``: one of `TORCHVISION`."""
        case, mine = self.case(row), row.median("loader per core")
        theirs = [
            value
            for other in self.rows
            if (self.case(other).size, self.case(other).batch_size) == (case.size, case.batch_size)
            and (value := other.median(way))
        ]
        return mine / max(theirs) if mine and theirs else None

    def to_dict(self) -> dict[str, Any]:
        """Return the bench as plain values for JSON."""
        fields = {
            k: v for k, v in vars(self).items() if k not in ("folder", "interrupted", "version")
        }
        return {
            "format": FORMAT,
            "alexnet": self.version,
            **fields,
            "plan": self.plan.to_dict(),
            "limits": asdict(self.limits),
            "rows": [asdict(row) for row in self.rows],
        }

    @classmethod
    def load(cls, folder: Path) -> Bench:
        """Read the bench in a run's folder. Raises RunError if it is missing or damaged."""
        file = folder / FILE
        try:
            saved = unsealed(json.loads(file.read_text(encoding="utf-8")))
            number = saved.pop("format")
            if number not in READABLE:
                known = " and ".join(map(str, READABLE))
                raise ValueError(f"it has format {number!r}; this version reads formats {known}")
            if number < FORMAT:
                for case in saved["plan"]["cases"]:
                    case.setdefault("processes", None)
            return cls._restored(saved, folder)
        except UNREADABLE as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise RunError(f"{file}: cannot read the bench ({why})") from None

    @classmethod
    def _restored(cls, saved: dict[str, Any], folder: Path) -> Bench:
        kinds = {
            "plan": Plan,
            "begun": str,
            "rows": list[Row],
            "limits": Limits,
            "rounds": int,
            "seconds": float,
            "machine": str,
            "hand_loops": bool,
        }
        version = from_json(str, saved.pop("alexnet"), "alexnet")
        wrong = saved.keys() ^ kinds.keys()
        if wrong:
            raise ValueError(f"wrong or missing: {', '.join(sorted(wrong))}")
        fields = {name: from_json(kind, saved[name], name) for name, kind in kinds.items()}
        found = cls(folder=folder, version=version, **fields)
        for row in found.rows:
            framework(row.backend)
            if not 0 <= row.case < len(found.plan.cases):
                raise ValueError(f"there is no case {row.case}")
            values, row.figures = row.figures, {}
            for name, numbers in values.items():
                for number in numbers:
                    row.add({name: number})
        return found

    def save(self) -> None:
        """Write bench.json to the run's folder."""
        with replacing(self.folder / FILE) as new:
            text = json.dumps(sealed(self.to_dict()), indent=1, allow_nan=False)
            new.write_text(text + "\n", encoding="utf-8")


def empty_rows(plan: Plan) -> list[Row]:
    """Return the rows of a plan without results: for each case, a row for each backend."""
    return [Row(number, name) for number in range(len(plan.cases)) for name in plan.names]
