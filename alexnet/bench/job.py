"""The job of one worker of a bench."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from alexnet.bench.cases import Case


@dataclass(frozen=True)
class Job:
    """The cases and the parts that one worker measures, in types that JSON can hold.

    >>> job = Job("numpy", (Case("lenet", 28, 16, "float32", 2, 64),), ("step",))
    >>> Job.from_json(job.to_json()) == job
    True
    """

    backend: str
    cases: tuple[Case, ...]
    parts: tuple[str, ...]  # of `alexnet.bench.cases.PARTS`; also "memory", "recipe" and "peaks"
    root: str | None = None  # folder of the four data files; None: the sample
    device: str | None = None
    hand_loops: str | None = None  # folder of the hand-written loops

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        fields = json.loads(text)
        cases = tuple(Case(**case) for case in fields["cases"])
        return cls(**{**fields, "cases": cases, "parts": tuple(fields["parts"])})
