"""The book's plotting functions, with the book's arguments."""

from __future__ import annotations

import itertools
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet import backends
from alexnet.atomic import replacing
from alexnet.book.tools import number
from alexnet.errors import DataError
from alexnet.training.callbacks import Callback, LivePlot, ProgressBar, in_notebook
from alexnet.training.history import History
from alexnet.views.curves import new_figure
from alexnet.views.images import draw_images


def use_svg_display() -> None:
    """Make a notebook show matplotlib's figures as SVG. Outside a notebook this is a no-op."""
    if in_notebook():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg")


def set_figsize(figsize: tuple[float, float] = (3.5, 2.5)) -> None:
    """Set the default size of new figures: (width, height) in inches."""
    use_svg_display()
    plt.rcParams["figure.figsize"] = figsize


def set_axes(
    axes: Axes,
    xlabel: str | None,
    ylabel: str | None,
    xlim: Sequence[float] | None,
    ylim: Sequence[float] | None,
    xscale: str,
    yscale: str,
    legend: Sequence[str] | None,
) -> None:
    """Set labels, limits, scales and legend of axes. A limit that is None follows the data."""
    axes.set(xlabel=xlabel or "", ylabel=ylabel or "", xscale=xscale, yscale=yscale)
    if xlim is not None:
        axes.set_xlim(*_distinct(xlim))
    if ylim is not None:
        axes.set_ylim(*_distinct(ylim))
    if legend:
        axes.legend(legend)
    axes.grid(True)


def _distinct(limits: Sequence[float]) -> tuple[float, float]:
    """Widen limits that are equal. With one epoch, the book asks for the limits 1 and 1."""
    low, high = limits
    return (low, high) if low != high else (low - 0.5, high + 0.5)


FORMATS = ("-", "m--", "g-.", "r:")


def plot(
    X: Any,
    Y: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    legend: Sequence[str] | None = None,
    xlim: Sequence[float] | None = None,
    ylim: Sequence[float] | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    fmts: Sequence[str] = FORMATS,
    figsize: tuple[float, float] = (3.5, 2.5),
    axes: Axes | None = None,
) -> None:
    """Plot one or several curves: Y over X, or X over its indices if Y is None.

    X and Y are each a sequence of numbers, a tensor of any framework, (N,) or (curves, N), or a list of
    sequences or tensors. One X can serve all Y. Raises DataError if the lengths of X and Y differ.

    >>> plot([1, 2, 3], [[1, 4, 9], [1, 8, 27]], "x", "y", legend=["square", "cube"])
    """
    set_figsize(figsize)
    axes = plt.gca() if axes is None else axes
    xs, ys = _curves(X), _curves(Y) if Y is not None else None
    if ys is None:
        xs, ys = [np.arange(len(curve)) for curve in xs], xs
    elif len(xs) == 1:
        xs = xs * len(ys)
    if len(xs) != len(ys):
        raise DataError(
            f"plot: X and Y must have the same number of curves, got {len(xs)} and {len(ys)}"
        )
    for x, y in zip(xs, ys, strict=True):
        if len(x) != len(y):
            raise DataError(f"plot: x and y must have the same length, got {len(x)} and {len(y)}")
    axes.cla()
    for x, y, style in zip(xs, ys, itertools.cycle(fmts), strict=False):
        axes.plot(x, y, style)
    set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend)


def _curves(values: Any) -> list[np.ndarray]:
    """Return one or several curves as a list of arrays (N,)."""
    if isinstance(values, list | tuple):
        if any(_has_axis(v) for v in values):
            return [backends.to_numpy(v) for v in values]
        return [np.array([number(v) for v in values])]
    array = backends.to_numpy(values)
    return [array] if array.ndim == 1 else list(array)


def _has_axis(value: Any) -> bool:
    """Return whether a value is a sequence or a tensor, but not a number or a scalar tensor."""
    return len(value.shape) > 0 if hasattr(value, "shape") else hasattr(value, "__len__")


def show_images(
    imgs: Any,
    num_rows: int,
    num_cols: int,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> np.ndarray:
    """Show images in a grid with titles. Return its axes, (num_rows * num_cols,).

    ``imgs``: a tensor of any framework, or a list of tensors or PIL images. Each image is (H, W),
    (H, W, 3), (1, H, W) or (H, W, 1). ``scale``: inches per image. Raises DataError for too few titles.

    >>> len(show_images(np.zeros((3, 28, 28)), 1, 3, titles=["a", "b", "c"]))
    3
    """
    is_tensor = hasattr(imgs, "shape")
    pictures = [_picture(img) for img in (backends.to_numpy(imgs) if is_tensor else imgs)]
    pictures = pictures[: num_rows * num_cols]
    if titles is not None and 0 < len(titles) < len(pictures):
        raise DataError(
            f"every image must have a title, got {len(titles)} titles for {len(pictures)} images"
        )
    figure = plt.figure(figsize=(num_cols * scale, num_rows * (scale + 0.3)), layout="constrained")
    draw_images(figure, pictures, num_rows, num_cols, titles if titles else None)
    for i in range(len(pictures), num_rows * num_cols):
        figure.add_subplot(num_rows, num_cols, i + 1).set_axis_off()
    return np.array(figure.axes)


def _picture(img: Any) -> np.ndarray:
    """Return an image as (H, W) or (H, W, 3), without a channel axis of length 1."""
    array = backends.to_numpy(img)
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        return array[0] if array.shape[0] == 1 else array[..., 0]
    return array


class Animator:
    """Curves that grow while a loop runs.

    In a notebook, every point redraws the picture in place. Elsewhere, every point is printed, and the
    picture is saved in a file (`new_path`): at most once a second, and when the program ends.

    ``legend`` names the curves. The other arguments are the same as in `set_axes`. ``fig`` is a matplotlib
    figure, and ``axes`` is a list of its axes.

    >>> animator = Animator(xlabel="epoch", xlim=[1, 10], legend=["train loss", "test acc"])
    >>> animator.add(1, (0.79, None))  # doctest: +SKIP
    epoch 1: train loss 0.790
    """

    SECONDS = 1.0  # at least, between two saves; a save takes about 0.1 s

    def __init__(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        legend: Sequence[str] | None = None,
        xlim: Sequence[float] | None = None,
        ylim: Sequence[float] | None = None,
        xscale: str = "linear",
        yscale: str = "linear",
        fmts: Sequence[str] = FORMATS,
        nrows: int = 1,
        ncols: int = 1,
        figsize: tuple[float, float] = (3.5, 2.5),
    ) -> None:
        use_svg_display()
        # Outside a notebook, pyplot would open a window and keep the figure in memory.
        self.fig = new_figure(*figsize) if in_notebook() else Figure(figsize, layout="constrained")
        self.axes = list(self.fig.subplots(nrows, ncols, squeeze=False).flat)
        self.fmts, self.xlabel, self.legend = fmts, xlabel or "x", list(legend or ())
        self.X: list[list[float]] = []
        self.Y: list[list[float]] = []
        self._style = (xlabel, ylabel, xlim, ylim, xscale, yscale, legend)
        self._shown: Any = None  # IPython's display handle
        self._path: Path | None = None
        self._written_at = 0.0

    def add(self, x: Any, y: Any) -> None:
        """Add a point to each curve. A curve whose y is None gets no point.

        ``x``: one value for all curves, or one for each. ``y``: one value for each curve, or a single
        value for a single curve. Raises DataError if x and y do not have the same length.
        """
        ys = list(y) if _has_axis(y) else [y]
        xs = list(x) if _has_axis(x) else [x] * len(ys)
        if len(xs) != len(ys):
            raise DataError(
                f"Animator: x and y must have the same length, got {len(xs)} and {len(ys)}"
            )
        while len(self.Y) < len(ys):
            self.X.append([])
            self.Y.append([])
        new = [
            (i, number(a), number(b))
            for i, (a, b) in enumerate(zip(xs, ys, strict=True))
            if b is not None
        ]
        for i, a, b in new:
            self.X[i].append(a)
            self.Y[i].append(b)
        self.axes[0].cla()
        for X, Y, style in zip(self.X, self.Y, itertools.cycle(self.fmts), strict=False):
            self.axes[0].plot(X, Y, style)
        self.config_axes()
        if in_notebook():
            self._show()
        elif new:
            self._print(new)
            self._save()

    def config_axes(self) -> None:
        """Set labels, limits, scales and legend again, because clearing the axes removes them."""
        set_axes(self.axes[0], *self._style)

    def _show(self) -> None:
        from IPython.display import display

        if self._shown is None:
            self._shown = display(self.fig, display_id=True)
        else:
            self._shown.update(self.fig)

    def _print(self, new: list[tuple[int, float, float]]) -> None:
        names = [*self.legend, *(f"curve {i + 1}" for i in range(len(self.legend), len(self.Y)))]
        print(
            f"{self.xlabel} {new[0][1]:.4g}: {', '.join(f'{names[i]} {b:.3f}' for i, _, b in new)}"
        )

    def _save(self) -> None:
        if self._path is None:
            self._path = new_path()
            weakref.finalize(self, keep, self.fig, self._path)  # when self is freed, or at exit
        if time.monotonic() - self._written_at > self.SECONDS:
            keep(self.fig, self._path)
            self._written_at = time.monotonic()


class ScriptCallback(ProgressBar):
    """Shows a run in a terminal, and saves its curves in a file after each epoch."""

    def begin(self, history: History, steps: int | None) -> None:
        super().begin(history, steps)
        self.path = new_path()

    def epoch(self, history: History) -> None:
        keep(history.plot(), self.path)


def book_callback() -> Callback:
    """Return the callback for runs that the book's functions start."""
    return LivePlot() if in_notebook() else ScriptCallback()


# --- pictures outside a notebook ------------------------------------------------------------------

_numbers = itertools.count(1)  # numbers the pictures of this program


def new_path() -> Path:
    """Return the path of the next picture, in the working directory, and print its name.

    A program called lenet.py saves lenet-curves.png, lenet-curves-2.png and so on. Its next run overwrites
    these files. A program without a file, such as ``python -c``, saves curves.png.
    """
    program = getattr(sys.modules["__main__"], "__file__", None)
    name = f"{Path(program).stem}-curves" if program else "curves"
    count = next(_numbers)
    path = Path(f"{name}-{count}.png" if count > 1 else f"{name}.png").absolute()
    print(f"the curves are saved in {path.name}")
    return path


def keep(figure: Figure, path: Path) -> None:
    """Save a figure in a file. If that fails, print a message and continue."""
    try:
        with replacing(path) as new:
            figure.savefig(new, dpi=150)
    except (OSError, ValueError) as error:  # a missing picture must not stop the training
        print(f"cannot save the curves in {path}: {getattr(error, 'strerror', None) or error}")
