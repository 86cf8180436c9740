"""Callbacks that show a run: a progress bar in a terminal, a live plot in a notebook, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

import numpy as np

from alexnet.training.history import History


class Callback(Protocol):
    """The methods that a training run calls. Their time does not count as training time."""

    def begin(self, history: History, steps: int | None) -> None:
        """Handle the start of a run. ``steps``: the steps of all epochs together, None if unknown."""

    def step(self, history: History) -> None:
        """Handle new steps in the history, after the first step and then at most every 0.25 s."""

    def test(self, history: History, logits: np.ndarray) -> None:
        """Handle the end of a test batch. ``logits``: (B, classes)."""

    def epoch(self, history: History) -> None:
        """Handle the end of an epoch, after its evaluation."""

    def end(self, history: History) -> None:
        """Handle the end of the run, also if an error or Ctrl-C interrupts it."""


class ProgressBar:
    """A tqdm progress bar on stderr, only in a terminal. At the end it prints the summary to stdout.

    ``shown``: whether stderr is a terminal in the end; None: look. The output of a process may reach its
    terminal through a file.
    """

    def __init__(self, shown: bool | None = None) -> None:
        self.shown = shown

    def begin(self, history: History, steps: int | None) -> None:
        from tqdm import tqdm

        label = f"{history.model} on {history.backend}"
        self.bar = tqdm(
            total=steps,
            initial=len(history.steps),
            desc=label,
            unit="batch",
            disable=None if self.shown is None else not self.shown,
            dynamic_ncols=True,
        )

    def step(self, history: History) -> None:
        self.bar.set_postfix_str(f"loss {history.steps[-1]['loss']:.3f}", refresh=False)
        self.bar.update(len(history.steps) - self.bar.n)

    def test(self, history: History, logits: np.ndarray) -> None:
        pass

    def epoch(self, history: History) -> None:
        pass

    def end(self, history: History) -> None:
        self.bar.close()
        if history.epochs:
            print(history.summary())


class LivePlot:
    """The chapter's plot in a notebook, redrawn about once a second. At the end it prints the summary."""

    INTERVAL = 1.0  # seconds

    def begin(self, history: History, steps: int | None) -> None:
        from IPython.display import display

        self.handle: Any = None
        self.show = display
        self.drawn = time.monotonic()

    def step(self, history: History) -> None:
        if time.monotonic() - self.drawn > self.INTERVAL:
            self._draw(history)

    def test(self, history: History, logits: np.ndarray) -> None:
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


class Silent:
    """Shows and prints nothing, for programs that train many nets and show only their results.

    >>> from alexnet import load_fashion_mnist, train_ch6
    >>> data = load_fashion_mnist(64, resize=None, source="sample", subset=(128, 64))
    >>> history = train_ch6("lenet", *data, 1, 0.1, backend="numpy", callback=Silent())
    >>> len(history.epochs)
    1
    """

    def begin(self, history: History, steps: int | None) -> None:
        pass

    def step(self, history: History) -> None:
        pass

    def test(self, history: History, logits: np.ndarray) -> None:
        pass

    def epoch(self, history: History) -> None:
        pass

    def end(self, history: History) -> None:
        pass


def default_callback() -> Callback:
    """Return a live plot in a Jupyter notebook, and a progress bar elsewhere."""
    return LivePlot() if in_notebook() else ProgressBar()


def in_notebook() -> bool:
    """Return whether the code runs in a Jupyter kernel (Colab included), which can show figures."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    # Look at all base classes: Colab's shell is a subclass of Jupyter's.
    kinds = [cls.__name__ for cls in type(shell).__mro__]
    return "ZMQInteractiveShell" in kinds
