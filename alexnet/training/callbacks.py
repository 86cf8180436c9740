"""Callbacks that show a training run: a progress bar in a terminal, a live plot in a notebook."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from alexnet.training.history import History


class Callback(Protocol):
    """Methods that a training run calls. Their time does not count as training."""

    def begin(self, history: History, steps: int | None) -> None:
        """Before the first step; ``steps`` of all epochs, None if unknown."""

    def step(self, history: History) -> None:
        """After each step."""

    def test(self, history: History) -> None:
        """After each batch of an evaluation."""

    def epoch(self, history: History) -> None:
        """After each epoch and its evaluation."""

    def end(self, history: History) -> None:
        """After the last epoch, and also when the run breaks off."""


class ProgressBar:
    """A tqdm bar on stderr, where that is a terminal; the two closing lines on stdout."""

    def begin(self, history: History, steps: int | None) -> None:
        from tqdm import tqdm

        label = f"{history.model} on {history.backend}"
        self.bar = tqdm(
            total=steps,
            initial=len(history.steps),
            desc=label,
            unit="batch",
            disable=None,
            dynamic_ncols=True,
        )

    def step(self, history: History) -> None:
        self.bar.set_postfix_str(f"loss {history.steps[-1]['loss']:.3f}", refresh=False)
        self.bar.update()

    def test(self, history: History) -> None:
        pass

    def epoch(self, history: History) -> None:
        pass

    def end(self, history: History) -> None:
        self.bar.close()
        if history.epochs:
            print(history.summary())


class LivePlot:
    """The chapter's picture, drawn again about once a second while the run goes on."""

    INTERVAL = 1.0  # seconds

    def begin(self, history: History, steps: int | None) -> None:
        from IPython.display import display

        self.handle: Any = None
        self.show = display
        self.drawn = time.monotonic()

    def step(self, history: History) -> None:
        if time.monotonic() - self.drawn > self.INTERVAL:
            self._draw(history)

    def test(self, history: History) -> None:
        pass

    def epoch(self, history: History) -> None:
        self._draw(history)

    def end(self, history: History) -> None:
        if history.epochs:
            print(history.summary())

    def _draw(self, history: History) -> None:
        figure = history.plot()
        if self.handle is None:
            self.handle = self.show(figure, display_id=True)
        else:
            self.handle.update(figure)
        self.drawn = time.monotonic()


def default_callback() -> Callback:
    """A live plot in a Jupyter notebook, a bar anywhere else."""
    return LivePlot() if in_notebook() else ProgressBar()


def in_notebook() -> bool:
    """Whether this runs in a kernel that shows pictures: Jupyter's, or one that descends from it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kinds = [cls.__name__ for cls in type(shell).__mro__]  # Colab's shell descends from Jupyter's
    return "ZMQInteractiveShell" in kinds
