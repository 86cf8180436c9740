"""The output of each layer of a net for an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alexnet import backends
from alexnet.backends import REFERENCE, BoundNet, get_weights, table_of
from alexnet.backends.nets import render
from alexnet.errors import DataError, RunError, SpecError, last_line
from alexnet.spec import Dropout, Flatten, Layer, ResolvedNet, shape_text
from alexnet.spec.weights import Weights, check_weights
from alexnet.training.checkpoint import PROBE_TOLERANCE
from alexnet.views.layers import COLUMNS, MOST_MAPS, plot_layers
from alexnet.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNCHANGED = Dropout, Flatten  # layers that change no value in evaluation mode


@dataclass(frozen=True, eq=False, repr=False)
class LayerOutput:
    """The output of one layer."""

    index: int  # in the table of the net, from 0
    layer: Layer
    values: np.ndarray  # float32 (C, H, W) or (units,)

    @property
    def name(self) -> str:
        """The layer's index and call, and the shape of its output."""
        return f"{self.index} {self.layer!r}: {shape_text(self.values.shape)}"

    def __repr__(self) -> str:
        """Return the name, and the range of the values."""
        return f"{self.name}, from {self.values.min():.3g} to {self.values.max():.3g}"


@dataclass(frozen=True, eq=False, repr=False)
class Activations(Shown):
    """The output of every layer of a net for one image. A notebook shows the maps of all layers.

    ``found[2]`` is the output of layer 2, ``found[-1]`` the logits. ``found.layers`` also has the layers.
    """

    net: str
    image: np.ndarray  # float32 (C, H, W) or (features,)
    layers: tuple[LayerOutput, ...]

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self.layers)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return the output of a layer: float32 (C, H, W) or (units,).

        Raises SpecError if the net has no such layer.
        """
        return self._layer(index).values

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the outputs of the layers, in order."""
        return (layer.values for layer in self.layers)

    def __repr__(self) -> str:
        """Return one line for the net, and one for each layer."""
        first = (
            f"{self.net}, the output of each layer for an image of {shape_text(self.image.shape)}:"
        )
        return "\n".join([first, *map(repr, self.layers)])

    def plot(self, layer: int | None = None) -> Figure:
        """Return a figure of the maps of all layers, or of one layer.

        Each line shows the first 16 maps of a layer; the figure of one layer shows all its maps, at most
        1,024. White is zero; each layer has its own scale, which the figure states. Layers that change no
        value here (`Dropout` and `Flatten`) are left out.

        ``layer``: the index of a layer. Raises SpecError if the net has no such layer.
        """
        chosen = self.layers if layer is None else (self._layer(layer),)
        drawn = [out for out in chosen if layer is not None or not isinstance(out.layer, UNCHANGED)]
        left_out = [f"{out.index} {out.layer!r}" for out in chosen if out not in drawn]
        note = f"not drawn, because they change no value: {', '.join(left_out)}" if left_out else ""
        lines = [(out.name, out.values) for out in drawn]
        most = COLUMNS if layer is None else MOST_MAPS
        return plot_layers(self.net, self.image, lines, most, note)

    def _layer(self, index: int) -> LayerOutput:
        if not -len(self) <= index < len(self):
            raise SpecError(f"{self.net} has layers 0 to {len(self) - 1}, got {index}")
        return self.layers[index]


def activations(net: Any, image: Any) -> Activations:
    """Return the output of every layer of a net for one image. A notebook shows them as a picture.

    The NumPy reference computes the outputs from the net's weights, in evaluation mode: without dropout,
    and with the running statistics of batch normalisation. So the frameworks give the same outputs, up to
    rounding. The last output is compared with the net's own.

    Parameters
    ----------
    net : a net of any framework that `build`, `load` or `train_ch6` made from a table. For a net that you
        wrote, write a checkpoint with ``save(net, path, model=…)``, and load it.
    image : an array or a tensor of any framework, prepared as the net's training images were: floats of the
        net's input shape (C, H, W), or (H, W, C), or a batch of one such image; for a net with vectors as
        input, (features,). For example ``X[0]`` of a loader's batch.

    Returns `Activations`: ``found[i]`` is the output of layer i, float32 (C, H, W) or (units,).

    Raises DataError if the image has another shape, no floats, or values that are not finite; RunError if
    the net has no table, computes something else than its table, or has an output that is not finite;
    WeightsError if its arrays do not fit the table; BackendError if ``net`` is not a net.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(16, resize=None, source="sample")
    >>> X, y = next(iter(test_iter))
    >>> found = activations(build("lenet", backend="numpy"), X[0])
    >>> found[0].shape, found[-1].shape
    ((6, 28, 28), (10,))
    >>> found.layers[3].name
    '3 Conv(16, 5): 16×10×10'
    """
    backends.backend_of(net)  # raises BackendError if it is not a net
    table = table_of(net)
    if table is None:
        raise RunError(
            f"activations need a net from alexnet.build or alexnet.load, but this {type(net).__name__} was "
            "built elsewhere; alexnet.save(net, path, model=…) writes a file that alexnet.load reads"
        )
    weights = get_weights(net)
    check_weights(weights, table.parameters, table.name)
    X = _batch_of_one(image, table).astype(np.result_type(np.float32, *weights.values()))
    layers = tuple(_outputs(table, weights, X))
    _check_logits(BoundNet.of(net), X, layers[-1].values)
    return Activations(table.name, X[0].astype(np.float32), layers)


def _batch_of_one(image: Any, table: ResolvedNet) -> np.ndarray:
    """Return the image as a batch (1, C, H, W) or (1, features). Raises DataError for a wrong image."""
    given, shape = backends.to_numpy(image), table.input_shape
    values = given
    if values.ndim == len(shape) + 1 and len(values) == 1:
        values = values[0]
    if len(shape) == 3 and values.shape == (*shape[1:], shape[0]) != shape:
        values = values.transpose(2, 0, 1)  # (C, H, W)
    if values.shape != shape:
        raise DataError(f"{table.name}: the image must have shape {shape}, got {given.shape}")
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(
            f"{table.name}: the image must have floats, as the batches of a loader have, got {values.dtype}"
        )
    if not np.isfinite(values).all():
        raise DataError(f"{table.name}: the image has values that are not finite")
    return values[None]


def _outputs(table: ResolvedNet, weights: Weights, X: np.ndarray) -> Iterator[LayerOutput]:
    """Yield the output of each layer for a batch of one, in evaluation mode."""
    reference = backends.load(REFERENCE)
    net = render(table, reference, reference.cpu(), str(X.dtype)).native
    reference.set_weights(net, weights)
    for row, layer in zip(table.rows, net, strict=True):
        X = layer(X)
        if not np.isfinite(X).all():
            raise RunError(
                f"{table.name}, layer {row.index} {row.layer!r}: the output has values that are not "
                "finite; the training of the net may have diverged"
            )
        yield LayerOutput(row.index, row.layer, X[0].astype(np.float32))


def _check_logits(net: BoundNet, X: np.ndarray, expected: np.ndarray) -> None:
    """Raise RunError unless the net itself computes the expected logits (classes,) for a batch of one."""
    try:
        found = net.backend.to_numpy(net.backend.predict(net.native, net.to_tensor(X)))
    except Exception as error:  # frameworks fail in many ways
        raise RunError(
            f"{net.name}: this {type(net.native).__name__} cannot process its table's images "
            f"({last_line(error)})"
        ) from None
    if found.shape != (1, *expected.shape) or not np.allclose(
        found[0], expected, rtol=0, atol=PROBE_TOLERANCE * np.abs(expected).max()
    ):
        raise RunError(
            f"{net.name}: this {type(net.native).__name__} computes something else than its table of "
            "layers, so its layers were changed after it was built"
        )
