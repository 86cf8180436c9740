"""Curves of training runs, drawn with matplotlib from plain numbers."""

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

UNKNOWN = {"color": "black", "linestyle": "-", "marker": "o"}  # curve style of an unknown backend

POINTS_PER_EPOCH = 40  # approximate number in a smoothed curve
FAINT = 0.3  # opacity of the runs behind their mean
RAW_POINTS = 600  # most points in the unsmoothed curve behind it
CLOCK = 1e-6  # seconds: shorter than any step, larger than the rounding error of a sum

UNITS = {
    "step": "step",
    "epoch": "epoch",
    "second": "seconds of training",
    "example": "training images",
}
"""The units of the horizontal axis, with their labels."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A training run as plain numbers, per step and per epoch."""

    net: str
    backend: str  # selects the colour
    label: str
    examples: np.ndarray  # (steps,), images in each step
    loss: np.ndarray  # (steps,)
    accuracy: np.ndarray  # (steps,)
    seconds: np.ndarray  # (steps,)
    epoch_examples: float  # images in a complete epoch, even if the run stops earlier
    epoch_seconds: np.ndarray  # (epochs,)
    test_accuracy: np.ndarray  # (epochs,), after each epoch
    look: Mapping[str, Any] | None = None  # the style; default: the backend's

    @property
    def style(self) -> Mapping[str, Any]:
        """The matplotlib values of ``color``, ``linestyle`` and ``marker``."""
        if self.look is not None:
            return self.look
        entry = FRAMEWORKS.get(self.backend)
        return entry.style if entry is not None else UNKNOWN

    def positions(self, unit: str) -> np.ndarray:
        """Return the position of the run after each step, in one of `UNITS`: float64 (steps,)."""
        if unit == "step":
            return np.arange(1.0, len(self.examples) + 1)
        total = np.cumsum(self.seconds if unit == "second" else self.examples, dtype=float)
        return total / self.epoch_examples if unit == "epoch" else total

    def last_steps(self) -> np.ndarray:
        """Return the index of each epoch's last step, found by comparing times: int64 (epochs,)."""
        ends = np.cumsum(self.epoch_seconds)
        indices = np.searchsorted(np.cumsum(self.seconds), ends - CLOCK)
        return np.minimum(indices, len(self.seconds) - 1)

    def smoothed(self, figure: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the steps to draw, and the running mean of ``figure`` at these steps.

        The mean is over an eighth of an epoch, or over fewer steps at the start.

        ``figure`` is ``"loss"`` or ``"accuracy"``.
        """
        examples = self.examples.astype(float)
        per_epoch = self.epoch_examples / examples.max()  # batches
        window = max(1, int(per_epoch // 8))
        thin = max(1, int(per_epoch // POINTS_PER_EPOCH))
        kept = np.arange(len(examples) - 1, -1, -thin)[::-1]
        sums = _running_sum(examples * getattr(self, figure), window)
        return kept, (sums / _running_sum(examples, window))[kept]


def _running_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Return the sums over the last ``window`` values (fewer at the start)."""
    return np.convolve(values, np.ones(window))[: len(values)]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, sized in inches. A notebook shows the figure if a cell ends with it."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(figure)  # pyplot enables display in notebooks; closing prevents a second display
    return figure


def plot_curves(groups: Sequence[Sequence[Curve]]) -> Figure:
    """Draw loss and accuracy over the epochs, one row of plots per group of curves.

    Lines show training values, as a running mean over an eighth of an epoch. Markers show the test
    accuracy after each epoch. Raises DataError if there are no curves.
    """
    if not groups or not groups[0]:
        raise DataError("a plot needs at least one history")
    figure = new_figure(10, 4 * len(groups))
    rows = figure.subplots(len(groups), 2, squeeze=False)
    for group, (loss_axes, accuracy_axes) in zip(groups, rows, strict=True):
        draw_loss(loss_axes, group)
        draw_accuracy(accuracy_axes, group)
        if len(groups) > 1:
            for axes in (loss_axes, accuracy_axes):
                axes.set_title(f"{group[0].net}: {axes.get_title()}")
    nets = {curve.net for group in groups for curve in group}
    if len(nets) == 1:  # models given as net objects have their class names here
        figure.suptitle(nets.pop())
    return figure


def draw_loss(axes: Axes, curves: Sequence[Curve], unit: str = "epoch") -> None:
    """Draw the training loss of runs over one of `UNITS`.

    Runs with the same label (with different seeds) are drawn faintly, with their mean in front.
    """
    axes.update_datalim([(0, 0)], updatex=False)  # leaves room above a loss that hardly changes
    for group in _by_label(curves):
        for curve in group if len(group) > 1 else ():
            _draw_line(axes, curve, "loss", unit, alpha=FAINT)
        _draw_line(axes, mean_curve(group), "loss", unit, group[0].label)
    _label_axes(axes, "training loss", unit)
    axes.set_ylim(bottom=0)
    axes.legend(title="training", loc="lower left")  # a falling loss reaches this corner last


def draw_accuracy(axes: Axes, curves: Sequence[Curve], unit: str = "epoch") -> None:
    """Draw the training accuracy of runs, and the test accuracy after each epoch, over one of `UNITS`.

    Runs with the same label (with different seeds) are drawn faintly, with their mean in front. Then a bar
    shows the standard deviation of the test accuracy.
    """
    for group in _by_label(curves):
        for curve in group if len(group) > 1 else ():
            _draw_line(axes, curve, "accuracy", unit, alpha=FAINT)
        mean = mean_curve(group)
        _draw_line(axes, mean, "accuracy", unit)
        if len(mean.examples) and len(mean.test_accuracy):
            tested = [curve.test_accuracy[: len(mean.test_accuracy)] for curve in group]
            axes.errorbar(
                mean.positions(unit)[mean.last_steps()],
                mean.test_accuracy,
                np.std(tested, axis=0, ddof=1) if len(group) > 1 else None,
                fmt=mean.style["marker"],
                color=mean.style["color"],
                markersize=8,
                markerfacecolor="none",
                markeredgewidth=1.8,
                clip_on=False,
                label=mean.label,
            )
    _label_axes(axes, "accuracy", unit)
    axes.set_ylim(0, 1)
    if any(len(curve.test_accuracy) for curve in curves):
        axes.legend(title="test, after the epoch", loc="best")


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean of runs with the same settings and different seeds, as far as all have come."""
    if len(curves) == 1:
        return curves[0]

    def mean(name: str) -> np.ndarray:
        arrays = [getattr(curve, name) for curve in curves]
        length = min(map(len, arrays))
        return np.mean([array[:length] for array in arrays], axis=0)

    first = curves[0]
    return Curve(
        first.net,
        first.backend,
        first.label,
        mean("examples"),
        mean("loss"),
        mean("accuracy"),
        mean("seconds"),
        first.epoch_examples,
        mean("epoch_seconds"),
        mean("test_accuracy"),
        first.look,
    )


def _by_label(curves: Sequence[Curve]) -> list[list[Curve]]:
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.label, []).append(curve)
    return list(groups.values())


def _draw_line(
    axes: Axes,
    curve: Curve,
    figure: str,
    unit: str,
    label: str | None = None,
    alpha: float = 1.0,
) -> None:
    """Draw a smoothed line. If the unit is steps, draw the values of single batches behind the line."""
    if not len(curve.examples):
        return
    style, where = curve.style, curve.positions(unit)
    kept, means = curve.smoothed(figure)
    look = {key: style[key] for key in ("color", "linestyle")}
    on_top = 2 + 1 / len(where)  # a shorter run lies on top, or a longer one would hide it
    axes.plot(where[kept], means, label=label, alpha=alpha, zorder=on_top, **look)
    if unit == "step" and alpha == 1:
        thin = -(-len(where) // RAW_POINTS)
        raw = getattr(curve, figure)
        axes.plot(where[::thin], raw[::thin], color=style["color"], alpha=0.2, linewidth=0.7)


def _label_axes(axes: Axes, title: str, unit: str) -> None:
    axes.set(xlabel=UNITS[unit], title=title)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
