"""The costs of each layer as bars, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alexnet.costs.numbers import Numbers
from alexnet.costs.paint import COLOURS, LINE, TEXT, WIDTH, below
from alexnet.costs.text import GROUPS, amount, percent
from alexnet.costs.words import table_sentences
from alexnet.drawing.svg import INK
from alexnet.views.curves import new_figure
from alexnet.views.svg import drawing_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW = 0.155  # inches for a layer
FAINT = 0.4  # opacity of the other half of a bar
SHOWN = 0.01  # smaller shares of the total have no number
ROOM = 1.35  # length of an axis over its longest bar, for the number


def bars(cost: Numbers) -> Figure:
    """Return the figure of a net's costs: a row for each layer, four panels, and the text below.

    The panels show the parameters, the multiply-adds of the forward pass, the activations (what the layers
    write, and what training keeps for the backward pass), and the bytes moved forward and backward.
    """
    text = below(table_sentences(cost))
    rows = len(cost.layers) + bool(cost.input_bytes)
    height = 2 * (0.7 + ROW * rows) + LINE * (text.count("\n") + 1) + 0.4
    with drawing_style():
        figure = new_figure(WIDTH, height)
        (left, right), (low_left, low_right) = figure.subplots(2, 2, sharey=True)
        _bars(left, cost, [layer.parameters for layer in cost.layers])
        left.set_title(f"parameters\n{amount(cost.parameters)}", fontsize="medium")
        _bars(right, cost, [layer.macs for layer in cost.layers])
        right.set_title(f"multiply-adds, forward\n{amount(cost.macs)}", fontsize="medium")
        _activations(low_left, cost)
        _moved(low_right, cost)
        names = [layer.name for layer in cost.layers]
        left.set_yticks(range(len(names)), names)
        if cost.input_bytes:
            left.set_yticks([-1, *range(len(names))], ["input", *names])
        left.set_ylim(len(names) - 0.4, -0.6 - bool(cost.input_bytes))
        for axes in (left, right, low_left, low_right):
            axes.tick_params("y", length=0)
            axes.set_xticks([])
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.set_xlim(0, ROOM * max(axes.dataLim.x1, 1e-9))
        figure.suptitle(cost.title, fontsize="medium", fontweight="bold")
        figure.supxlabel(text, x=0.01, ha="left", fontsize=TEXT, linespacing=1.25)
    return figure


def _bars(axes: Axes, cost: Numbers, values: list[int]) -> None:
    """Draw a bar for each layer, with its share of the total."""
    colours = [COLOURS[GROUPS[layer.kind]] for layer in cost.layers]
    axes.barh(range(len(values)), values, 0.75, color=colours)
    _shares(axes, dict(enumerate(values)), values)


def _activations(axes: Axes, cost: Numbers) -> None:
    """Draw half a bar for what a layer writes, and half a bar for what training keeps of it."""
    kept = {layer.row.index: layer.kept_bytes for layer in cost.layers}
    kept |= {-1: cost.input_bytes} if cost.input_bytes else {}
    colours = {layer.row.index: COLOURS[GROUPS[layer.kind]] for layer in cost.layers}
    for layer in cost.layers:
        index = layer.row.index
        axes.barh(index - 0.19, layer.output_bytes, 0.37, color=colours[index], alpha=FAINT)
    axes.barh(
        [i + 0.19 for i in kept],
        list(kept.values()),
        0.37,
        color=[colours.get(i, INK) for i in kept],
    )
    longest = {x.row.index: max(x.output_bytes, x.kept_bytes) for x in cost.layers}
    _shares(axes, kept, [max(kept[i], longest.get(i, 0)) for i in kept])
    written, all_kept = amount(cost.output_bytes, "B"), amount(cost.kept_bytes, "B")
    axes.set_title(f"activations, {written}\nsolid: kept, {all_kept} = 100 %", fontsize="medium")


def _moved(axes: Axes, cost: Numbers) -> None:
    """Draw the bytes moved forward, and behind them those moved backward."""
    forward = [layer.forward.bytes for layer in cost.layers]
    backward = [layer.backward.bytes for layer in cost.layers]
    colours = [COLOURS[GROUPS[layer.kind]] for layer in cost.layers]
    places = range(len(forward))
    axes.barh(places, forward, 0.75, color=colours)
    axes.barh(places, backward, 0.75, left=forward, color=colours, alpha=FAINT)
    both = [a + b for a, b in zip(forward, backward, strict=True)]
    _shares(axes, dict(enumerate(both)), both)
    axes.set_title(
        f"bytes moved, {amount(sum(both), 'B')}\nsolid: forward, {amount(sum(forward), 'B')}",
        fontsize="medium",
    )


def _shares(axes: Axes, values: dict[int, int], ends: list[int]) -> None:
    """Write the share of the total at the end of each bar."""
    everything = sum(values.values())
    for (place, value), end in zip(values.items(), ends, strict=True):
        if value and value >= SHOWN * everything:
            share = percent(value / everything)
            axes.annotate(
                share,
                (end, place),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
            )
