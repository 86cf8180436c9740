"""A bench as a picture, drawn with matplotlib."""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from alexnet.backends import framework
from alexnet.bench.plan import WORKERS
from alexnet.bench.results import Bench, Row
from alexnet.bench.table import swept
from alexnet.views.curves import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = {"step": "step alone", "train": "train_ch6", "hand": "loop by hand"}
OPACITY = {"step": 0.35, "train": 1.0, "hand": 0.65}
FARTHEST = 4  # a limit that is more times the speed would make the bars too small to read
AXES = {
    "batch": "batch size",
    "size": "pixels per side",
    "threads": "threads",
    "examples": "images",
}


def picture(bench: Bench) -> Figure:
    """Return the figure of a bench: bars for each case, or one curve for each backend of a sweep."""
    if bench.plan.sweep == WORKERS:
        return _workers(bench)
    return _sweep(bench) if bench.plan.sweep else _bars(bench)


def _bars(bench: Bench) -> Figure:
    cases = bench.plan.cases
    figure = new_figure(max(7, 2 + 1.8 * len(bench.plan.names)), 3.2 * len(cases))
    for number, axes in enumerate(figure.subplots(len(cases), 1, squeeze=False)[:, 0]):
        rows = [row for row in bench.rows if row.case == number]
        for place, row in enumerate(rows):
            _bars_of(axes, place, row)
            limit, speed = bench.limit(row), row.median("train")
            if limit and speed and limit < FARTHEST * speed:
                axes.plot([place - 0.45, place + 0.45], [limit] * 2, color="black", linewidth=1)
        axes.set_xticks(range(len(rows)), [framework(row.backend).title for row in rows])
        axes.set(title=cases[number].title, ylabel="examples per second")
        axes.grid(axis="y", alpha=0.3)
        axes.set_ylim(bottom=0)
        axes.set_xlim(-0.5, len(rows) - 0.5)
    figure.supxlabel(
        f"bars: {', '.join(BARS.values())}; thin lines: smallest to largest\n"
        "black: limit of the machine, if it is not too far away",
        fontsize="small",
    )
    return figure


def _bars_of(axes: Axes, place: int, row: Row) -> None:
    """Draw the bars of one backend, with their spreads."""
    colour = framework(row.backend).style["color"]
    for shift, name in enumerate(BARS):
        middle, spread = row.median(name), row.spread(name)
        if middle is None or spread is None:
            continue
        around = [[middle - spread[0]], [spread[1] - middle]]
        x = place + (shift - 1) * 0.28
        axes.bar(x, middle, 0.26, color=colour, alpha=OPACITY[name])
        axes.errorbar(x, middle, np.array(around), color="black", linewidth=0.8, capsize=2)


def _workers(bench: Bench) -> Figure:
    """Draw a bar for each number of processes: a step's time, with its communication on top."""
    groups = list(dict.fromkeys(replace(case, processes=None) for case in bench.plan.cases))
    figure = new_figure(max(7, 2 + 1.8 * len(bench.plan.names)), 3.4 * len(groups))
    for shared, axes in zip(
        groups, figure.subplots(len(groups), 1, squeeze=False)[:, 0], strict=True
    ):
        of_group = [r for r in bench.rows if replace(bench.case(r), processes=None) == shared]
        numbers, middles, place = list[tuple[float, str]](), list[float](), 0.0
        for name in bench.plan.names:
            rows = [row for row in of_group if row.backend == name]
            middles.append(place + (len(rows) - 1) / 2)
            for row in rows:
                numbers.append((place, f"{bench.case(row).processes}"))
                _bar_of_step(axes, place, row)
                place += 1
            place += 0.6  # a gap between two backends
        axes.set_xticks([x for x, _ in numbers], [text for _, text in numbers])
        titles = [framework(name).title for name in bench.plan.names]
        below = axes.secondary_xaxis(location=-0.09)
        below.set_xticks(middles, titles)
        below.tick_params(length=0)
        below.spines["bottom"].set_visible(False)
        axes.set(title=shared.title, ylabel="milliseconds per step")
        axes.grid(axis="y", alpha=0.3)
        axes.margins(y=0.12)  # for the shares
        axes.set_ylim(bottom=0)
        axes.set_xlim(-0.7, numbers[-1][0] + 0.7)
    figure.supxlabel(
        "numbers: processes; pale: communication and waiting, with its share\n"
        "thin lines: smallest to largest",
        fontsize="small",
    )
    return figure


def _bar_of_step(axes: Axes, place: float, row: Row) -> None:
    """Draw the time of a step, with its spread and its share of communication."""
    middle, spread = row.median(row.step), row.spread(row.step)
    if middle is None or spread is None:
        return
    colour = framework(row.backend).style["color"]
    share = row.share_of_communication
    height, computing = 1000 * middle, 1000 * middle * (1 - max(0.0, share or 0.0))
    axes.bar(place, computing, 0.8, color=colour)
    axes.bar(place, height - computing, 0.8, computing, color=colour, alpha=OPACITY["step"])
    around = [[1000 * (middle - spread[0])], [1000 * (spread[1] - middle)]]
    axes.errorbar(place, height, np.array(around), color="black", linewidth=0.8, capsize=2)
    if share is not None:
        axes.annotate(
            f"{share:.0%}",
            (place, 1000 * spread[1]),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize="small",
        )


def _sweep(bench: Bench) -> Figure:
    sweep = bench.plan.sweep or ""
    names = {"train": "examples per second", "memory": "peak memory, MB"}
    shown = [name for name in names if name == "train" or sweep == "examples"]
    groups = list(dict.fromkeys((case.model, case.precision) for case in bench.plan.cases))
    figure = new_figure(6 * len(shown), 4 * len(groups))
    grid = figure.subplots(len(groups), len(shown), squeeze=False)
    for (model, precision), line in zip(groups, grid, strict=True):
        for name, axes in zip(shown, line, strict=True):
            for backend in bench.plan.names:
                rows = [r for r in bench.rows if r.backend == backend and r.figures.get(name)]
                rows = [
                    r for r in rows
                    if (bench.case(r).model, bench.case(r).precision) == (model, precision)
                ]  # fmt: skip
                _curve(axes, bench, rows, name, 1e6 if name == "memory" else 1)
            axes.set(title=f"{model}, {precision}", xlabel=AXES[sweep], ylabel=names[name])
            axes.grid(alpha=0.3)
            axes.set_ylim(bottom=0)
            if axes.get_legend_handles_labels()[0]:
                axes.legend()
    return figure


def _curve(axes: Axes, bench: Bench, rows: list[Row], name: str, unit: float) -> None:
    """Draw the curve of one backend, with its spreads. ``unit``: the figure's values are divided by it."""
    if not rows:
        return
    entry = framework(rows[0].backend)
    where = [swept(bench, row.case) for row in rows]
    middle, low, high = (
        np.array([of(row.figures[name]) / unit for row in rows]) for of in (median, min, max)
    )
    look = {key: entry.style[key] for key in ("color", "linestyle", "marker")}
    spread = np.stack([middle - low, high - middle])
    axes.errorbar(where, middle, spread, label=entry.title, capsize=2, **look)
