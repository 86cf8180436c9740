"""The curves of a report, drawn by matplotlib for a light page and a dark page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.views.curves import UNITS, Curve, draw_accuracy, draw_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alexnet.comparison.report.entries import Entry

SIZE = (5.0, 3.5)  # inches; on a phone, the two pictures of a pair are below each other
# Fixed margins, as fractions of the figure: an automatic layout would draw every picture twice.
MARGINS = {"left": 0.09, "right": 0.98, "bottom": 0.14, "top": 0.92}
LIGHT, DARK = ("#1f2328", "#ffffff"), ("#e6e8eb", "#1b1f24")  # text and background, as in style.css


@dataclass(frozen=True)
class Picture:
    """A picture as data URIs, for a light page and a dark page, with a description."""

    light: str
    dark: str
    description: str


@dataclass(frozen=True)
class Panel:
    """The curves of one net in one run, over one unit. If it is the only one, its title is empty."""

    title: str
    loss: Picture
    accuracy: Picture


def curves(entries: Sequence[Entry]) -> dict[str, list[Panel]]:
    """Return panels by the unit of their x axes. All runs of a net have the same scale."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for e in entries:
        if e.row.history is not None:
            groups.setdefault((e.net, e.run), []).append(e)
    drawn = {key: [_curve(e) for e in group] for key, group in groups.items()}
    several_runs = len({run for _, run in groups}) > 1
    found: dict[str, list[Panel]] = {unit: [] for unit in UNITS} if groups else {}
    for unit, panels in found.items():
        for (net, run), group in groups.items():
            same_net = [
                c for (name, _), its_curves in drawn.items() if name == net for c in its_curves
            ]
            title = f"{net}, {run}" if several_runs else net if len(groups) > 1 else ""
            panels.append(Panel(title, *_pair(group, drawn[net, run], same_net, unit)))
    return found


def _curve(e: Entry) -> Curve:
    assert e.row.history is not None
    return e.row.history.curve(e.title)


def _pair(
    entries: Sequence[Entry], drawn: Sequence[Curve], same_net: Sequence[Curve], unit: str
) -> tuple[Picture, Picture]:
    """Draw loss and accuracy of one run. The axes fit all curves of the same net."""
    end = max(curve.positions(unit)[-1] for curve in same_net)
    worst = max(np.nanmax(curve.smoothed("loss")[1], initial=0.0) for curve in same_net)

    def loss(axes: Axes) -> None:
        draw_loss(axes, drawn, unit)
        axes.set(xlim=(0, end), ylim=(0, 1.05 * worst or None))

    def accuracy(axes: Axes) -> None:
        draw_accuracy(axes, drawn, unit)
        axes.set(xlim=(0, end))

    ends = [(e.title, e.row.history.last) for e in entries if e.row.history is not None]
    losses = ", ".join(f"{title} {last.loss:.3f}" for title, last in ends)
    tests = ", ".join(f"{title} {last.test_accuracy:.3f}" for title, last in ends)
    return (
        picture(loss, f"training loss by {UNITS[unit]}; loss in the last epoch: {losses}"),
        picture(
            accuracy, f"accuracy by {UNITS[unit]}; test accuracy after the last epoch: {tests}"
        ),
    )


def picture(draw: Callable[[Axes], None], description: str) -> Picture:
    """Return the picture that ``draw`` makes, as SVG for a light page and a dark page."""
    from matplotlib.figure import Figure
    from matplotlib.style import context

    ink, paper = LIGHT
    ink_settings = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    colours: dict[Any, Any] = {**dict.fromkeys(ink_settings, ink), "legend.facecolor": paper}
    file = io.StringIO()
    with context(["default", colours]):  # ignore the user's own matplotlib settings
        figure = Figure(figsize=SIZE)
        figure.subplots_adjust(**MARGINS)
        draw(figure.subplots())
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    light = file.getvalue()
    # Only two colours differ, so replace them instead of drawing the picture again.
    dark = light.replace(ink, DARK[0]).replace(paper, DARK[1])
    return Picture(_uri(light), _uri(dark), description)


def _uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
