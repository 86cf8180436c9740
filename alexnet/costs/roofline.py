"""The roofline: the speed of each layer over its arithmetic intensity, drawn with matplotlib.

Williams, Waterman & Patterson (2009), https://doi.org/10.1145/1498765.1498785.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from alexnet.backends import framework
from alexnet.costs.layers import PASSES
from alexnet.costs.measure import Measurement
from alexnet.costs.numbers import Numbers
from alexnet.costs.paint import COLOURS, LINE, TEXT, WIDTH, below
from alexnet.costs.text import GROUPS, HEAVY, amount, by_group, ratio
from alexnet.costs.words import measured_sentences
from alexnet.drawing.svg import INK, QUIET
from alexnet.views.curves import new_figure
from alexnet.views.svg import drawing_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 2.9  # inches
MARKERS = {
    "convolutions": "o",
    "dense layers": "s",
    "pooling layers": "^",
    "activation functions": "D",
    "normalisation layers": "v",
    "dropout layers": "P",
    "reshaping layers": "X",
}
SPACE = 0.055  # distance of two names, of the height of a panel; smaller if there are many


def roofline(cost: Numbers, found: Measurement) -> Figure:
    """Return the figure of each layer's speed, forward and backward, below the limits of the machine.

    Both axes are logarithmic. A layer that was not measured lies on the line, at the speed that it could
    reach. The measurement must have the limits of the machine.
    """
    from matplotlib.ticker import EngFormatter

    assert found.peak is not None and found.ridge is not None
    text = below(measured_sentences(cost, found))
    points = {name: _points(cost, found, name) for name in PASSES}
    x, y = zip(*(point for panel in points.values() for point in panel.values()), strict=True)
    height = 2 * PANEL + LINE * (text.count("\n") + 1) + 0.8
    with drawing_style():
        figure = new_figure(WIDTH, height)
        panels = figure.subplots(2, 1, sharex=True, sharey=True)
        for name, axes in zip(PASSES, panels, strict=True):
            axes.set(xscale="log", yscale="log", ylabel="FLOP/s")
            axes.set_title(name, fontsize="medium")
            axes.set_xlim(min(x) / 2, 15 * max(*x, found.ridge))
            axes.set_ylim(min(y) / 2, 3 * max(*y, found.peak))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            axes.yaxis.set_major_formatter(EngFormatter())
            axes.minorticks_off()
            axes.grid()
            _limits(axes, found.peak, found.ridge)
            _layers(axes, cost, points[name], found.peak)
        above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.06), "ncols": 3}
        panels[0].legend(**above, fontsize="small", frameon=False)
        panels[1].set_xlabel("arithmetic intensity, FLOP for each byte")
        title = (
            f"{cost.net.name} in {framework(found.backend).title}, batches of {cost.batch_size:,}"
        )
        figure.suptitle(title, fontsize="medium", fontweight="bold")
        figure.supxlabel(text, x=0.01, ha="left", fontsize=TEXT, linespacing=1.25)
    return figure


def _points(cost: Numbers, found: Measurement, name: str) -> dict[int, tuple[float, float]]:
    """Return intensity and FLOP/s of each layer that computes something in a pass, by its index."""
    points = {}
    for layer in cost.layers:
        work = layer.of(name)
        seconds = found.seconds.get(layer.row.index, {}).get(name) or found.least_seconds(work)
        if work.flop and seconds:
            points[layer.row.index] = work.intensity, work.flop / seconds
    return points


def _limits(axes: Axes, peak: float, ridge: float) -> None:
    """Draw the peak, the memory bandwidth, and the intensity where they meet."""
    first, last = axes.get_xlim()
    axes.plot([first, ridge, last], [peak * first / ridge, peak, peak], color=INK, linewidth=1.2)
    axes.vlines(ridge, 0, peak, color=QUIET, linestyle=":", linewidth=0.8)
    around: dict[str, Any] = {"textcoords": "offset points", "fontsize": "small"}
    axes.annotate(amount(peak, "FLOP/s"), (last, peak), (-4, 3), ha="right", **around)
    slope = ridge / 4, peak / 4
    axes.annotate(amount(peak / ridge, "B/s"), slope, (-3, 3), ha="right", **around)
    bottom = ridge, axes.get_ylim()[0]
    axes.annotate(f"{ratio(ridge)} FLOP/byte", bottom, (3, 4), **around)


def _layers(axes: Axes, cost: Numbers, points: dict[int, tuple[float, float]], peak: float) -> None:
    """Draw a marker for each layer, and the names of convolutions and dense layers below the peak."""
    shown = [layer for layer in cost.layers if layer.row.index in points]
    for group, layers in by_group(shown).items():
        x, y = zip(*(points[layer.row.index] for layer in layers), strict=True)
        look: dict[str, Any] = {"color": COLOURS[group], "marker": MARKERS[group]}
        axes.scatter(x, y, 28, alpha=0.8, zorder=3, label=group, edgecolor="none", **look)
    bottom, top = map(math.log, axes.get_ylim())
    names = [layer for layer in shown if GROUPS[layer.kind] in HEAVY]
    above = (math.log(peak) - bottom) / (top - bottom)
    space = min(SPACE, above / (len(names) + 1))
    for layer in sorted(names, key=lambda layer: -points[layer.row.index][1]):
        point = points[layer.row.index]
        above = min((math.log(point[1]) - bottom) / (top - bottom), above - space)
        axes.annotate(
            layer.name,
            point,
            (0.985, above),
            textcoords="axes fraction",
            ha="right",
            va="center",
            fontsize="small",
            arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.5, "relpos": (0, 0.5)},
        )
