"""The runs of a sweep with their plan, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from alexnet._version import __version__
from alexnet.comparison.plan import describe_data
from alexnet.comparison.rows import Row
from alexnet.sweeps.plan import Combination, Plan


@dataclass(repr=False)
class Runs:
    """The plan of a sweep and its runs.

    ``rows`` has one `alexnet.comparison.rows.Row` for each run, with the label of its combination as
    ``model``. ``seconds`` has the wall time of each run that ended, by the row's name: from the start of
    its worker process to its end.
    """

    plan: Plan
    folder: Path
    begun: str  # local time in ISO 8601, to the second
    rows: list[Row] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    version: str = __version__  # of the library that made the sweep
    interrupted: bool = False

    def __post_init__(self) -> None:
        self.combinations: dict[str, Combination] = {
            combination.label: combination for combination in self.plan.combinations()
        }

    @property
    def done(self) -> list[Row]:
        """The rows that have a result."""
        return [row for row in self.rows if row.history is not None]

    @property
    def data(self) -> str:
        """A line that names the source of the images."""
        return describe_data(self.plan.root)
