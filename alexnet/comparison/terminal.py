"""Shows the progress of a comparison in a terminal, with one line for each row."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from alexnet.comparison.agreement import is_short, share_of_steps
from alexnet.comparison.rows import Row, titles
from alexnet.training.history import History

LONG = 600  # seconds; for a longer run, an estimate of its time is printed
STEPS_BEFORE_ESTIMATE = 3
FAR_OFF = 2  # an estimate that is so many times too long or too short is corrected


def _column(name: str, width: int, **options: Any) -> TextColumn:
    text = f"{{task.fields[{name}]}}"
    return TextColumn(text, markup=False, table_column=Column(width=width, no_wrap=True, **options))


class _Groups(Progress):
    """Progress bars, under their net and seed if there are several."""

    def get_renderables(self) -> Iterator[RenderableType]:
        groups = list(dict.fromkeys(task.fields["group"] for task in self.tasks))
        for group in groups:
            if len(groups) > 1:
                yield Text(group, "bold")
            yield self.make_tasks_table([t for t in self.tasks if t.fields["group"] == group])


class TerminalWatcher:
    """Shows a bar, loss, accuracy, speed and time left for each row, if stdout is a terminal.

    Otherwise it prints one line when a row begins and one when it is done. In both cases it prints one line
    for a failure.
    """

    NAME_WIDTH = 10  # characters

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True, markup=False)
        self.progress = _Groups(
            _column("name", self.NAME_WIDTH),
            BarColumn(bar_width=None),
            _column("steps", 9, justify="right"),
            _column("loss", 10),
            _column("test", 10),
            _column("speed", 12, justify="right"),
            _column("left", 13, justify="right"),
            console=self.console,
            transient=True,
            expand=True,
            refresh_per_second=4,
            disable=not self.console.is_terminal,
        )
        self.bars: dict[str, TaskID] = {}
        self.begun: dict[str, float] = {}
        self.ends: dict[str, float] = {}  # the estimates, as values of time.monotonic
        self.short: dict[str, bool] = {}

    def begin(self, rows: Sequence[Row]) -> None:
        self.titles = titles(rows)
        empty: dict[str, Any] = dict.fromkeys(("steps", "loss", "test", "speed"), "")
        for row in rows:
            group = row.model if row.seed is None else f"{row.model}, seed {row.seed}"
            self.bars[row.name] = self.progress.add_task(
                "", total=1, group=group, name=row.backend, left="waiting", **empty
            )
        self.progress.start()

    def event(self, row: Row, event: dict[str, Any]) -> None:
        match event["event"]:
            case "start":
                self.begun[row.name] = time.monotonic()
                self._show(row, left="starting")
                if self.progress.disable:
                    self.say(f"{self.titles[row.name]}: starting …")
            case "begin":
                self.short[row.name] = History.from_dict(event["history"]).stops_early
                self._show(row, total=event["steps"], left="compiling")
            case "step":
                speed, left = event["examples_per_sec"], event["seconds_left"]
                self._show(
                    row,
                    completed=event["done"],
                    steps=f"{event['done']}",
                    loss=f"loss {event['loss']:.3f}",
                    speed=f"{speed:.1f} ex/s",
                    left=f"{duration(left)} left" if left is not None else "",
                )
                self._estimate(row, event)
            case "test":
                self._show(row, left="testing")
            case "answers":
                self._show(row, left="parity check")
            case "epoch":
                if not self.short.get(row.name):
                    self._show(row, test=f"test {event['epoch']['test_accuracy']:.3f}")

    def finish(self, row: Row) -> None:
        title = self.titles[row.name]
        took = duration(time.monotonic() - self.begun.get(row.name, time.monotonic()))
        if row.history is None:
            self._show(row, left="no result")
            self.say(f"{title}: {row.problem}")
            return
        if not self.progress.disable:
            self._show(row, left=took)
        else:
            summary = row.history.summary().replace("\n", ", ")
            if is_short(row):
                speed = f"{row.history.examples_per_sec:.1f} examples/sec on {row.history.device}"
                summary = f"{share_of_steps(row)}, {speed}"
            self.say(f"{title} ({row.version}), {took}: {summary}")
        if not row.finished:
            self.say(f"{title}: {row.note}")

    def end(self) -> None:
        self.progress.stop()

    def say(self, line: str) -> None:
        self.console.print(line)

    def _show(self, row: Row, **fields: Any) -> None:
        self.progress.update(self.bars[row.name], **fields)

    def _estimate(self, row: Row, event: dict[str, Any]) -> None:
        """Print how long a long run will take, and print it again if the estimate was far off.

        The first steps can be several times slower than later ones.
        """
        left, now = event["seconds_left"], time.monotonic()
        if event["done"] < STEPS_BEFORE_ESTIMATE or not left:
            return
        before = self.ends[row.name] - now if row.name in self.ends else None
        if before is not None and before / FAR_OFF < left < before * FAR_OFF:
            return
        self.ends[row.name] = now + left
        if max(left, before or 0) > LONG:
            self.say(
                f"{self.titles[row.name]}: about {duration(left)} of training left, "
                f"at {event['examples_per_sec']:.1f} examples/sec"
            )


def duration(seconds: float) -> str:
    """Return seconds as a short text.

    >>> duration(42), duration(400), duration(19_980)
    ('42 s', '6 min 40 s', '5 h 33 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
