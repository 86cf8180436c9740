"""The rows of a comparison: the results of one net in one backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alexnet.backends import device_name, framework
from alexnet.json_values import to_json
from alexnet.parity.check import Differences
from alexnet.training.history import History


@dataclass
class Row:
    """The results of one net in one backend."""

    model: str
    backend: str
    seed: int | None = None  # if the comparison has several seeds
    problem: str = ""  # why the row has no history
    version: str = ""
    device: str = ""  # as the framework names it
    machine: str = ""  # where it ran: processor, cores, memory, system, Python
    threads: str = ""  # the number of threads of each process
    history: History | None = None
    peak_memory: int | None = None  # bytes, of its processes or of their GPUs
    logits_difference: float | None = None  # largest, divided by the reference's largest logit
    answers: Answers | None = None
    parity: Differences | None = None  # in `alexnet.parity.check.SELF_TEST`
    note: str = ""  # remarks on the result
    missing: bool = False  # whether the framework is not installed

    @property
    def name(self) -> str:
        """The start of the names of the row's files."""
        seed = f"-seed{self.seed}" if self.seed is not None else ""
        return f"{self.model}-{self.backend}{seed}"

    @property
    def device_name(self) -> str:
        """The device in the words of all frameworks: ``cpu`` or ``gpu:0``."""
        return device_name(self.device)

    @property
    def finished(self) -> bool:
        """Whether the row has its history, answers and parity figures."""
        return None not in (self.history, self.answers, self.parity)

    @property
    def precision(self) -> str:
        """The precision of its training, as `alexnet.backends.precision` names it."""
        settings = self.history.settings if self.history is not None else {}
        return str(settings.get("precision", "float32"))

    @property
    def precision_note(self) -> str:
        """What to write after the backend's name: empty for float32, else such as `` (bfloat16)``."""
        return f" ({self.precision})" if self.precision != "float32" else ""

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values for JSON."""
        return vars(self) | {
            "history": self.history and self.history.to_dict(),
            "answers": self.answers and asdict(self.answers),
            "parity": self.parity and to_json(asdict(self.parity)),
        }


@dataclass(frozen=True)
class Answers:
    """A trained net's predictions for the test images, in order. Raises ValueError for bad values."""

    classes: list[int]  # the predicted labels, at least 0
    probabilities: list[float | None]  # of these classes, in [0, 1]; None: the net has diverged

    def __post_init__(self) -> None:
        if len(self.classes) != len(self.probabilities):
            raise ValueError(
                "classes and probabilities must have the same length, "
                f"got {len(self.classes)} and {len(self.probabilities)}"
            )
        if min(self.classes, default=0) < 0:
            raise ValueError(f"classes must be at least 0, got {min(self.classes)}")
        for p in self.probabilities:
            if p is not None and not 0 <= p <= 1:
                raise ValueError(f"probabilities must be in [0, 1], got {p}")


def check_finished(history: History) -> History:
    """Return the history of a finished run. Raises ValueError if the report could not show it."""
    if not history.epochs or not history.steps:
        raise ValueError(
            "the history of a finished run must have at least one epoch and one step, "
            f"got {len(history.epochs)} epochs and {len(history.steps)} steps"
        )
    seconds = [s["seconds"] for s in history.steps] + [e.seconds for e in history.epochs]
    if not all(0 <= s < math.inf for s in seconds):
        raise ValueError("seconds in a history must be finite and at least 0")
    if not all(s["examples"] >= 1 for s in history.steps):
        raise ValueError("every step in a history must have at least 1 example")
    timed_seconds = history.timed_seconds if history.timed_examples else history.warmup_seconds
    if not 0 < timed_seconds < math.inf:
        raise ValueError(
            f"the training time in a history must be finite and above 0, got {timed_seconds} s"
        )
    numbers = ("train_examples", "test_examples", "batch_size", "num_epochs")
    known: dict[str, type] = {**dict.fromkeys(numbers, int), "test_crc32": str}
    for name, kind in known.items():
        if type(history.settings.get(name)) is not kind:
            value = history.settings.get(name)
            raise ValueError(f"{name} in a history must be {kind.__name__}, got {value!r:.60}")
    return history


def labels(rows: Sequence[Row]) -> dict[str, str]:
    """Return row labels for tables, by row name: the backend, with net and seed if there are several."""
    several = len({row.model for row in rows}) > 1
    return {
        row.name: " ".join(
            [
                *([row.model] if several else []),
                row.backend + row.precision_note,
                *([f"seed {row.seed}"] if row.seed is not None else []),
            ]
        )
        for row in rows
    }


def titles(rows: Sequence[Row]) -> dict[str, str]:
    """Return row titles for sentences, by row name: "PyTorch", or "lenet in PyTorch, seed 1"."""
    several = len({row.model for row in rows}) > 1
    return {
        row.name: f"{f'{row.model} in ' if several else ''}{framework(row.backend).title}"
        f"{row.precision_note}{f', seed {row.seed}' if row.seed is not None else ''}"
        for row in rows
    }
