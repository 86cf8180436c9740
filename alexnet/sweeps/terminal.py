"""Shows the progress of a sweep in a terminal: one bar for all runs, and one for each current run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from alexnet.backends import framework
from alexnet.comparison.rows import Row
from alexnet.comparison.terminal import TerminalWatcher, duration


class SweepWatcher(TerminalWatcher):
    """Shows bars if stdout is a terminal. In both cases it prints one line when a run is done.

    The first bar counts the runs. Each run that is being done has a bar below it.
    """

    NAME_WIDTH = 30

    def begin(self, rows: Sequence[Row]) -> None:
        names = varying(rows)
        self.titles = {
            row.name: f"{names[row.model]} in {framework(row.backend).title}, seed {row.seed}"
            for row in rows
        }
        self.names = {row.name: f"{names[row.model]}, {row.backend}, {row.seed}" for row in rows}
        self.total, self.ended, self.began_at = len(rows), 0, time.monotonic()
        self.took = 0.0  # seconds of the run that ended last
        self.all = self._add(f"{self.total} runs", total=self.total, left="")
        self.progress.start()

    def event(self, row: Row, event: dict[str, Any]) -> None:
        if event["event"] == "start":
            self.bars[row.name] = self._add(self.names[row.name], total=1, left="starting")
            return  # a sweep has many runs: the line at the end of each is enough
        if event["event"] == "end":
            self.took = event["seconds"]
        super().event(row, event)

    def finish(self, row: Row) -> None:
        if row.name not in self.bars:  # its framework is not installed
            self.bars[row.name] = self._add("", total=1, left="")
        self.ended += 1
        left = (time.monotonic() - self.began_at) / self.ended * (self.total - self.ended)
        self.progress.update(
            self.all, completed=self.ended, steps=f"{self.ended}", left=f"{duration(left)} left"
        )
        if row.history is None:
            super().finish(row)
        else:
            last, speed = row.history.last, row.history.examples_per_sec
            self.say(
                f"{self.ended}/{self.total} {self.titles[row.name]}: test {last.test_accuracy:.3f}, "
                f"loss {last.loss:.3f}, {speed:,.0f} examples/sec, {duration(self.took)}"
            )
            if not row.finished:
                self.say(f"{self.titles[row.name]}: {row.note}")
        self.progress.update(self.bars[row.name], visible=False)

    def _add(self, name: str, **fields: Any) -> Any:
        empty: dict[str, Any] = dict.fromkeys(("steps", "loss", "test", "speed"), "")
        return self.progress.add_task("", group="", name=name, **{**empty, **fields})


def varying(rows: Sequence[Row]) -> dict[str, str]:
    """Return the labels of rows without the settings that are the same in all, by label.

    >>> varying([Row("width=2, lr=0.1", "numpy"), Row("width=2, lr=0.5", "numpy")])
    {'width=2, lr=0.1': 'lr=0.1', 'width=2, lr=0.5': 'lr=0.5'}
    """
    parts = {row.model: row.model.split(", ") for row in rows}
    same = set.intersection(*map(set, parts.values())) if len(parts) > 1 else set()
    return {
        label: ", ".join(part for part in its_parts if part not in same)
        for label, its_parts in parts.items()
    }
