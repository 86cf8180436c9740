"""Pictures: the curves of training runs, and images with their labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet import backends
from alexnet.errors import DataError
from alexnet.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES: dict[str, dict[str, Any]] = {
    "numpy": {"color": "#555555", "linestyle": (0, (1, 1)), "marker": "s"},
    "torch": {"color": "#d1495b", "linestyle": "-", "marker": "o"},
    "mxnet": {"color": "#2e86ab", "linestyle": (0, (6, 2)), "marker": "^"},
    "tensorflow": {"color": "#e08e00", "linestyle": (0, (3, 1, 1, 1)), "marker": "D"},
    "paddle": {"color": "#3a7d44", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "v"},
}
"""One look for each backend in every picture, told apart by more than colour."""

POINTS_PER_EPOCH = 40  # of a smoothed curve, at most


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

    Lines are training figures, a running mean over an eighth of an epoch; markers are the test
    accuracy after each epoch.
    """
    if not histories:
        raise DataError("there is no history to plot")
    figure = new_figure(10, 4)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for history in histories:
        if not history.steps:
            continue
        style = dict(
            STYLES.get(history.backend, {"color": "black", "linestyle": "-", "marker": "o"})
        )
        marker = style.pop("marker")
        epochs, loss, accuracy = _curves(history)
        loss_axes.plot(epochs, loss, label=history.backend, **style)
        accuracy_axes.plot(epochs, accuracy, **style)
        tested = [e.test_accuracy for e in history.epochs]
        accuracy_axes.plot(
            epochs[-1] * np.arange(1, len(tested) + 1) / max(len(tested), 1),
            tested,
            marker,
            color=style["color"],
            markersize=8,
            markerfacecolor="none",
            markeredgewidth=1.8,
            clip_on=False,
            label=history.backend,
        )
    for axes, title in ((loss_axes, "training loss"), (accuracy_axes, "accuracy")):
        axes.set(xlabel="epoch", title=title)
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    loss_axes.set_ylim(bottom=0)
    accuracy_axes.set_ylim(0, 1)
    loss_axes.legend(title="training")
    if any(history.epochs for history in histories):
        accuracy_axes.legend(title="test, after the epoch", loc="upper left")
    names = {h.model for h in histories}
    if len(names) == 1:  # nets that were given as such go by the names of their classes
        figure.suptitle(names.pop())
    return figure


def _curves(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Epochs gone by, loss and accuracy, smoothed and thinned."""
    examples = np.array([s["examples"] for s in history.steps], float)
    total = history.settings.get("train_examples") or examples.sum() / max(len(history.epochs), 1)
    per_epoch = total / examples.max()  # batches, also where a run stops before the epoch's end
    window = max(1, int(per_epoch // 8))
    thin = max(1, int(per_epoch // POINTS_PER_EPOCH))
    kept = np.arange(len(examples) - 1, min(window, len(examples)) - 2, -thin)[::-1]
    weight = _running(examples, window)
    curves = (
        _running(examples * np.array([s[k] for s in history.steps]), window) / weight
        for k in ("loss", "accuracy")
    )
    epochs = (np.cumsum(examples) / total)[kept]
    loss, accuracy = (curve[kept] for curve in curves)
    return epochs, loss, accuracy


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
