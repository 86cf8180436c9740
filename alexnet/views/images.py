"""Images with titles, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet import backends
from alexnet.errors import DataError
from alexnet.views.curves import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_images(
    images: Any, titles: Sequence[str] | None = None, columns: int = 8, scale: float = 1.5
) -> Figure:
    """Draw images in rows, with titles above. Return a matplotlib figure, which a notebook shows.

    ``images`` is an array or a tensor of any framework: (N, H, W), (N, 1, H, W) or (N, H, W, 1).
    ``titles`` has one title per image. ``columns`` is the number of images per row. ``scale`` is the size
    of an image in inches. Raises DataError for another shape or a wrong number of titles.

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
            f"images must be (N, H, W), (N, 1, H, W) or (N, H, W, 1), got {np.shape(images)}"
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
    fontsize: str = "small",
) -> None:
    """Draw images (H, W), (H, W, 3) or (H, W, 4) into a figure, row by row, with a title above each."""
    for i, picture in enumerate(pictures):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(picture, cmap="gray")
        axes.set_axis_off()
        if titles is not None:
            axes.set_title(titles[i], fontsize=fontsize)
