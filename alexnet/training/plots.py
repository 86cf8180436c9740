"""Plots of one or more training runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alexnet.training.history import History
from alexnet.views.curves import plot_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_histories(histories: Sequence[History]) -> Figure:
    """Return a figure of loss and accuracy over the epochs, with all runs in the same axes.

    Each framework has its own colour. Lines show training loss and accuracy, as running means over an
    eighth of an epoch. Markers show the test accuracy after each epoch. For runs of several nets, use
    `plot_by_net`. Raises DataError if there is no history.
    """
    return plot_curves([[history.curve() for history in histories]])


def plot_by_net(histories: Sequence[History]) -> Figure:
    """Return a figure like the one of `plot_histories`, with a row of plots for each net."""
    models = dict.fromkeys(history.model for history in histories)
    return plot_curves([[h.curve() for h in histories if h.model == model] for model in models])
