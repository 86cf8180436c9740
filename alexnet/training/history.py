"""What a training run was and what came of it."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.atomic import replacing
from alexnet.errors import DataError
from alexnet.json_values import sealed, to_json, unsealed
from alexnet.views.curves import Curve, plot_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 2


@dataclass
class Epoch:
    """One epoch. Loss and training accuracy are means over its examples, from before each step."""

    loss: float
    train_accuracy: float  # in [0, 1]
    test_accuracy: float  # in [0, 1], after the epoch
    seconds: float  # of the training loop, data included; evaluation and drawing excluded


@dataclass
class History:
    """A training run: its settings, its steps and epochs, its speed.

    >>> history = History("lenet", "numpy", "1.26.4", "cpu", {"lr": 0.9}, {})
    >>> history.record_step(examples=4, loss_sum=8.0, correct=1, seconds=0.5)
    >>> history.steps
    [{'examples': 4, 'loss': 2.0, 'accuracy': 0.25, 'seconds': 0.5}]
    """

    model: str
    backend: str
    version: str
    device: str
    settings: dict[str, Any]
    versions: dict[str, str]
    epochs: list[Epoch] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)  # loss and accuracy: before each
    warmup_seconds: float = 0.0  # the first step, in which frameworks compile and allocate
    timed_examples: int = 0  # without the first step's
    timed_seconds: float = 0.0
    net: Any = field(default=None, repr=False, compare=False)  # the trained net; not saved

    def record_step(self, examples: int, loss_sum: float, correct: int, seconds: float) -> None:
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
        """Training examples in a second of the training loop, without the first step.

        A run of one single step has nothing else, so there the first step counts. Not a number before
        the first step.
        """
        if not self.steps:
            return math.nan
        if self.timed_examples:
            return self.timed_examples / self.timed_seconds
        return sum(s["examples"] for s in self.steps) / self.warmup_seconds

    @property
    def last(self) -> Epoch:
        return self.epochs[-1]

    def summary(self) -> str:
        """The chapter's two closing lines."""
        e = self.last
        return (
            f"loss {e.loss:.3f}, train acc {e.train_accuracy:.3f}, test acc {e.test_accuracy:.3f}\n"
            f"{self.examples_per_sec:.1f} examples/sec on {self.device}"
        )

    def plot(self) -> Figure:
        """Loss and accuracy over the epochs, as a matplotlib figure."""
        return plot_curves([[self.curve()]])

    def curve(self, label: str | None = None) -> Curve:
        """The run as plain numbers, under a label (default: its backend's name), to be drawn."""

        def column(name: str) -> np.ndarray:
            return np.array([step[name] for step in self.steps])

        seen = sum(step["examples"] for step in self.steps)
        return Curve(
            net=self.model,
            backend=self.backend,
            label=label or self.backend,
            examples=column("examples"),
            loss=column("loss"),
            accuracy=column("accuracy"),
            seconds=column("seconds"),
            epoch_examples=self.settings.get("train_examples") or seen / max(len(self.epochs), 1),
            epoch_seconds=np.array([epoch.seconds for epoch in self.epochs]),
            test_accuracy=np.array([epoch.test_accuracy for epoch in self.epochs]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the net, in plain types; numbers that are not finite become None."""
        fields = {k: v for k, v in vars(self).items() if k != "net"}
        fields["epochs"] = [asdict(e) for e in self.epochs]
        speed = {"examples_per_sec": self.examples_per_sec}
        return {"format": FORMAT, **to_json(fields | speed)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> History:
        """The reverse of `to_dict`. Raises DataError for another format, and for what is not a history."""
        if not isinstance(saved, dict):
            raise DataError(f"a history is a table of names and values, not {saved!r:.60}")
        if saved.get("format") != FORMAT:
            raise DataError(
                f"a history of format {saved.get('format')!r}; this version reads {FORMAT}"
            )
        derived = ("format", "examples_per_sec")
        fields = {k: v for k, v in saved.items() if k not in derived}
        if fields.keys() != KINDS.keys():
            wrong = sorted(fields.keys() ^ KINDS.keys())
            raise DataError(
                f"a history has {', '.join(KINDS)}; wrong or missing: {', '.join(wrong)}"
            )
        for name, kind in KINDS.items():
            value = fields[name]
            large = isinstance(value, int | float) and not abs(value) < LARGEST
            if not isinstance(value, kind) or isinstance(value, bool) or large:
                raise DataError(f"a history's {name} cannot be {value!r:.60}")
        epochs = [Epoch(**e) for e in _numbers("epochs", saved["epochs"], EPOCH)]
        steps = steps_from(saved["steps"])
        return cls(**{**fields, "epochs": epochs, "steps": steps})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the history as JSON."""
        with replacing(Path(path)) as new:
            text = json.dumps(sealed(self.to_dict()), indent=1, allow_nan=False)
            new.write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote. Raises DataError if it is not such a file."""
        try:
            return cls.from_dict(unsealed(json.loads(Path(path).read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: cannot be read as a history ({error})") from None


KINDS: dict[str, Any] = {
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
EPOCH = ("loss", "train_accuracy", "test_accuracy", "seconds")
LARGEST = 1e300  # JSON has whole numbers beyond what a float can be
STEP = ("examples", "loss", "accuracy", "seconds")


def steps_from(saved: list[Any]) -> list[dict[str, float]]:
    """Steps of a history from plain types. Raises DataError for anything else."""
    return _numbers("steps", saved, STEP)


def _numbers(what: str, rows: list[Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of numbers by these names; None stands for a number that was not finite."""
    for row in rows:
        if not isinstance(row, dict) or row.keys() != set(names):
            raise DataError(f"a history's {what} have {', '.join(names)} each, not {row!r:.60}")
        if not all(
            v is None or (type(v) in (int, float) and abs(v) < LARGEST) for v in row.values()
        ):
            raise DataError(f"a history's {what} are numbers, not {row!r:.60}")
    return [{k: math.nan if v is None else v for k, v in row.items()} for row in rows]
