"""A net: layers in a row, and what each of them is at a given input shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from types import MappingProxyType
from typing import Any

from alexnet.errors import SpecError
from alexnet.spec.layers import LAYERS, STATISTICS, Layer, Shape, TooSmall

LARGEST_IMAGE_TRIED = 1024  # pixels a side; bounds the search for the smallest image that fits


@dataclass(frozen=True)
class ResolvedLayer:
    """One layer at a given input shape. ``parameters`` maps ``"<index>.<name>"`` to its shape."""

    index: int
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    parameters: Mapping[str, Shape]
    macs: int

    @property
    def parameter_count(self) -> int:
        """Numbers that the layer learns (running statistics are not learned)."""
        learned = (s for key, s in self.parameters.items() if not key.endswith(STATISTICS))
        return sum(math.prod(shape) for shape in learned)

    @property
    def activation_bytes(self) -> int:
        """Bytes of the layer's output for one example in float32."""
        return 4 * math.prod(self.output_shape)


@dataclass(frozen=True)
class ResolvedNet:
    """A net at a given input shape, ready to be rendered by a backend."""

    name: str
    input_shape: Shape
    rows: tuple[ResolvedLayer, ...]

    @property
    def net(self) -> Net:
        """The net, written for this input shape."""
        return Net(self.name, self.input_shape, tuple(row.layer for row in self.rows))

    @property
    def output_shape(self) -> Shape:
        return self.rows[-1].output_shape

    @cached_property
    def parameters(self) -> Mapping[str, Shape]:
        """Every array of the net, in the order of the layers: ``"0.weight"``, ``"0.bias"``, …"""
        return MappingProxyType({k: s for row in self.rows for k, s in row.parameters.items()})

    @property
    def parameter_count(self) -> int:
        return sum(row.parameter_count for row in self.rows)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        return sum(row.activation_bytes for row in self.rows)


@dataclass(frozen=True)
class Net:
    """A named table of layers with the input shape ``(C, H, W)`` that it is written for."""

    name: str
    input_shape: Shape
    layers: tuple[Layer, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise SpecError(f"a net's name must be text, not {self.name!r}")
        if isinstance(self.layers, Layer):
            raise SpecError(
                f"{self.name}: layers must be a sequence of layers, not {self.layers!r}"
            )
        layers = tuple(self.layers)
        if not layers:
            raise SpecError(f"{self.name}: a net needs at least one layer")
        for index, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise SpecError(
                    f"{self.name}, layer {index}: {layer!r} is not a layer of alexnet.spec"
                )
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "input_shape", self._checked(self.input_shape))

    def to_dict(self) -> dict[str, Any]:
        """Name, input shape and layers in plain types, as they stand in a checkpoint.

        Raises SpecError for a layer that is not in `alexnet.spec`: it could not be read again.

        >>> from alexnet.spec.zoo import LENET
        >>> LENET.to_dict()["layers"][1:3]
        [{'layer': 'Sigmoid'}, {'layer': 'AvgPool', 'kernel_size': 2, 'stride': 2, 'padding': 0}]
        """
        for index, layer in enumerate(self.layers):
            if type(layer) not in LAYERS.values():
                kind = type(layer).__name__
                raise SpecError(
                    f"{self.name}, layer {index}: a {kind} cannot be written down; the layers that can are "
                    f"{', '.join(LAYERS)}"
                )
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "layers": [layer.to_dict() for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, plain: Any) -> Net:
        """The reverse of `to_dict`. Raises SpecError for anything else.

        >>> Net.from_dict({"name": "a", "input_shape": [4], "layers": [{"layer": "Dens"}]})
        Traceback (most recent call last):
        ...
        alexnet.errors.SpecError: a, layer 0: there is no layer 'Dens'
        """
        if not isinstance(plain, dict) or plain.keys() != {"name", "input_shape", "layers"}:
            raise SpecError(
                f"a net is written as name, input_shape and layers, not as {plain!r:.60}"
            )
        name, rows = plain["name"], plain["layers"]
        if not isinstance(name, str) or not isinstance(rows, list):
            raise SpecError(f"a net has a name and a list of layers, not {name!r} and {rows!r:.60}")
        layers = []
        for index, row in enumerate(rows):
            arguments = dict(row) if isinstance(row, dict) else {}
            kind = arguments.pop("layer", None)
            if not isinstance(kind, str) or kind not in LAYERS:
                raise SpecError(f"{name}, layer {index}: there is no layer {kind!r}")
            try:
                layers.append(LAYERS[kind](**arguments))
            except (SpecError, TypeError) as error:  # the latter: an argument called self
                raise SpecError(f"{name}, layer {index}: {error}") from None
        return cls(name, plain["input_shape"], tuple(layers))

    def _checked(self, shape: Shape) -> Shape:
        try:
            sizes = tuple(shape)
        except TypeError:
            sizes = ()
        if len(sizes) not in (1, 3) or not all(
            isinstance(s, Integral) and not isinstance(s, bool) and s > 0 for s in sizes
        ):
            raise SpecError(
                f"{self.name}: input shape must be (channels, height, width) or (features,), "
                f"whole numbers of at least 1, not {shape!r}"
            )
        return tuple(int(s) for s in sizes)

    def resolve(self, input_shape: Shape | None = None) -> ResolvedNet:
        """Shapes, parameters and costs of every layer for ``input_shape`` (default: the net's own).

        Raises SpecError, naming the layer, if the shape cannot pass through it.

        >>> from alexnet.spec.zoo import ALEXNET
        >>> ALEXNET.resolve().parameter_count, ALEXNET.resolve().macs
        (46764746, 938146176)
        >>> ALEXNET.resolve((1, 64, 64))  # doctest: +NORMALIZE_WHITESPACE
        Traceback (most recent call last):
        ...
        alexnet.errors.SpecError: alexnet, layer 12 MaxPool(3, stride=2): input (256, 2, 2) is smaller
        than its window; the smallest image that fits is 65×65
        """
        try:
            return self._resolve(
                self.input_shape if input_shape is None else self._checked(input_shape)
            )
        except TooSmall as error:
            smallest = self._smallest_image()
            advice = f"; the smallest image that fits is {smallest}×{smallest}" if smallest else ""
            raise SpecError(f"{error}{advice}") from None

    def _resolve(self, shape: Shape) -> ResolvedNet:
        rows = []
        first = shape
        for index, layer in enumerate(self.layers):
            try:
                if layer.needs_image and len(shape) != 3:
                    raise SpecError(f"input {shape} is not an image of (channels, height, width)")
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
        """Side of the smallest square image that passes every window, by trying them in turn."""
        for side in range(1, LARGEST_IMAGE_TRIED + 1):
            try:
                self._resolve((self.input_shape[0], side, side))
            except TooSmall:
                continue
            except SpecError:  # something else is wrong with the net: no size helps
                return None
            return side
        return None
