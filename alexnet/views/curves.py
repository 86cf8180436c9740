"""Pictures: the curves of training runs, and images with their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet import backends
from alexnet.errors import DataError
from alexnet.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES: dict[str, dict[str, Any]] = {
    "numpy": {"color": "#808080", "linestyle": (0, (1, 1)), "marker": "s"},
    "torch": {"color": "#d1495b", "linestyle": "-", "marker": "o"},
    "mxnet": {"color": "#2e86ab", "linestyle": (0, (6, 2)), "marker": "^"},
    "tensorflow": {"color": "#c27a00", "linestyle": (0, (3, 1, 1, 1)), "marker": "D"},
    "paddle": {"color": "#438c4e", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "v"},
}
"""One look for each backend in every picture, told apart by more than colour."""

POINTS_PER_EPOCH = 40  # of a smoothed curve, at most
RAW_POINTS = 600  # of the curve behind it, at most
CLOCK = 1e-6  # seconds; less than any step, more than what is lost in adding them up


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, that a notebook shows where it is a cell's last value."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(width, height), layout="constrained")
    plt.close(
        figure
    )  # pyplot has told the notebook how to show figures; it shall not show this one
    return figure


def plot_histories(histories: Sequence[History]) -> Figure:
    """Loss and accuracy of one or more runs over the epochs, laid over each other.

    Each framework has its own colour; for several nets there is `plot_by_net`. Lines are training figures,
    a running mean over an eighth of an epoch; markers are the test accuracy after each epoch.
    """
    return _plot([histories])


def plot_by_net(histories: Sequence[History]) -> Figure:
    """As `plot_histories`, but with a line of pictures for the runs of each net."""
    models = dict.fromkeys(history.model for history in histories)
    return _plot([[h for h in histories if h.model == model] for model in models])


def _plot(groups: Sequence[Sequence[History]]) -> Figure:
    """A line of pictures for each group."""
    if not groups or not groups[0]:
        raise DataError("there is no history to plot")
    figure = new_figure(10, 4 * len(groups))
    lines = figure.subplots(len(groups), 2, squeeze=False)
    for group, (loss_axes, accuracy_axes) in zip(groups, lines, strict=True):
        labelled = [(history.backend, history) for history in group]
        draw_loss(loss_axes, labelled)
        draw_accuracy(accuracy_axes, labelled)
        if len(groups) > 1:
            for axes in (loss_axes, accuracy_axes):
                axes.set_title(f"{group[0].model}: {axes.get_title()}")
    names = {history.model for group in groups for history in group}
    if len(names) == 1:  # nets that were given as such go by the names of their classes
        figure.suptitle(names.pop())
    return figure


UNITS = {
    "step": "step",
    "epoch": "epoch",
    "second": "seconds of training",
    "example": "training images",
}
"""What a run can be measured in."""


def draw_loss(axes: Axes, histories: Sequence[tuple[str, History]], unit: str = "epoch") -> None:
    """The training loss of runs, each with its label, over one of `UNITS`."""
    for label, history in histories:
        _draw_line(axes, history, "loss", unit, label)
    _furnish(axes, "training loss", unit)
    axes.set_ylim(bottom=0)
    axes.legend(title="training", loc="lower left")  # where a falling loss comes last


def draw_accuracy(
    axes: Axes, histories: Sequence[tuple[str, History]], unit: str = "epoch"
) -> None:
    """The training accuracy of runs, and the test accuracy after each epoch."""
    for label, history in histories:
        style = _draw_line(axes, history, "accuracy", unit)
        if history.steps and history.epochs:
            axes.plot(
                positions(history, unit)[_last_steps(history)],
                [e.test_accuracy for e in history.epochs],
                style["marker"],
                color=style["color"],
                markersize=8,
                markerfacecolor="none",
                markeredgewidth=1.8,
                clip_on=False,
                label=label,
            )
    _furnish(axes, "accuracy", unit)
    axes.set_ylim(0, 1)
    if any(history.epochs for _, history in histories):
        axes.legend(title="test, after the epoch", loc="best")


def _draw_line(
    axes: Axes, history: History, figure: str, unit: str, label: str | None = None
) -> dict[str, Any]:
    """A smoothed line, with what each batch had of its own behind it where steps are the unit."""
    style = STYLES.get(history.backend, {"color": "black", "linestyle": "-", "marker": "o"})
    if not history.steps:
        return style
    where = positions(history, unit)
    kept, means = smoothed(history, figure)
    look = {key: style[key] for key in ("color", "linestyle")}
    axes.plot(where[kept], means, label=label, **look)
    if unit == "step":
        thin = -(-len(where) // RAW_POINTS)
        raw = np.array([s[figure] for s in history.steps])
        axes.plot(where[::thin], raw[::thin], color=style["color"], alpha=0.2, linewidth=0.7)
    return style


def _furnish(axes: Axes, title: str, unit: str) -> None:
    axes.set(xlabel=UNITS[unit], title=title)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)


def positions(history: History, unit: str) -> np.ndarray:
    """Where a run stood after each step, in one of `UNITS`: float64 (steps,)."""
    if unit == "step":
        return np.arange(1.0, len(history.steps) + 1)
    gone = np.cumsum(
        [s["seconds" if unit == "second" else "examples"] for s in history.steps], dtype=float
    )
    return gone / _epoch_examples(history) if unit == "epoch" else gone


def _epoch_examples(history: History) -> float:
    """The images of a whole epoch, also where a run stops before its end."""
    seen = sum(s["examples"] for s in history.steps)
    return history.settings.get("train_examples") or seen / max(len(history.epochs), 1)


def _last_steps(history: History) -> np.ndarray:
    """The index of each epoch's last step, found by the clock: int64 (epochs,)."""
    gone = np.cumsum([s["seconds"] for s in history.steps])
    ends = np.cumsum([e.seconds for e in history.epochs])
    return np.minimum(np.searchsorted(gone, ends - CLOCK), len(gone) - 1)


def smoothed(history: History, figure: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps that a thinned curve has, and the running mean of a figure there."""
    examples = np.array([s["examples"] for s in history.steps], float)
    per_epoch = _epoch_examples(history) / examples.max()  # batches
    window = max(1, int(per_epoch // 8))
    thin = max(1, int(per_epoch // POINTS_PER_EPOCH))
    kept = np.arange(len(examples) - 1, min(window, len(examples)) - 2, -thin)[::-1]
    sums = _running(examples * np.array([s[figure] for s in history.steps]), window)
    return kept, (sums / _running(examples, window))[kept]


def _running(values: np.ndarray, window: int) -> np.ndarray:
    """Sums over the last ``window`` values (fewer at the start)."""
    return np.convolve(values, np.ones(window))[: len(values)]


def show_images(
    images: Any, titles: Sequence[str] | None = None, columns: int = 8, scale: float = 1.5
) -> Figure:
    """Images in rows, with a title above each: a matplotlib figure, which a notebook shows.

    ``images``: an array or a tensor of any framework, (N, H, W), (N, 1, H, W) or (N, H, W, 1);
    ``scale`` in inches an image.

    >>> from alexnet import label_names, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(16, resize=None, source="sample")
    >>> X, y = next(iter(test_iter))
    >>> len(show_images(X, label_names(y)).axes)
    16
    """
    pictures = backends.to_numpy(images)
    if pictures.ndim == 4 and 1 in (pictures.shape[1], pictures.shape[3]):
        pictures = pictures.squeeze(1 if pictures.shape[1] == 1 else 3)
    if pictures.ndim != 3 or not len(pictures):
        raise DataError(
            f"images must be (N, H, W), (N, 1, H, W) or (N, H, W, 1), not {np.shape(images)}"
        )
    if titles is not None and len(titles) != len(pictures):
        raise DataError(f"{len(pictures)} images but {len(titles)} titles")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(columns * scale, rows * (scale + 0.3))
    draw_images(figure, pictures, rows, columns, titles)
    return figure


def draw_images(
    figure: Figure,
    pictures: Iterable[np.ndarray],
    rows: int,
    columns: int,
    titles: Sequence[str] | None,
) -> None:
    """Put images (H, W) or (H, W, 3) into a figure, row by row, with a title above each."""
    for i, picture in enumerate(pictures):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(picture, cmap="gray")
        axes.set_axis_off()
        if titles is not None:
            axes.set_title(titles[i], fontsize="small")
