"""The filters of a net's first layer, as images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet.backends import BoundNet, get_weights
from alexnet.errors import SpecError, WeightsError
from alexnet.spec import Flatten, ResolvedLayer, ResolvedNet, Shape, shape_text
from alexnet.views.mosaic import image_shape, plot_filters
from alexnet.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Filters(Shown):
    """The weights of a net's first layer. A notebook shows them as images."""

    net: str
    layer: str  # such as "layer 0 Conv(6, 5, padding=2)"; without a table, the name of the array
    weights: np.ndarray  # float32 (filters, channels, height, width)

    def __repr__(self) -> str:
        """Return the layer, the number and shape of its filters, and the range of its weights."""
        low, high = self.weights.min(), self.weights.max()
        return (
            f"{self.net}, {self.layer}: {len(self.weights)} filters of "
            f"{shape_text(self.weights.shape[1:])}, weights from {low:.3g} to {high:.3g}"
        )

    def plot(self) -> Figure:
        """Return a figure of all filters (at most 256), with one scale: grey is zero.

        Filters with three channels are in colour. Other channels are grey images side by side.
        """
        return plot_filters(self.weights, f"{self.net}, {self.layer}")


def filters(net: Any) -> Filters:
    """Return the filters of a net's first layer with weights. A notebook shows them as images.

    Each filter of a convolution is an image of the patterns that it looks for (Krizhevsky, Sutskever &
    Hinton, 2012, figure 3). If the first layer is dense, each of its units has one weight for each
    pixel, which also makes an image.

    ``net``: a net of any framework, also one that you wrote. Its first array ``weight`` with two or more
    axes counts.

    Returns `Filters`. Its ``weights`` are float32 (filters, channels, height, width): a copy in the neutral
    layout. With g groups of convolutions, a filter has 1/g of the input's channels.

    Raises SpecError if the net has no weights, or if the weights of its first layer do not form images;
    WeightsError if the net has no arrays before its first call, or if a weight is not finite; BackendError
    if ``net`` is not a net.

    >>> from alexnet import build
    >>> found = filters(build("lenet", backend="numpy"))
    >>> found.weights.shape
    (6, 1, 5, 5)
    >>> found
    lenet, layer 0 Conv(6, 5, padding=2): 6 filters of 1×5×5, weights from -0.184 to 0.184
    """
    arrays, bound = get_weights(net), BoundNet.of(net)
    of_layers = (
        (key, w) for key, w in arrays.items() if key.rpartition(".")[2] == "weight" and w.ndim > 1
    )
    key, weight = next(of_layers, ("", None))
    if weight is None:
        raise SpecError(
            f"{bound.name}: no layer has weights, so there are no filters; some nets have no weights "
            "before their first call on a batch"
        )
    row = _row_of(key, weight.shape, bound.table)
    layer = f"layer {row.index} {row.layer!r}" if row is not None else key
    if weight.ndim == 2:  # dense: (units, features)
        shape = _image_shape(row, bound.table) or image_shape(weight.shape[1])
        if shape is None or math.prod(shape) != weight.shape[1]:
            raise SpecError(
                f"{bound.name}, {layer}: {weight.shape[1]} weights for each unit do not form an image"
            )
        weight = weight.reshape(-1, *shape)  # (units, C, H, W)
    if weight.ndim != 4:
        raise SpecError(
            f"{bound.name}, {layer}: weights of a convolution have four axes and weights of a dense layer "
            f"have two, got shape {weight.shape}"
        )
    if not np.isfinite(weight).all():
        raise WeightsError(f"{bound.name}, {layer}: some weights are not finite")
    return Filters(bound.name, layer, weight.astype(np.float32))


def _row_of(key: str, shape: Shape, table: ResolvedNet | None) -> ResolvedLayer | None:
    """Return the row of an array in the net's table; None if there is no table or no such array."""
    rows = table.rows if table is not None else ()
    return next((row for row in rows if row.parameters.get(key) == shape), None)


def _image_shape(row: ResolvedLayer | None, table: ResolvedNet | None) -> Shape | None:
    """Return the shape of the images whose flattened pixels are the input of a row; None if unknown."""
    before = table.rows[: row.index] if row is not None and table is not None else ()
    return next((r.input_shape for r in before if isinstance(r.layer, Flatten)), None)
