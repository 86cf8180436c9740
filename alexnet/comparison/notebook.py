"""Shows the progress of a comparison in a notebook: a table and the curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from alexnet.comparison.rows import Row, labels, titles
from alexnet.comparison.terminal import duration
from alexnet.training.history import Epoch, History
from alexnet.training.plots import plot_by_net
from alexnet.views.tables import LAYOUT, as_html


class NotebookWatcher:
    """Redraws the table and the curves about once a second. Clears both at the end.

    Drawing takes time away from the workers. So if drawing is slow, it happens less often. ``curves``:
    whether to draw the curves.
    """

    INTERVAL = 1.0  # seconds
    REST = 10  # the pause is at least this many times as long as one drawing

    def __init__(self, curves: bool = True) -> None:
        self.curves = curves

    def begin(self, rows: Sequence[Row]) -> None:
        from IPython.display import HTML, display

        self.html = HTML
        self.labels, self.titles = labels(rows), titles(rows)
        self.states = dict.fromkeys(self.labels, "waiting")
        self.histories: dict[str, History] = {}
        self.figures: dict[str, list[str]] = {name: [""] * 4 for name in self.labels}
        self.handle = display(HTML(self._page()), display_id=True)
        self.drawn, self.pause = time.monotonic(), self.INTERVAL

    def event(self, row: Row, event: dict[str, Any]) -> None:
        name = row.name
        match event["event"]:
            case "start":
                self.states[name] = "starting"
            case "begin":
                self.states[name] = "compiling"
                self.histories[name] = History.from_dict(event["history"])
            case "step":
                self.histories[name].steps += event["steps"]
                left = event["seconds_left"]
                self.states[name] = f"{duration(left)} left" if left is not None else "training"
                self.figures[name] = [
                    f"{event['done']}",
                    f"{event['loss']:.3f}",
                    self.figures[name][2],
                    f"{event['examples_per_sec']:.1f}",
                ]
            case "test":
                self.states[name] = "testing"
            case "answers":
                self.states[name] = "parity check"
            case "epoch":
                self.histories[name].epochs.append(Epoch(**event["epoch"]))
                if not self.histories[name].stops_early:
                    self.figures[name][2] = f"{event['epoch']['test_accuracy']:.3f}"
        if time.monotonic() - self.drawn > self.pause:
            self._draw()

    def finish(self, row: Row) -> None:
        self.states[row.name] = "done" if row.history is not None else "no result"
        if not row.finished:
            print(f"{self.titles[row.name]}: {row.problem or row.note}")
        self._draw()

    def end(self) -> None:
        self.handle.update(self.html(""))  # the returned Comparison shows the results

    def _draw(self) -> None:
        started = time.monotonic()
        self.handle.update(self.html(self._page()))
        self.drawn = time.monotonic()
        self.pause = max(self.INTERVAL, self.REST * (self.drawn - started))

    def _page(self) -> str:
        table = Table(**LAYOUT)
        for name in ("backend", "steps", "loss", "test", "ex/s", ""):
            table.add_column(name, justify="left" if name == "backend" else "right", no_wrap=True)
        for name, state in self.states.items():
            table.add_row(self.labels[name], *self.figures[name], state)
        histories = [
            history for history in self.histories.values() if history.steps and self.curves
        ]
        return as_html([table], [plot_by_net(histories)] if histories else [])
