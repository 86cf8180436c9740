"""The layers: what each one is called with, what it makes of a shape, and what it owns.

Shapes leave out the batch axis: images are ``(channels, height, width)``, vectors ``(features,)``.

>>> Conv(96, 11, stride=4, padding=1).output_shape((1, 224, 224))
(96, 54, 54)
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar, dataclass_transform

from alexnet.errors import SpecError

Shape = tuple[int, ...]
"""Sizes without the batch axis: ``(C, H, W)`` for images, ``(N,)`` for vectors."""


def shape_text(shape: Shape) -> str:
    """A shape as one reads it.

    >>> shape_text((96, 54, 54))
    '96×54×54'
    """
    return "×".join(map(str, shape))


LAYERS: dict[str, type[Layer]] = {}
"""Every layer by name, in the order of this file."""


class TooSmall(SpecError):
    """A window that does not fit: the one error for which a larger image is the answer."""


@dataclass_transform(frozen_default=True)
def _layer(cls: type[L]) -> type[L]:
    """Make a frozen dataclass whose constructor refuses wrong arguments with a SpecError; list it."""
    cls = dataclass(frozen=True, repr=False)(cls)
    dataclass_init, signature = cls.__init__, inspect.signature(cls)

    def __init__(self: Layer, *args: object, **kwargs: object) -> None:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise SpecError(f"{cls.__name__}: {error}; its arguments are {signature}") from None
        dataclass_init(self, *args, **kwargs)

    __init__.__signature__ = inspect.signature(dataclass_init)  # type: ignore[attr-defined]
    cls.__init__ = __init__  # type: ignore[assignment, method-assign]
    LAYERS[cls.__name__] = cls
    return cls


@dataclass(frozen=True, repr=False)
class Layer:
    """One row of the table. Subclasses say how shapes, parameters and arithmetic follow."""

    needs_image: ClassVar[bool] = False

    def output_shape(self, shape: Shape) -> Shape:
        """The shape that leaves the layer when ``shape`` goes in."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Shapes of the arrays that the layer owns, in the neutral layout, by their short names."""
        return {}

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates of one example's forward pass (convolutions and dense layers)."""
        return 0

    def to_dict(self) -> dict[str, int | float | str | None]:
        """The layer's kind and all its arguments, in plain types.

        >>> Dropout(0.5).to_dict()
        {'layer': 'Dropout', 'rate': 0.5}
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"layer": type(self).__name__} | {
            k: int(v) if isinstance(v, Integral) else v if v is None else float(v)
            for k, v in values.items()
        }

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """How one would call it: sizes and rates by position, others by name where not the default.

        >>> Conv(96, 11, stride=4, padding=1).arguments()
        ([96, 11], {'stride': 4, 'padding': 1})
        """
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in ("out_channels", "out_features", "kernel_size", "rate"):
                positional.append(value)
            elif value != f.default:
                named[f.name] = value
        return positional, named

    def __repr__(self) -> str:
        """As one would write it.

        >>> Conv(96, 11, stride=4, padding=1)
        Conv(96, 11, stride=4, padding=1)
        """
        positional, named = self.arguments()
        parts = [*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _refuse(self, rule: str) -> SpecError:
        return SpecError(f"{self!r}: {rule}")

    def _require_integer(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise self._refuse(f"{name} must be a whole number of at least {least}, not {value!r}")

    def _require_number(self, name: str, least: float, *, strict: bool = False) -> None:
        value = getattr(self, name)
        good = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
        if not good or value < least or (strict and value == least):
            bound = f"above {least}" if strict else f"of at least {least}"
            raise self._refuse(f"{name} must be a finite number {bound}, not {value!r}")


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


L = TypeVar("L", bound=Layer)


@dataclass(frozen=True, repr=False)
class _Windowed(Layer):
    """What convolutions and poolings share: a square window that slides over an image."""

    needs_image: ClassVar[bool] = True

    def _slide(self, shape: Shape, kernel_size: int, stride: int, padding: int) -> tuple[int, int]:
        """Rows and columns of window positions, rounded down as in all the seeds' frameworks."""
        height, width = (size + 2 * padding for size in shape[1:])
        if min(height, width) < kernel_size:
            padded = f" padded to {(shape[0], height, width)}" if padding else ""
            raise TooSmall(f"input {shape}{padded} is smaller than its window")
        return (height - kernel_size) // stride + 1, (width - kernel_size) // stride + 1


@_layer
class Conv(_Windowed):
    """2-D convolution (cross-correlation) with bias.

    Weight ``(out_channels, in_channels / groups, kernel_size, kernel_size)``, bias
    ``(out_channels,)``. ``padding`` zeros are added on all four sides; positions are rounded down.
    With ``groups`` the channels are split into that many convolutions side by side, as in the
    two-GPU AlexNet (Krizhevsky et al., 2012).

    >>> Conv(96, 11, stride=4, padding=1).output_shape((1, 224, 224))
    (96, 54, 54)
    """

    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    def __post_init__(self) -> None:
        for name in ("out_channels", "kernel_size", "stride", "groups"):
            self._require_integer(name, 1)
        self._require_integer("padding", 0)
        if self.out_channels % self.groups:
            raise self._refuse(
                f"out_channels {self.out_channels} is not a multiple of groups {self.groups}"
            )

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] % self.groups:
            raise SpecError(f"{shape[0]} input channels are not a multiple of groups {self.groups}")
        return self.out_channels, *self._slide(shape, self.kernel_size, self.stride, self.padding)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        k = self.kernel_size
        return {
            "weight": (self.out_channels, shape[0] // self.groups, k, k),
            "bias": (self.out_channels,),
        }

    def macs(self, shape: Shape) -> int:
        return math.prod(self.output_shape(shape)) * math.prod(self.parameters(shape)["weight"][1:])


@dataclass(frozen=True, repr=False)
class _Pool(_Windowed):
    """A window without parameters. ``stride=None`` means the window's size, as in the book."""

    kernel_size: int
    stride: int | None = None
    padding: int = 0

    def __post_init__(self) -> None:
        self._require_integer("kernel_size", 1)
        if self.stride is not None:
            self._require_integer("stride", 1)
        self._require_integer("padding", 0)
        if self.padding > self.kernel_size // 2:
            raise self._refuse(
                f"padding {self.padding} is more than half of kernel_size {self.kernel_size}"
            )

    @property
    def step(self) -> int:
        """The stride in pixels, with None filled in."""
        return self.stride if self.stride is not None else self.kernel_size

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], *self._slide(shape, self.kernel_size, self.step, self.padding)


@_layer
class MaxPool(_Pool):
    """The largest value of each window; padding never wins. Overlaps where stride < kernel_size.

    >>> MaxPool(3, stride=2).output_shape((96, 54, 54))
    (96, 26, 26)
    """


@_layer
class AvgPool(_Pool):
    """The mean of each window. Padding counts as zeros, as in PyTorch's and MXNet's default.

    >>> AvgPool(2).output_shape((6, 28, 28))
    (6, 14, 14)
    """


@_layer
class GlobalAvgPool(Layer):
    """The mean of each channel, kept as an image of one pixel: ``(C, H, W)`` to ``(C, 1, 1)``."""

    needs_image: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1


@_layer
class Dense(Layer):
    """Fully connected layer with bias: weight ``(out_features, in_features)``, bias ``(out_features,)``.

    >>> Dense(4096).parameters((6400,))
    {'weight': (4096, 6400), 'bias': (4096,)}
    """

    out_features: int

    def __post_init__(self) -> None:
        self._require_integer("out_features", 1)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise SpecError(f"input {shape} is not a vector; put a Flatten() before it")
        return (self.out_features,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": (self.out_features, shape[0]), "bias": (self.out_features,)}

    def macs(self, shape: Shape) -> int:
        return shape[0] * self.out_features


@_layer
class ReLU(Layer):
    """``max(x, 0)``."""


@_layer
class LeakyReLU(Layer):
    """``max(x, slope * x)`` for a slope from 0 to 1. Maas, Hannun & Ng, 2013.

    >>> LeakyReLU(0.2)
    LeakyReLU(slope=0.2)
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        self._require_number("slope", 0.0)
        if self.slope > 1:
            raise self._refuse(f"slope must be at most 1, not {self.slope!r}")


@_layer
class Sigmoid(Layer):
    """``1 / (1 + exp(-x))``."""


@_layer
class Tanh(Layer):
    """``tanh(x)``."""


@_layer
class Flatten(Layer):
    """``(C, H, W)`` to ``(C*H*W,)``, channels slowest, in every backend."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@_layer
class Dropout(Layer):
    """In training, zero each value with probability ``rate`` and scale the rest by 1/(1-rate)."""

    rate: float = 0.5

    def __post_init__(self) -> None:
        self._require_number("rate", 0.0)
        if self.rate >= 1:
            raise self._refuse(f"rate must be below 1, not {self.rate!r}")


@_layer
class LocalResponseNorm(Layer):
    """Each value over ``(k + alpha * sum of squares over size neighbouring channels) ** beta``.

    As in Krizhevsky et al. (2012), section 3.3: the sum, not the mean, of the squares, in a window of
    ``size`` channels centred on the value's own and cut at the ends. The defaults are the paper's.
    """

    needs_image: ClassVar[bool] = True
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def __post_init__(self) -> None:
        self._require_integer("size", 1)
        if self.size % 2 == 0:
            raise self._refuse(f"size must be odd, to have a centre, not {self.size}")
        self._require_number("alpha", 0.0)
        self._require_number("beta", 0.0, strict=True)
        self._require_number("k", 0.0, strict=True)


@_layer
class BatchNorm(Layer):
    """Normalise each channel (or feature) over the batch, then scale by weight and shift by bias.

    In training by the batch's own mean and (biased) variance; otherwise by the running ones, which
    move by ``momentum`` (the share of the new value) at each step. Ioffe & Szegedy, 2015.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self._require_number("momentum", 0.0)
        if self.momentum > 1:
            raise self._refuse(f"momentum must be at most 1, not {self.momentum!r}")
        self._require_number("epsilon", 0.0, strict=True)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (shape[0],))


STATISTICS = ("running_mean", "running_var")
"""Short names of arrays that a layer keeps but does not learn."""
