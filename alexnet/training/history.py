"""The record of a training run: its settings, steps, epochs and speed."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.atomic import replacing
from alexnet.backends import FRAMEWORKS
from alexnet.errors import DataError
from alexnet.json_values import sealed, to_json, unsealed
from alexnet.views.curves import Curve, plot_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 2


@dataclass
class Epoch:
    """The results of one epoch.

    ``loss`` and ``train_accuracy`` are means over the examples, each measured just before its step.
    """

    loss: float
    train_accuracy: float  # in [0, 1]
    test_accuracy: float  # in [0, 1], measured after the epoch
    seconds: float  # in the training loop; includes data loading, excludes evaluation and callbacks


@dataclass(repr=False)
class History:
    """The record of a training run: its settings, steps, epochs and speed.

    >>> history = History("lenet", "numpy", "1.26.4", "cpu", {"lr": 0.9}, {})
    >>> history.record_step(examples=4, loss_sum=8.0, correct=1, seconds=0.5)
    >>> history.steps
    [{'examples': 4, 'loss': 2.0, 'accuracy': 0.25, 'seconds': 0.5}]
    """

    model: str
    backend: str
    version: str  # of the framework
    device: str
    settings: dict[str, Any]
    versions: dict[str, str]  # of alexnet, Python, NumPy and the framework
    epochs: list[Epoch] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)  # loss, accuracy: before the step
    warmup_seconds: float = 0.0  # time of the first step, which compiles and allocates
    timed_examples: int = 0  # without the first step
    timed_seconds: float = 0.0  # without the first step
    net: Any = field(default=None, compare=False)  # the trained net; not saved

    def __repr__(self) -> str:
        """Return what was trained and the result of the last epoch, in one line.

        >>> History("lenet", "numpy", "1.26.4", "cpu", {}, {}, [Epoch(0.5, 0.75, 0.625, 2.0)])
        <History of lenet in numpy, epochs: 1, loss 0.500, train acc 0.750, test acc 0.625>
        """
        result = f", {self._result()}" if self.epochs else ""
        return f"<History of {self.model} in {self.backend}, epochs: {len(self.epochs)}{result}>"

    def record_step(self, examples: int, loss_sum: float, correct: int, seconds: float) -> None:
        """Append one step. ``loss_sum`` and ``correct`` are sums over its examples."""
        self.steps.append(
            {
                "examples": examples,
                "loss": loss_sum / examples,
                "accuracy": correct / examples,
                "seconds": seconds,
            }
        )

    @property
    def examples_per_sec(self) -> float:
        """Training examples per second of the training loop, without the first step.

        If there is only one step (since the run was resumed), this step counts. NaN without any step.
        """
        if not self.steps:
            return math.nan
        if self.timed_examples:
            return self.timed_examples / self.timed_seconds
        return self.steps[-1]["examples"] / self.warmup_seconds

    @property
    def last(self) -> Epoch:
        """The last finished epoch."""
        return self.epochs[-1]

    def summary(self) -> str:
        """Return the two lines that the chapter prints after training."""
        return f"{self._result()}\n{self.examples_per_sec:.1f} examples/sec on {self.device}"

    def _result(self) -> str:
        e = self.last
        return (
            f"loss {e.loss:.3f}, train acc {e.train_accuracy:.3f}, test acc {e.test_accuracy:.3f}"
        )

    @property
    def planned_steps(self) -> int | None:
        """Number of steps of all epochs over all training images; None if the images are not known."""
        names = ("train_examples", "batch_size", "num_epochs")
        numbers = [self.settings.get(name) for name in names]
        found = [n for n in numbers if type(n) is int and n > 0]  # a worker may send anything
        if len(found) < len(numbers):
            return None
        examples, batch_size, epochs = found
        return epochs * math.ceil(examples / batch_size)

    @property
    def stops_early(self) -> bool:
        """Whether every epoch stops before it has used all training images."""
        first, planned = self.settings.get("first_batches"), self.planned_steps
        if planned is None or type(first) is not int or first < 1:
            return False
        return first * self.settings["num_epochs"] < planned

    def plot(self) -> Figure:
        """Return a matplotlib figure of loss and accuracy over the epochs."""
        return plot_curves([[self.curve()]])

    def curve(self, label: str | None = None) -> Curve:
        """Return the run's numbers for a plot. ``label``: default is the framework, and its precision.

        A run that stops early has no test accuracy in it, because it cannot be compared with other runs.
        """

        def column(name: str) -> np.ndarray:
            return np.array([step[name] for step in self.steps])

        title = FRAMEWORKS[self.backend].title if self.backend in FRAMEWORKS else self.backend
        precision = self.settings.get("precision", "float32")
        tested = [] if self.stops_early else [epoch.test_accuracy for epoch in self.epochs]
        total = sum(step["examples"] for step in self.steps)
        return Curve(
            net=self.model,
            backend=self.backend,
            label=label or f"{title}{f' ({precision})' if precision != 'float32' else ''}",
            examples=column("examples"),
            loss=column("loss"),
            accuracy=column("accuracy"),
            seconds=column("seconds"),
            epoch_examples=self.settings.get("train_examples") or total / max(len(self.epochs), 1),
            epoch_seconds=np.array([epoch.seconds for epoch in self.epochs]),
            test_accuracy=np.array(tested),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except ``net`` in plain types. Numbers that are not finite become None."""
        fields = {k: v for k, v in vars(self).items() if k != "net"}
        fields["epochs"] = [asdict(e) for e in self.epochs]
        speed = {"examples_per_sec": self.examples_per_sec}
        return {"format": FORMAT, **to_json(fields | speed)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> History:
        """Return the history that `to_dict` wrote. Raises DataError for anything else."""
        if not isinstance(saved, dict):
            raise DataError(f"a history must be a dict, got {saved!r:.60}")
        if saved.get("format") != FORMAT:
            raise DataError(
                f"a history must have format {FORMAT}, got format {saved.get('format')!r}"
            )
        derived = ("format", "examples_per_sec")
        fields = {k: v for k, v in saved.items() if k not in derived}
        if fields.keys() != FIELDS.keys():
            wrong = sorted(fields.keys() ^ FIELDS.keys())
            raise DataError(
                f"a history must have {', '.join(FIELDS)}; wrong or missing: {', '.join(wrong)}"
            )
        for name, kind in FIELDS.items():
            value = fields[name]
            too_large = isinstance(value, int | float) and not abs(value) < LARGEST
            if not isinstance(value, kind) or isinstance(value, bool) or too_large:
                raise DataError(f"a history's {name} cannot be {value!r:.60}")
        epochs = [Epoch(**e) for e in _numeric_rows("epochs", saved["epochs"], EPOCH_FIELDS)]
        steps = steps_from(saved["steps"])
        return cls(**{**fields, "epochs": epochs, "steps": steps})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history to a JSON file. An existing file is replaced."""
        with replacing(Path(path)) as new:
            text = json.dumps(sealed(self.to_dict()), indent=1, allow_nan=False)
            new.write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a file that `save` wrote. Raises DataError if it is missing, damaged or not a history."""
        try:
            return cls.from_dict(unsealed(json.loads(Path(path).read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: cannot be read as a history ({error})") from None


FIELDS: dict[str, Any] = {
    "model": str,
    "backend": str,
    "version": str,
    "device": str,
    "settings": dict,
    "versions": dict,
    "epochs": list,
    "steps": list,
    "warmup_seconds": int | float,
    "timed_examples": int,
    "timed_seconds": int | float,
}
EPOCH_FIELDS = ("loss", "train_accuracy", "test_accuracy", "seconds")
LARGEST = 1e300  # JSON allows integers that are too large for a float
STEP_FIELDS = ("examples", "loss", "accuracy", "seconds")


def steps_from(saved: list[Any]) -> list[dict[str, float]]:
    """Return the steps of a history from plain types. Raises DataError for anything else."""
    return _numeric_rows("steps", saved, STEP_FIELDS)


def _numeric_rows(what: str, rows: list[Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rows with a number for each name; None becomes NaN. Raises DataError for other rows."""
    for row in rows:
        if not isinstance(row, dict) or row.keys() != set(names):
            raise DataError(
                f"a history's {what} must each have {', '.join(names)}, got {row!r:.60}"
            )
        if not all(
            v is None or (type(v) in (int, float) and abs(v) < LARGEST) for v in row.values()
        ):
            raise DataError(f"a history's {what} must be numbers, got {row!r:.60}")
    return [{k: math.nan if v is None else v for k, v in row.items()} for row in rows]
