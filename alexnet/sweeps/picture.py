"""A sweep as a picture: test accuracy and speed over the settings, drawn with matplotlib."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.backends import framework
from alexnet.errors import DataError
from alexnet.sweeps.settings import CATEGORY, LOG, SETTINGS, label, text_of
from alexnet.sweeps.table import Line, lines
from alexnet.views.curves import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from alexnet.sweeps.runs import Runs

MOST_PANELS = 12  # more would be too small to read
COLUMNS = 3
SHIFT = 0.12  # between the backends of a category, as a share of the distance of two categories
Y_LABELS = {"test_accuracy": "test accuracy", "examples_per_sec": "training examples per second"}


@dataclass(frozen=True)
class Panel:
    """One plot: its title, the setting of its x axis, the figure of its y axis, and its lines."""

    title: str
    setting: str | None  # None: the only x value is the net
    figure: str
    lines: tuple[Line, ...]


def panels(sweep: Runs) -> tuple[list[Panel], str]:
    """Return the plots of a sweep, and a sentence that says what they show.

    With one swept setting: a plot of the accuracy and a plot of the speed. With several: one is on the x
    axis, and each combination of the others has a plot of the accuracy. If these are more than
    `MOST_PANELS` plots, each setting has one plot instead.
    """
    found, swept = lines(sweep), sweep.plan.swept
    mean = "mean and standard deviation over the seeds" if sweep.plan.seeds > 1 else "one seed"
    if len(swept) < 2:
        setting = swept[0] if swept else None
        shown = [Panel(Y_LABELS[name], setting, name, tuple(found)) for name in Y_LABELS]
        return shown, f"Markers: {mean}."
    across = x_setting(sweep)
    others = [name for name in swept if name != across]
    places = list(itertools.product(*(sweep.plan.settings[name] for name in others)))
    if len(places) > MOST_PANELS:
        shown = [Panel(SETTINGS[n].title, n, "test_accuracy", tuple(found)) for n in swept]
        return shown, (
            "One plot for each setting. Markers: the mean over all runs with this value, whatever their "
            "other settings; bars: the standard deviation of these runs."
        )
    shown = []
    for place in places:
        fixed = dict(zip(others, place, strict=True))
        mine = tuple(line for line in found if fixed.items() <= line.combination.settings.items())
        shown.append(Panel(label(fixed), across, "test_accuracy", mine))
    return shown, f"One plot for each value of {' and '.join(others)}. Markers: {mean}."


def x_setting(sweep: Runs) -> str:
    """Return the setting for the x axis: numbers before categories, then the most values."""

    def rank(name: str) -> tuple[bool, int]:
        return SETTINGS[name].axis != CATEGORY, len(sweep.plan.settings[name])

    return max(sweep.plan.swept, key=rank)


def picture(sweep: Runs) -> Figure:
    """Return the figure of a sweep. Raises DataError if no run has a result."""
    if not sweep.done:
        raise DataError("a picture of a sweep needs at least one run with a result")
    shown, said = panels(sweep)
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = new_figure(4.2 * columns + 0.6, 3.4 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for number, (panel, axes) in enumerate(zip(shown, grid.flat, strict=False)):
        draw(axes, sweep, panel, legend=False)
        axes.set_title(panel.title, fontsize="medium")
        if len(sweep.plan.swept) < 2 or number % columns == 0:
            axes.set_ylabel(Y_LABELS[panel.figure])
    if len(sweep.plan.names) > 1:
        handles, titles = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, titles, loc="outside upper right", ncols=len(titles))
    figure.suptitle(f"{sweep.plan.net.name}: {', '.join(sweep.plan.swept) or 'one combination'}")
    figure.supxlabel(said, fontsize="small")
    return figure


def draw(axes: Axes, sweep: Runs, panel: Panel, legend: bool = True) -> None:
    """Draw one plot: a line for each backend, with error bars; faint dots are single runs.

    All plots of the accuracy have the same scale.
    """
    setting = SETTINGS[panel.setting] if panel.setting else None
    values = values_shown(sweep, panel)
    categories = setting is None or setting.axis == CATEGORY
    where = _positions(values, setting.axis if setting else CATEGORY)
    backends = sweep.plan.names
    for number, name in enumerate(backends):
        shift = (number - (len(backends) - 1) / 2) * SHIFT if categories else 0.0
        entry = framework(name)
        look: dict[str, Any] = {key: entry.style[key] for key in ("color", "marker")}
        look["linestyle"] = "none" if categories else entry.style["linestyle"]
        groups = [
            [line for line in panel.lines if line.backend == name and _has(line, panel, value)]
            for value in values
        ]
        runs = [np.concatenate([line.figures(panel.figure) for line in group]) for group in groups]
        kept = [(x + shift, run) for x, run in zip(where, runs, strict=True) if len(run)]
        if not kept:
            continue
        for x, run in kept:
            if 1 < len(run) <= 20:
                axes.plot([x] * len(run), run, ".", color=look["color"], alpha=0.35, zorder=1)
        xs, means = [x for x, _ in kept], [run.mean() for _, run in kept]
        spread = [run.std(ddof=1) if len(run) > 1 else 0.0 for _, run in kept]
        axes.errorbar(xs, means, spread, label=entry.title, capsize=3, **look)
    _axis(axes, values, where, panel)
    if panel.figure == "test_accuracy":
        reached = [accuracy for line in lines(sweep) for accuracy in line.figures(panel.figure)]
        room = 0.05 + 0.1 * (max(reached) - min(reached))
        axes.set_ylim(max(0.0, min(reached) - room), min(1.0, max(reached) + room))
    if panel.figure == "examples_per_sec":
        its_lines = [line for line in lines(sweep) if line.done]
        most = max(line.mean(panel.figure) + line.deviation(panel.figure) for line in its_lines)
        axes.set_ylim(0, 1.1 * most)
    if legend and len(backends) > 1:
        axes.legend()


def values_shown(sweep: Runs, panel: Panel) -> Sequence[Any]:
    """Return the values on the x axis: numbers in their order, categories as they were given."""
    if panel.setting is None:
        return ("",)
    values = sweep.plan.settings[panel.setting]
    return values if SETTINGS[panel.setting].axis == CATEGORY else sorted(values)


def _has(line: Line, panel: Panel, value: Any) -> bool:
    return panel.setting is None or line.combination.settings[panel.setting] == value


def _positions(values: Sequence[Any], axis: str) -> list[float]:
    """Return the x position of each value: the number itself, or 0, 1, 2, … for categories."""
    return [float(n) for n in (range(len(values)) if axis == CATEGORY else values)]


def _axis(axes: Axes, values: Sequence[Any], where: Sequence[float], panel: Panel) -> None:
    """Label the axes. A scale of numbers has a tick at each value."""
    from matplotlib.ticker import NullLocator

    if panel.setting is not None:
        axes.set_xlabel(SETTINGS[panel.setting].title)
        if SETTINGS[panel.setting].axis == LOG and len(values) > 1:
            axes.set_xscale("log")
    axes.set_xticks(where, [text_of(value) for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    if panel.setting is None or SETTINGS[panel.setting].axis == CATEGORY:
        axes.set_xlim(-0.5, len(values) - 0.5)
    axes.grid(alpha=0.3)


def described(sweep: Runs, panel: Panel) -> str:
    """Return the numbers of a plot in words, for a reader who cannot see it."""
    form: Callable[[float], str] = (
        "{:.3f}".format if panel.figure == "test_accuracy" else "{:,.0f}".format
    )
    values = values_shown(sweep, panel)
    said = []
    for name in sweep.plan.names:
        for value in values:
            runs = [
                line.figures(panel.figure)
                for line in panel.lines
                if line.backend == name and _has(line, panel, value)
            ]
            numbers = np.concatenate(runs) if runs else np.array([])
            if len(numbers):
                which = f"{framework(name).title} " if len(sweep.plan.names) > 1 else ""
                said.append(f"{which}{text_of(value)} {form(numbers.mean())}".strip())
    what = Y_LABELS[panel.figure]
    over = f" by {SETTINGS[panel.setting].title}" if panel.setting else ""
    where = f", {panel.title}" if panel.title not in Y_LABELS.values() else ""
    return f"{what}{over}{where}: {', '.join(said)}"
