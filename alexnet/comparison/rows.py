"""The rows of a comparison: the results of one net in one backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alexnet.backends import framework
from alexnet.json_values import to_json
from alexnet.parity.check import Differences
from alexnet.training.history import History


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
    parity: Differences | None = None  # of `alexnet.parity.check.SELF_TEST`
    note: str = ""
    missing: bool = False  # its framework is not installed

    @property
    def name(self) -> str:
        """The beginning of the names of its files."""
        return f"{self.model}-{self.backend}"

    @property
    def finished(self) -> bool:
        """Whether its worker has sent everything."""
        return None not in (self.history, self.answers, self.parity)

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {
            "history": self.history and self.history.to_dict(),
            "answers": self.answers and asdict(self.answers),
            "parity": self.parity and to_json(asdict(self.parity)),
        }


@dataclass(frozen=True)
class Answers:
    """The prediction of a trained net for each test image, in order. Raises ValueError for bad values."""

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
    """Return the history. Raises ValueError unless it has whole epochs, as the report needs them."""
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
    """Labels of rows in tables, by row name: the backend, and the net if there are several."""
    several = len({row.model for row in rows}) > 1
    return {row.name: f"{row.model} {row.backend}" if several else row.backend for row in rows}


def titles(rows: Sequence[Row]) -> dict[str, str]:
    """Titles of rows in sentences, by row name: PyTorch; or lenet in PyTorch."""
    several = len({row.model for row in rows}) > 1
    called = {row.name: framework(row.backend).title for row in rows}
    return {row.name: f"{row.model} in {called[row.name]}" for row in rows} if several else called
