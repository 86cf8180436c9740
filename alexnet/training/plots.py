"""Pictures of one or more training runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alexnet.training.history import History
from alexnet.views.curves import plot_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_histories(histories: Sequence[History]) -> Figure:
    """Loss and accuracy of one or more runs over the epochs, laid over each other.

    Each framework has its own colour; for several nets there is `plot_by_net`. Lines are training figures,
    a running mean over an eighth of an epoch; markers are the test accuracy after each epoch. Raises
    DataError if there is no history.
    """
    return plot_curves([[history.curve() for history in histories]])


def plot_by_net(histories: Sequence[History]) -> Figure:
    """As `plot_histories`, but with a row of pictures for the runs of each net."""
    models = dict.fromkeys(history.model for history in histories)
    return plot_curves([[h.curve() for h in histories if h.model == model] for model in models])
