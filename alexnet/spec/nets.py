"""A net as a sequence of layers, and its shapes, parameters and costs at a given input shape."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from alexnet.drawing.diagram import Diagram
from alexnet.errors import SpecError
from alexnet.shapes import Shape, shape_text
from alexnet.spec.captions import step
from alexnet.spec.html import table_html
from alexnet.spec.layers import LAYERS, STATISTICS, Layer, TooSmall
from alexnet.spec.transform import transformed

if TYPE_CHECKING:
    from alexnet.drawing.drawing import Drawing

LARGEST_IMAGE_TRIED = 1024  # pixels per side; limits the search for the smallest image that fits


@dataclass(frozen=True)
class ResolvedLayer:
    """One layer at a given input shape. ``parameters`` maps ``"<index>.<name>"`` to the array's shape."""

    index: int
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: Mapping[str, Shape]
    macs: int

    @property
    def parameter_count(self) -> int:
        """The number of learned values. Running means and variances are not learned."""
        learned = (s for key, s in self.parameters.items() if not key.endswith(STATISTICS))
        return sum(math.prod(shape) for shape in learned)

    @property
    def activation_bytes(self) -> int:
        """The size in bytes of the layer's output for one example in float32."""
        return 4 * math.prod(self.output_shape)


@dataclass(frozen=True)
class ResolvedNet:
    """A net at a given input shape. Backends build their nets from it."""

    name: str
    input_shape: Shape
    rows: tuple[ResolvedLayer, ...]

    @property
    def net(self) -> Net:
        """The `Net` of these layers, with this input shape as its default."""
        return Net(self.name, self.input_shape, tuple(row.layer for row in self.rows))

    @property
    def output_shape(self) -> Shape:
        """The shape of the last layer's output."""
        return self.rows[-1].output_shape

    @cached_property
    def parameters(self) -> Mapping[str, Shape]:
        """The shape of every array by key, in layer order: ``"0.weight"``, ``"0.bias"``, …"""
        return MappingProxyType({k: s for row in self.rows for k, s in row.parameters.items()})

    @property
    def parameter_count(self) -> int:
        """The number of learned values in the net."""
        return sum(row.parameter_count for row in self.rows)

    @property
    def macs(self) -> int:
        """The multiply-accumulates of one example's forward pass."""
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """The size in bytes of all layers' outputs for one example in float32."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def title(self) -> str:
        """The name and the input shape, as the title of the table of layers."""
        return f"{self.name}, input {shape_text(self.input_shape)}"

    def table(self) -> list[tuple[str, ...]]:
        """Return the table of layers as text: the header, a line for each layer, the totals.

        Costs are for the forward pass of one example. "kB" is the size of the outputs in float32.

        >>> from alexnet.spec.zoo import LENET
        >>> LENET.resolve().table()[1]
        ('0', 'Conv(6, 5, padding=2)', '6×28×28', '156', '117,600', '18.8')
        """
        lines = [("#", "layer", "output", "parameters", "multiply-adds", "kB")]
        lines += (
            (
                str(row.index),
                repr(row.layer),
                shape_text(row.output_shape),
                f"{row.parameter_count:,}",
                f"{row.macs:,}",
                f"{row.activation_bytes / 1000:,.1f}",
            )
            for row in self.rows
        )
        totals = f"{self.parameter_count:,}", f"{self.macs:,}"
        return [*lines, ("", "total", "", *totals, f"{self.activation_bytes / 1000:,.1f}")]

    def diagram(self) -> Diagram:
        """Return what a drawing shows of this net, as plain data."""
        printable = (c if c.isprintable() else " " for c in self.name)  # an SVG cannot hold others
        return Diagram(
            "".join(printable),
            f"{self.parameter_count:,} parameters",
            self.input_shape,
            tuple(step(row.layer, row.input_shape, row.output_shape) for row in self.rows),
        )

    def draw(self) -> Drawing:
        """Return a drawing of the net, for a notebook or a file. See `alexnet.draw`.

        >>> from alexnet.spec.zoo import LENET
        >>> print(LENET.resolve((1, 32, 32)).draw())  # doctest: +ELLIPSIS
        lenet, 82,826 parameters. From the input to the output:
        The input has 1×32×32 values.
        Layer 0, 5×5 Conv (6), pad 2, gives 6×32×32 values.
        ...
        """
        from alexnet.drawing.drawing import Drawing

        return Drawing([self.diagram()])

    def _repr_html_(self) -> str:
        """Return the table of layers and the drawing, for a notebook, beside each other if they fit."""
        parts = table_html(self.title, self.table()) + self.draw()._repr_html_()
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{parts}</div>'


@dataclass(frozen=True, repr=False)
class Net:
    """A name, the default input shape ``(C, H, W)`` or ``(features,)``, and the layers in order.

    Raises SpecError for a wrong name or shape, for no layers, or for an object that is not a layer.
    """

    name: str
    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise SpecError(f"a net's name must be a string, got {self.name!r}")
        if isinstance(self.layers, Layer):
            raise SpecError(
                f"{self.name}: layers must be a sequence of layers, got {self.layers!r}"
            )
        layers = tuple(self.layers)
        if not layers:
            raise SpecError(f"{self.name}: a net must have at least one layer")
        for index, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise SpecError(
                    f"{self.name}, layer {index}: {layer!r} is not a layer of alexnet.spec"
                )
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "input_shape", self._check_shape(self.input_shape))

    def __repr__(self) -> str:
        """Return the code that makes this net, with a line for each layer.

        >>> from alexnet.spec import Conv, Dense, Flatten
        >>> Net("small", (1, 28, 28), (Conv(4, 5, stride=2), Flatten(), Dense(10)))
        Net('small', (1, 28, 28), (
            Conv(4, 5, stride=2),
            Flatten(),
            Dense(10),
        ))
        """
        layers = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Net({self.name!r}, {self.input_shape!r}, (\n{layers}))"

    def replace(
        self,
        *,
        activation: str | None = None,
        pool: str | None = None,
        pool_window: tuple[int, int] | None = None,
        dropout: float | None = None,
        norm: str | None = None,
        width: float | None = None,
    ) -> Net:
        """Return this net with other layers of one or several kinds, in a new `Net`.

        ============= ============================ ==================================================
        setting       values                       replaces
        ============= ============================ ==================================================
        activation    relu, leaky-relu, sigmoid,   every activation between layers
                      tanh
        pool          max, avg                     the kind of every pooling layer
        pool_window   (kernel size, stride)        the window of every pooling layer
        dropout       from 0 to below 1            the rate of every dropout layer; with rate 0, the
                                                   layer stays and does nothing
        norm          none, lrn, batch             all normalisation: batch normalisation before, or
                                                   local response normalisation after the activation
                                                   of each convolution
        width         above 0, such as 0.5         multiplies the channels of convolutions and the
                                                   units of dense layers; the classes stay
        ============= ============================ ==================================================

        They are applied in this order. `alexnet.spec.transform` has a function for each, with the details.
        The new name lists the settings that changed a layer, in characters that file names may have. If
        nothing changes, this net itself is returned. Raises SpecError with the net, the setting and its
        value if a value is wrong, or if the net has no layer that the setting could change. `resolve`
        checks whether the new layers fit the image.

        >>> from alexnet.spec.zoo import LENET
        >>> net = LENET.replace(activation="relu", pool="max", pool_window=(3, 2))
        >>> net.name
        'lenet, activation=relu, pool=max, pool_window=3-2'
        >>> net.layers[:3], net.resolve().rows[2].output_shape
        ((Conv(6, 5, padding=2), ReLU(), MaxPool(3, stride=2)), (6, 13, 13))
        >>> LENET.replace(dropout=0.5)
        Traceback (most recent call last):
        ...
        alexnet.errors.SpecError: lenet: dropout=0.5: the net has no dropout layer
        """
        settings = {
            "activation": activation,
            "pool": pool,
            "pool_window": pool_window,
            "dropout": dropout,
            "norm": norm,
            "width": width,
        }
        name, layers = transformed(self.name, self.layers, settings)
        if layers is self.layers:
            return self
        return dataclasses.replace(self, name=name, layers=layers)

    def to_dict(self) -> dict[str, Any]:
        """Return name, input shape and layers in plain types. Checkpoints store a net in this form.

        Raises SpecError for a layer class outside `alexnet.spec`, since `from_dict` cannot restore it.

        >>> from alexnet.spec.zoo import LENET
        >>> LENET.to_dict()["layers"][1:3]
        [{'layer': 'Sigmoid'}, {'layer': 'AvgPool', 'kernel_size': 2, 'stride': 2, 'padding': 0}]
        """
        for index, layer in enumerate(self.layers):
            if type(layer) not in LAYERS.values():
                kind = type(layer).__name__
                raise SpecError(
                    f"{self.name}, layer {index}: a {kind} cannot be saved; layers that can be saved: "
                    f"{', '.join(LAYERS)}"
                )
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "layers": [layer.to_dict() for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, plain: Any) -> Net:
        """Return the net that `to_dict` turned into ``plain``. Raises SpecError for any other value.

        >>> Net.from_dict({"name": "a", "input_shape": [4], "layers": [{"layer": "Dens"}]})
        Traceback (most recent call last):
        ...
        alexnet.errors.SpecError: a, layer 0: unknown layer 'Dens'
        """
        if not isinstance(plain, dict) or plain.keys() != {"name", "input_shape", "layers"}:
            raise SpecError(
                f"a net must be a dict of name, input_shape and layers, got {plain!r:.60}"
            )
        name, rows = plain["name"], plain["layers"]
        if not isinstance(name, str) or not isinstance(rows, list):
            raise SpecError(
                f"a net must have a name and a list of layers, got {name!r} and {rows!r:.60}"
            )
        layers = []
        for index, row in enumerate(rows):
            arguments = dict(row) if isinstance(row, dict) else {}
            kind = arguments.pop("layer", None)
            if not isinstance(kind, str) or kind not in LAYERS:
                raise SpecError(f"{name}, layer {index}: unknown layer {kind!r}")
            try:
                layers.append(LAYERS[kind](**arguments))
            except (SpecError, TypeError) as error:  # TypeError: an argument named "self"
                raise SpecError(f"{name}, layer {index}: {error}") from None
        return cls(name, plain["input_shape"], tuple(layers))

    def _check_shape(self, shape: Shape) -> Shape:
        try:
            sizes = tuple(shape)
        except TypeError:
            sizes = ()
        if len(sizes) not in (1, 3) or not all(
            isinstance(s, Integral) and not isinstance(s, bool) and s > 0 for s in sizes
        ):
            raise SpecError(
                f"{self.name}: input shape must be (channels, height, width) or (features,), "
                f"whole numbers of at least 1, got {shape!r}"
            )
        return tuple(int(s) for s in sizes)

    def resolve(self, input_shape: Shape | None = None) -> ResolvedNet:
        """Return shapes, parameters and costs of every layer for ``input_shape`` (default: the net's).

        Raises SpecError with the layer and its index if an input does not fit the layer.

        >>> from alexnet.spec.zoo import ALEXNET
        >>> ALEXNET.resolve().parameter_count, ALEXNET.resolve().macs
        (46764746, 938146176)
        >>> ALEXNET.resolve((1, 64, 64))  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        ...
        alexnet.errors.SpecError: alexnet, layer 12 MaxPool(3, stride=2): input (256, 2, 2) is smaller
        than the window; the smallest image that fits is 65×65
        """
        try:
            return self._resolve(
                self.input_shape if input_shape is None else self._check_shape(input_shape)
            )
        except TooSmall as error:
            smallest = self._smallest_image()
            advice = f"; the smallest image that fits is {smallest}×{smallest}" if smallest else ""
            raise SpecError(f"{error}{advice}") from None

    def draw(self, input_shape: Shape | None = None) -> Drawing:
        """Return a drawing for ``input_shape`` (default: the net's). See `alexnet.draw`.

        Raises SpecError with the layer and its index if an input does not fit the layer.
        """
        return self.resolve(input_shape).draw()

    def _repr_html_(self) -> str:
        """Return the table of layers and the drawing, for a notebook, or why a layer does not fit."""
        try:
            return self.resolve()._repr_html_()
        except SpecError as error:
            return f"<pre>{escape(repr(self))}\n{escape(str(error))}</pre>"

    def _resolve(self, shape: Shape) -> ResolvedNet:
        rows = []
        first = shape
        for index, layer in enumerate(self.layers):
            try:
                if layer.needs_image and len(shape) != 3:
                    raise SpecError(f"input {shape} is not an image (channels, height, width)")
                output = layer.output_shape(shape)
            except SpecError as error:
                raise type(error)(f"{self.name}, layer {index} {layer!r}: {error}") from None
            parameters = {f"{index}.{name}": s for name, s in layer.parameters(shape).items()}
            rows.append(
                ResolvedLayer(
                    index, layer, shape, output, MappingProxyType(parameters), layer.macs(shape)
                )
            )
            shape = output
        return ResolvedNet(self.name, first, tuple(rows))

    def _smallest_image(self) -> int | None:
        """Return the side of the smallest square image that every window fits into, or None."""
        for side in range(1, LARGEST_IMAGE_TRIED + 1):
            try:
                self._resolve((self.input_shape[0], side, side))
            except TooSmall:
                continue
            except SpecError:  # an error that a larger image cannot avoid
                return None
            return side
        return None
