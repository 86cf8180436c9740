"""The report of one or more comparisons: one HTML file that loads nothing and has no scripts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet._version import __version__
from alexnet.comparison.agreement import is_short, sentences, share_of_steps
from alexnet.comparison.report.answers import quizzes
from alexnet.comparison.report.curves import curves
from alexnet.comparison.report.entries import Entry, entries_of
from alexnet.comparison.report.listing import CODE_STYLES, listings
from alexnet.comparison.report.rendering import write_page
from alexnet.comparison.results import Comparison
from alexnet.comparison.table import cells, processes_of
from alexnet.errors import RunError, last_line
from alexnet.parity.check import SELF_TEST, TOLERANCE
from alexnet.spec import Dropout
from alexnet.training.recipes import Recipe

REPORT = "report.html"  # in a run's folder


def keep_report(comparison: Comparison) -> str:
    """Write a run's report to its folder. Return what went wrong, or an empty string.

    It raises nothing, because an error in the report must not lose the run.
    """
    try:
        write_report([comparison], comparison.folder / REPORT)
    except Exception as error:  # for example matplotlib's errors about the user's settings
        return f"cannot write its report ({last_line(error)})"
    return ""


def write_report(comparisons: Sequence[Comparison], path: str | os.PathLike[str]) -> Path:
    """Write the report of these runs to a file, and return its path.

    The HTML file needs no other files. It shows results, curves, the answers on which the frameworks
    disagree, parity, each framework's source, layers and settings. Several runs, such as runs on two
    machines, are shown side by side. The test images come from the folders that the runs used, the data
    sets on this machine, or the sample. Nothing is downloaded.

    Raises RunError if the file cannot be written, or if a run is given twice.

    >>> import tempfile
    >>> from alexnet import compare
    >>> small = dict(data="sample", train_examples=64, test_examples=32, num_epochs=1)
    >>> found = compare("lenet", ["numpy"], out=tempfile.mkdtemp(), **small)
    >>> page = write_report([found], found.folder / "again.html").read_text(encoding="utf-8")
    >>> "NumPy" in page
    True
    """
    return write_page(Path(path), "alexnet.comparison.report", "page.html", _contents(comparisons))


def _contents(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the variables of the template."""
    runs = _names_of_runs(comparisons)
    entries = entries_of(runs)
    fastest: dict[str, float] = {}
    for e in entries:
        if e.row.history is not None:
            fastest[e.net] = max(e.row.history.examples_per_sec, fastest.get(e.net, 0.0))
    return {
        "version": __version__,
        "runs": runs,
        "entries": entries,
        "nets": list(dict.fromkeys(e.net for e in entries)),
        "backends": list(dict.fromkeys(e.title for e in entries)),
        "fastest": fastest,
        "findings": {run: _findings(c) for run, c in runs.items()},
        "means": _means(entries),
        "same_masks": any(isinstance(r.layer, Dropout) for e in entries for r in e.table.rows)
        and all(c.plan.shared_dropout for c in runs.values()),
        "is_short": is_short,
        "share_of_steps": share_of_steps,
        "settings": _settings(runs),
        "curves": curves(entries),
        "quizzes": quizzes(entries),
        "listings": listings(entries),
        "code_styles": CODE_STYLES,
        "layers": list({e.net: e.table for e in entries}.values()),
        "parity_steps": SELF_TEST,
        "tolerance": TOLERANCE[SELF_TEST.dtype],
    }


def _means(entries: Sequence[Entry]) -> list[tuple[Entry, list[str]]]:
    """Return the means over the seeds, for each net and framework of a run that has several seeds."""
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for e in entries:
        if e.row.seed is not None:
            groups.setdefault((e.run, e.net, e.title), []).append(e)
    return [(group[0], cells([e.row for e in group])) for group in groups.values()]


def _names_of_runs(comparisons: Sequence[Comparison]) -> dict[str, Comparison]:
    """Return the runs by folder name, or by full path if two folders have the same name."""
    folders = [comparison.folder.absolute() for comparison in comparisons]
    same_names = len({folder.name for folder in folders}) < len(folders)
    runs = {
        str(folder) if same_names else folder.name: comparison
        for folder, comparison in zip(folders, comparisons, strict=True)
    }
    if len(runs) < len(folders):
        raise RunError(f"every run must be given only once, got {', '.join(map(str, folders))}")
    return runs


def _findings(comparison: Comparison) -> list[str]:
    """Return the sentences above the results: how far the nets agree, and how many processes there were."""
    plan = comparison.plan
    processes = [f"Each net trained in {processes_of(plan)}."] if plan.workers > 1 else []
    return [*sentences(comparison.rows, plan), *processes]


def _settings(runs: dict[str, Comparison]) -> list[tuple[str, list[str]]]:
    """Return the rows of the table of settings: a name, and its value in each run."""
    several = len({model for c in runs.values() for model in c.models}) > 1
    lines: dict[str, list[str]] = {}
    for number, comparison in enumerate(runs.values()):
        for name, value in _settings_of(comparison, several):
            lines.setdefault(name, [""] * len(runs))[number] = value
    return list(lines.items())


def _augmentation(recipe: Recipe) -> str:
    flips = ["random flips"] if recipe.flip else []
    crops = [f"random crops after padding by {recipe.crop} pixels"] if recipe.crop else []
    return ", ".join(flips + crops) or "none"


def _settings_of(comparison: Comparison, several_nets: bool) -> list[tuple[str, str]]:
    plan = comparison.plan
    found = [
        ("start time", comparison.begun.replace("T", " ")),
        ("alexnet version", comparison.version),
        ("machine", "\n".join(dict.fromkeys(r.machine for r in comparison.rows if r.machine))),
        ("images", comparison.data),
        ("seeds", f"{comparison.seed} to {comparison.seed + plan.seeds - 1}")
        if plan.seeds > 1
        else ("seed", str(comparison.seed)),
        ("dropout masks", "the same in all" if plan.shared_dropout else "each framework's own"),
        ("requested device", comparison.device or "a GPU if there is one, else the CPU"),
        ("parallel workers", str(plan.parallel)),
        ("processes of each net", processes_of(plan)),
        (
            "threads per process",
            ", ".join(dict.fromkeys(r.threads for r in comparison.rows if r.threads)),
        ),
        *((f"interpreter of {name}", python) for name, python in plan.pythons.items()),
    ]
    for model, recipe in plan.recipes.items():
        prefix = f"{model}: " if several_nets else ""
        size = recipe.resize or 28
        found += [
            (f"{prefix}image size", f"{size}×{size}"),
            (f"{prefix}training images", f"{recipe.train_examples:,}"),
            (f"{prefix}test images", f"{recipe.test_examples:,}"),
            (f"{prefix}epochs", str(recipe.num_epochs)),
            (f"{prefix}batch size", str(recipe.batch_size)),
            (f"{prefix}learning rate", f"{recipe.lr:g}"),
            (f"{prefix}learning-rate schedule", recipe.schedule),
            (f"{prefix}momentum", f"{recipe.momentum:g}{' (Nesterov)' if recipe.nesterov else ''}"),
            (f"{prefix}precision", recipe.precision),
            (f"{prefix}pixel values", "normalised" if recipe.normalize else "in [0, 1]"),
            (f"{prefix}augmentation", _augmentation(recipe)),
        ]
    return found
