"""The job of the worker that measures the layers of a net."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """A net whose layers one worker measures, in types that JSON can hold.

    >>> from alexnet.spec import zoo
    >>> job = Job("numpy", zoo.get("lenet").to_dict(), 128, "cpu")
    >>> Job.from_json(job.to_json()) == job
    True
    """

    backend: str
    net: dict[str, Any]  # as `alexnet.Net.to_dict` returns it, with the input shape to measure
    batch_size: int
    device: str | None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        return cls(**json.loads(text))
