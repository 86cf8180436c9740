"""The progress of a comparison in a terminal: a line for each backend."""

from __future__ import annotations

import sys
import time
from typing import Any

from alexnet.backends import framework
from alexnet.comparison import Row

LONG = 600  # seconds; a run that will take longer says so
STEPS_BEFORE_ESTIMATE = 3


class TerminalWatcher:
    """A tqdm bar for the backend that runs, where stderr is a terminal, and a line when it is done."""

    def __init__(self) -> None:
        self.bar: Any = None  # of the backend that runs

    def start(self, backend: str) -> None:
        from tqdm import tqdm

        self.bar = tqdm(
            desc=f"{backend:10}", unit="batch", disable=None, dynamic_ncols=True, leave=False
        )
        self.begun = time.monotonic()
        self.estimated = False

    def event(self, backend: str, event: dict[str, Any]) -> None:
        match event["event"]:
            case "begin":
                self.bar.reset(event["steps"])
            case "step":
                self.bar.set_postfix_str(f"loss {event['loss']:.3f}", refresh=False)
                self.bar.update(event["done"] - self.bar.n)
                self._estimate(backend, event)
            case _:
                self.bar.refresh()

    def _estimate(self, backend: str, event: dict[str, Any]) -> None:
        """Before a long run: how long it will take at the speed measured in its first steps."""
        if self.estimated or event["done"] < STEPS_BEFORE_ESTIMATE or not event["seconds_left"]:
            return
        self.estimated = True
        if event["seconds_left"] > LONG:
            self.say(
                f"{backend}: about {duration(event['seconds_left'])} of training to come, "
                f"at {event['examples_per_sec']:.1f} examples/sec"
            )

    def finish(self, row: Row) -> None:
        title = framework(row.backend).title
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if row.history is None:
            self.say(f"{title}: {row.problem}")
            return
        took = duration(time.monotonic() - self.begun)
        self.say(f"{title} {row.version}, {took}: {row.history.summary().replace(chr(10), ', ')}")

    def say(self, line: str) -> None:
        if self.bar is not None and not self.bar.disable:
            self.bar.write(line, file=sys.stdout)
        else:
            print(line, flush=True)


def duration(seconds: float) -> str:
    """Seconds as one would say them.

    >>> duration(42), duration(400), duration(19_980)
    ('42 s', '6 min 40 s', '5 h 33 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
