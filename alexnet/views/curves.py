"""Curves of training runs, drawn from plain numbers by matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.backends import FRAMEWORKS
from alexnet.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNKNOWN = {"color": "black", "linestyle": "-", "marker": "o"}  # style of an unknown backend's curve

POINTS_PER_EPOCH = 40  # of a smoothed curve, at most
RAW_POINTS = 600  # of the curve behind it, at most
CLOCK = 1e-6  # seconds; less than any step, more than what is lost in adding them up

UNITS = {
    "step": "step",
    "epoch": "epoch",
    "second": "seconds of training",
    "example": "training images",
}
"""What a run can be measured in."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A training run as plain numbers: what each step and each epoch brought."""

    net: str
    backend: str  # which decides the colour
    label: str
    examples: np.ndarray  # (steps,), of each step, as are the next three
    loss: np.ndarray
    accuracy: np.ndarray
    seconds: np.ndarray
    epoch_examples: float  # the images of a whole epoch, also where a run stops before its end
    epoch_seconds: np.ndarray  # (epochs,)
    test_accuracy: np.ndarray  # (epochs,), after each epoch

    @property
    def style(self) -> Mapping[str, Any]:
        """Color, linestyle and marker, as matplotlib has them."""
        entry = FRAMEWORKS.get(self.backend)
        return entry.style if entry is not None else UNKNOWN

    def positions(self, unit: str) -> np.ndarray:
        """Where the run stood after each step, in one of `UNITS`: float64 (steps,)."""
        if unit == "step":
            return np.arange(1.0, len(self.examples) + 1)
        gone = np.cumsum(self.seconds if unit == "second" else self.examples, dtype=float)
        return gone / self.epoch_examples if unit == "epoch" else gone

    def last_steps(self) -> np.ndarray:
        """The index of each epoch's last step, found by the clock: int64 (epochs,)."""
        ends = np.cumsum(self.epoch_seconds)
        found = np.searchsorted(np.cumsum(self.seconds), ends - CLOCK)
        return np.minimum(found, len(self.seconds) - 1)

    def smoothed(self, figure: str) -> tuple[np.ndarray, np.ndarray]:
        """The steps that a thinned curve has, and the running mean of loss or accuracy there."""
        examples = self.examples.astype(float)
        per_epoch = self.epoch_examples / examples.max()  # batches
        window = max(1, int(per_epoch // 8))
        thin = max(1, int(per_epoch // POINTS_PER_EPOCH))
        kept = np.arange(len(examples) - 1, min(window, len(examples)) - 2, -thin)[::-1]
        sums = _running(examples * getattr(self, figure), window)
        return kept, (sums / _running(examples, window))[kept]


def _running(values: np.ndarray, window: int) -> np.ndarray:
    """Sums over the last ``window`` values (fewer at the start)."""
    return np.convolve(values, np.ones(window))[: len(values)]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, that a notebook shows where it is a cell's last value."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(figure)  # pyplot tells the notebook how to show figures; it must not show this one
    return figure


def plot_curves(groups: Sequence[Sequence[Curve]]) -> Figure:
    """Loss and accuracy over the epochs, one row of pictures for each group of curves.

    Lines are training figures, a running mean over an eighth of an epoch; markers are the test accuracy
    after each epoch. Raises DataError if there is nothing to draw.
    """
    if not groups or not groups[0]:
        raise DataError("there is no history to plot")
    figure = new_figure(10, 4 * len(groups))
    rows = figure.subplots(len(groups), 2, squeeze=False)
    for group, (loss_axes, accuracy_axes) in zip(groups, rows, strict=True):
        draw_loss(loss_axes, group)
        draw_accuracy(accuracy_axes, group)
        if len(groups) > 1:
            for axes in (loss_axes, accuracy_axes):
                axes.set_title(f"{group[0].net}: {axes.get_title()}")
    nets = {curve.net for group in groups for curve in group}
    if len(nets) == 1:  # nets that were given as such go by the names of their classes
        figure.suptitle(nets.pop())
    return figure


def draw_loss(axes: Axes, curves: Sequence[Curve], unit: str = "epoch") -> None:
    """The training loss of runs over one of `UNITS`."""
    for curve in curves:
        _draw_line(axes, curve, "loss", unit, curve.label)
    _label_axes(axes, "training loss", unit)
    axes.set_ylim(bottom=0)
    axes.legend(title="training", loc="lower left")  # where a falling loss comes last


def draw_accuracy(axes: Axes, curves: Sequence[Curve], unit: str = "epoch") -> None:
    """The training accuracy of runs, and the test accuracy after each epoch."""
    for curve in curves:
        _draw_line(axes, curve, "accuracy", unit)
        if len(curve.examples) and len(curve.test_accuracy):
            axes.plot(
                curve.positions(unit)[curve.last_steps()],
                curve.test_accuracy,
                curve.style["marker"],
                color=curve.style["color"],
                markersize=8,
                markerfacecolor="none",
                markeredgewidth=1.8,
                clip_on=False,
                label=curve.label,
            )
    _label_axes(axes, "accuracy", unit)
    axes.set_ylim(0, 1)
    if any(len(curve.test_accuracy) for curve in curves):
        axes.legend(title="test, after the epoch", loc="best")


def _draw_line(axes: Axes, curve: Curve, figure: str, unit: str, label: str | None = None) -> None:
    """A smoothed line; behind it the values of single batches, where steps are the unit."""
    if not len(curve.examples):
        return
    style, where = curve.style, curve.positions(unit)
    kept, means = curve.smoothed(figure)
    look = {key: style[key] for key in ("color", "linestyle")}
    axes.plot(where[kept], means, label=label, **look)
    if unit == "step":
        thin = -(-len(where) // RAW_POINTS)
        raw = getattr(curve, figure)
        axes.plot(where[::thin], raw[::thin], color=style["color"], alpha=0.2, linewidth=0.7)


def _label_axes(axes: Axes, title: str, unit: str) -> None:
    axes.set(xlabel=UNITS[unit], title=title)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
