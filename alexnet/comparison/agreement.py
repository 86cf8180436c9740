"""How far the nets of a comparison agree: their losses during training, and their answers after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from alexnet.backends import framework
from alexnet.comparison.plan import Plan
from alexnet.comparison.rows import Row
from alexnet.spec import Dropout, Net


@dataclass(frozen=True)
class Agreement:
    """How far several frameworks agree on one net, one seed and one precision.

    Only rows that took all steps count. ``images``: number of test images. ``same``: images for which all
    rows give the same answer. ``least``: images for which both rows give the same answer, in the pair that
    agrees least. ``loss_gap``: the largest minus the smallest loss of a step, as a mean over the steps.
    """

    rows: tuple[Row, ...]
    images: int
    same: int
    least: int
    loss_gap: float


def steps_taken(row: Row) -> int:
    """Return the number of training steps of a row; 0 if it has no result."""
    return len(row.history.steps) if row.history is not None else 0


def is_short(row: Row) -> bool:
    """Return whether a row has a result, but took only a part of the recipe's steps."""
    return row.history is not None and row.history.stops_early


def share_of_steps(row: Row) -> str:
    """Return how many steps a row took, such as ``12 of 100 steps``."""
    assert row.history is not None
    return f"{steps_taken(row)} of {row.history.planned_steps} steps"


def agreements(rows: Sequence[Row]) -> list[Agreement]:
    """Return the agreement for each net, seed and precision that two or more rows have finished."""
    groups: dict[tuple[str, int | None, str], list[Row]] = {}
    for row in rows:
        if row.history and row.answers and row.answers.classes and not is_short(row):
            groups.setdefault((row.model, row.seed, row.precision), []).append(row)
    return [_agreement(group) for group in groups.values() if len(group) > 1]


def _agreement(rows: Sequence[Row]) -> Agreement:
    answers = _table([row.answers.classes for row in rows if row.answers])  # (rows, images)
    losses = _table([_losses(row) for row in rows])  # (rows, steps)
    return Agreement(
        tuple(rows),
        images=answers.shape[1],
        same=int((answers == answers[0]).all(axis=0).sum()),
        least=min(int((a == b).sum()) for a, b in combinations(answers, 2)),
        loss_gap=float(np.ptp(losses, axis=0).mean()),
    )


def _table(lists: Sequence[Sequence[float]]) -> np.ndarray:
    """Return lists as rows of an array, cut to the shortest: a faulty worker may send too few values."""
    return np.array([values[: min(map(len, lists))] for values in lists])


def _losses(row: Row) -> list[float]:
    assert row.history is not None
    return [step["loss"] for step in row.history.steps]


def sentences(rows: Sequence[Row], plan: Plan) -> list[str]:
    """Return the findings in words, for each net and for each backend that took fewer steps."""
    found = []
    models = list(dict.fromkeys(row.model for row in rows))
    for model, precision in dict.fromkeys((row.model, row.precision) for row in rows):
        agreed = agreements([r for r in rows if (r.model, r.precision) == (model, precision)])
        if agreed:
            where = [model] if len(models) > 1 else []
            where += [precision] if precision != "float32" else []
            text = _sentences(agreed) + _about_dropout(plan.net(model), plan.shared_dropout)
            found.append(f"{', '.join(where)}: {text}" if where else text)
    shortened: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if is_short(row):
            shortened.setdefault((row.model, row.backend), []).append(row)
    return found + [_about_short(group, rows) for group in shortened.values()]


def _sentences(agreed: Sequence[Agreement]) -> str:
    first = agreed[0]
    least = min(100 * a.least // a.images for a in agreed)  # rounded down: "at least"
    pairs = f" Each pair agrees on at least {least}%." if least < 100 else ""
    gap = np.mean([a.loss_gap for a in agreed])
    return (
        f"{_and([framework(row.backend).title for row in first.rows])} give the same answer for "
        f"{_and([f'{a.same:,}' for a in agreed])} of {first.images:,} test images"
        f"{_seeds([a.rows[0] for a in agreed])}.{pairs} "
        f"Their losses in a step differ by {gap:.2g} on average."
    )


def _seeds(rows: Sequence[Row]) -> str:
    seeds = [str(row.seed) for row in rows if row.seed is not None]
    return f" (seed{'s' if len(seeds) > 1 else ''} {_and(seeds)})" if seeds else ""


def _about_dropout(net: Net, shared: bool) -> str:
    if not any(isinstance(layer, Dropout) for layer in net.layers):
        return ""
    if shared:
        return " All used the same dropout masks."
    return " Each framework drew its own dropout masks, so their curves and answers differ."


def _about_short(short: Sequence[Row], rows: Sequence[Row]) -> str:
    """Return how many steps a backend took, and how far its losses are from those of the full rows."""
    first = short[0]
    several = len({row.model for row in rows}) > 1
    title = f"{first.model} in {framework(first.backend).title}" if several else None
    text = f"{title or framework(first.backend).title} took {share_of_steps(first)}{_seeds(short)}."
    gaps = []
    for row in short:
        others = [
            _losses(r)
            for r in rows
            if (r.model, r.seed) == (row.model, row.seed) and r.history and not is_short(r)
        ]
        if others:
            losses = _table([_losses(row), *others])
            gaps.append(np.abs(losses[0] - losses[1:].mean(axis=0)).max())
    if not gaps:
        return text
    return (
        f"{text} In these, its loss differs from the mean of the others by at most {max(gaps):.2g}."
    )


def _and(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    >>> _and(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
