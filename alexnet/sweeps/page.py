"""The page of a sweep: one HTML file that loads nothing and has no scripts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet._version import __version__
from alexnet.backends import framework
from alexnet.comparison.report.curves import Picture, picture
from alexnet.comparison.report.rendering import write_page
from alexnet.errors import last_line
from alexnet.sweeps.picture import (
    MOST_PANELS,
    Y_LABELS,
    Panel,
    described,
    draw,
    panels,
    x_setting,
)
from alexnet.sweeps.settings import SETTINGS, label, text_of
from alexnet.sweeps.table import (
    COLUMNS,
    Line,
    cells,
    findings,
    heads,
    lines,
    marks,
    names,
    problems,
    seeds_done,
    shared,
)
from alexnet.views.curves import Curve, draw_accuracy, draw_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from alexnet.sweeps.runs import Runs

PAGE = "sweep.html"  # in the sweep's folder
MOST_CURVES = 10  # in one plot
HEADS = {"ex/s": "images/s", "test": "test accuracy"}


def keep_page(sweep: Runs) -> str:
    """Write the page to the sweep's folder. Return what went wrong, or an empty string.

    It raises nothing, because an error in the page must not lose the sweep.
    """
    try:
        write_page(sweep.folder / PAGE, "alexnet.sweeps", "page.html", _contents(sweep))
    except Exception as error:  # for example matplotlib's errors about the user's settings
        return f"{sweep.folder}: cannot write {PAGE} ({last_line(error)})"
    return ""


def _contents(sweep: Runs) -> dict[str, Any]:
    """Return the variables of the template."""
    found = lines(sweep)
    marked = marks(found)
    shown, said = panels(sweep) if sweep.done else ([], "")
    return {
        "version": __version__,
        "net": sweep.plan.net.name,
        "swept": [SETTINGS[name].title for name in sweep.plan.swept],
        "shared": shared(sweep),
        "findings": findings(sweep),
        "problems": problems(sweep),
        "heads": heads(sweep),
        "columns": [*(HEADS.get(head, head) for head, _ in COLUMNS.values()), "parameters"],
        "lines": [
            {
                "names": names(sweep, line),
                "cells": cells(line),
                "marks": marked.get(number, []),
                "seeds": seeds_done(sweep, line),
            }
            for number, line in enumerate(found)
        ],
        "seeds": sweep.plan.seeds,
        "panels": [(panel, _panel(sweep, panel)) for panel in shown],
        "said": said,
        "curves": curves(sweep),
        "settings": _settings(sweep),
        "versions": _versions(sweep),
    }


def _panel(sweep: Runs, panel: Panel) -> Picture:
    def plot(axes: Axes) -> None:
        draw(axes, sweep, panel)
        axes.set_title(Y_LABELS[panel.figure])

    return picture(plot, described(sweep, panel))


@dataclass(frozen=True)
class Group:
    """The learning curves of several combinations in one backend."""

    title: str
    loss: Picture
    accuracy: Picture


def curves(sweep: Runs) -> list[Group]:
    """Return the learning curves, grouped like the plots of the picture, for each backend.

    If there are too many plots, there is only one: with the combinations of the best test accuracy.
    """
    swept = sweep.plan.swept
    found = [line for line in lines(sweep) if line.done]
    if not found:
        return []
    across = x_setting(sweep) if swept else None
    others = [name for name in swept if name != across]
    places = list(itertools.product(*(sweep.plan.settings[name] for name in others)))
    many = len(places) * len(sweep.plan.names) > MOST_PANELS
    if many or (across and len(sweep.plan.settings[across]) > MOST_CURVES):
        best = sorted(found, key=lambda line: -line.mean("test_accuracy"))[:MOST_CURVES]
        return [_group(f"the {len(best)} best combinations", _named(sweep, best))]
    groups = []
    for place, name in itertools.product(places, sweep.plan.names):
        fixed = dict(zip(others, place, strict=True))
        mine = [
            line
            for line in found
            if line.backend == name and fixed.items() <= line.combination.settings.items()
        ]
        title = [label(fixed)] if fixed else []
        title += [framework(name).title] if len(sweep.plan.names) > 1 else []
        if mine:
            texts = [_text(line, across) for line in mine]
            groups.append(_group(", ".join(title), dict(zip(texts, mine, strict=True))))
    return groups


def _text(line: Line, across: str | None) -> str:
    """Return the settings that distinguish a line from the others in its plot."""
    if across is None:
        return framework(line.backend).title
    return label({across: line.combination.settings[across]})


def _named(sweep: Runs, found: Sequence[Line]) -> dict[str, Line]:
    """Return lines by their names in the table."""
    return {", ".join(names(sweep, line)): line for line in found}


def _group(title: str, named: dict[str, Line]) -> Group:
    """Draw loss and accuracy of lines, each with its own colour and marker."""
    drawn: list[Curve] = []
    for number, (text, line) in enumerate(named.items()):
        look = {"color": f"C{number}", "linestyle": "-", "marker": MARKERS[number % len(MARKERS)]}
        histories = [row.history for row in line.done if row.history is not None]
        drawn += [replace(history.curve(text), look=look) for history in histories]
    finite = [c.smoothed("loss")[1] for c in drawn]
    highest = max(np.nanmax(values, initial=0.0) for values in finite)
    first = max(values[0] for values in finite)

    def loss(axes: Axes) -> None:
        draw_loss(axes, drawn)
        axes.set_ylim(0, 1.05 * min(highest, 2 * first) or None)  # a loss may explode

    def accuracy(axes: Axes) -> None:
        draw_accuracy(axes, drawn)

    ends = {text: (line.mean("loss"), line.mean("test_accuracy")) for text, line in named.items()}
    losses = ", ".join(f"{text} {value:.3f}" for text, (value, _) in ends.items())
    tests = ", ".join(f"{text} {value:.3f}" for text, (_, value) in ends.items())
    return Group(
        title,
        picture(loss, f"training loss by epoch; loss in the last epoch: {losses}"),
        picture(accuracy, f"accuracy by epoch; test accuracy after the last epoch: {tests}"),
    )


MARKERS = "osD^vP*X<>"


def _settings(sweep: Runs) -> list[tuple[str, str]]:
    """Return the rows of the table of settings."""
    plan = sweep.plan
    found = [
        ("start time", sweep.begun.replace("T", " ")),
        ("net", plan.net.name),
        ("images", sweep.data),
        ("seeds", ", ".join(str(plan.seed + n) for n in range(plan.seeds))),
        ("dropout masks", "the same in all" if plan.shared_dropout else "each framework's own"),
        ("requested device", plan.device or "a GPU if there is one, else the CPU"),
    ]
    for name, setting in SETTINGS.items():
        if name in plan.settings:
            found.append((setting.title, ", ".join(map(text_of, plan.settings[name]))))
        elif not setting.of_net:
            value = getattr(plan.recipe, name)
            found.append((setting.title, text_of(28 if value is None else value)))
    return found


def _versions(sweep: Runs) -> list[tuple[str, str]]:
    """Return the versions, devices and machines of the runs."""
    found = [("alexnet", sweep.version)]
    for name in sweep.plan.names:
        rows = [row for row in sweep.rows if row.backend == name and row.version]
        texts = dict.fromkeys(f"{row.version} on {row.device_name}" for row in rows)
        found.append((framework(name).title, "\n".join(texts)))
    machines = dict.fromkeys(row.machine for row in sweep.rows if row.machine)
    threads = dict.fromkeys(row.threads for row in sweep.rows if row.threads)
    return [*found, ("machine", "\n".join(machines)), ("threads", ", ".join(threads))]
