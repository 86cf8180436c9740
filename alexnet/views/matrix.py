"""A confusion matrix, drawn from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from alexnet.views.curves import new_figure
from alexnet.views.shown import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 6.4  # inches per side; its text stays legible on a phone
MOST_NUMBERS = 20  # classes; the numbers of a larger matrix would be too small to read
RIGHT, WRONG = (0.03, 0.32, 0.61), (0.85, 0.28, 0.0)  # blue and orange, in RGB; white means none


def plot_matrix(
    counts: np.ndarray,
    classes: Sequence[str],
    recall: np.ndarray,
    precision: np.ndarray,
    title: str,
) -> Figure:
    """Draw a confusion matrix (classes, classes): rows are the true classes, columns the predicted ones.

    Blue cells on the diagonal are correct predictions, orange cells are errors. A darker blue cell
    has a larger share of its row. The darkest orange cell is the largest share of errors. ``recall`` and
    ``precision``: (classes,), in [0, 1] or NaN. A matrix of more than 20 classes has no numbers.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (classes, classes)
    right = np.eye(len(counts), dtype=bool)
    errors = np.where(right, 0, shares)
    depth = np.where(right, shares, errors / (errors.max() or 1))[..., None]  # in [0, 1]
    colours = 1 - depth * (1 - np.where(right[..., None], RIGHT, WRONG))  # (classes, classes, 3)
    figure = new_figure(SIZE, SIZE)
    axes = figure.subplots()
    axes.imshow(colours)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.suptitle(title, fontsize="large")
    if len(counts) <= MOST_NUMBERS:
        _write_numbers(axes, counts, colours)
        _write_margins(axes, recall, precision)
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="left")
        axes.set_yticks(range(len(classes)), classes)
    return figure


def _write_numbers(axes: Axes, counts: np.ndarray, colours: np.ndarray) -> None:
    """Write the counts into their cells, with lines between them. A count of zero leaves its cell empty."""
    edges = np.arange(len(counts) + 1) - 0.5
    axes.hlines(edges, edges[0], edges[-1], color="lightgrey", linewidth=0.6)
    axes.vlines(edges, edges[0], edges[-1], color="lightgrey", linewidth=0.6)
    for row, column in zip(*np.nonzero(counts), strict=True):
        text, ink = f"{counts[row, column]:,}", ink_on(colours[row, column])
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize="large")


def _write_margins(axes: Axes, recall: np.ndarray, precision: np.ndarray) -> None:
    """Write the recall right of each row, and the precision below each column."""
    end = len(recall) - 0.2
    for n, (r, p) in enumerate(zip(recall, precision, strict=True)):
        axes.text(end, n, _percent(r), ha="left", va="center")
        axes.text(n, end, _percent(p), ha="center", va="center")
    axes.text(end, -0.6, "recall", ha="left", va="bottom", rotation=45)
    axes.text(-0.6, end, "precision", ha="right", va="center")


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.0f}%"
