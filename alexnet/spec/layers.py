"""The layers: their arguments, output shapes, parameters and costs.

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
from alexnet.shapes import Shape

LAYERS: dict[str, type[Layer]] = {}
"""Every layer class by name, in the order of this file."""


class TooSmall(SpecError):
    """A window that is larger than its input. A larger image avoids this error."""


@dataclass_transform(frozen_default=True)
def _register(cls: type[L]) -> type[L]:
    """Make ``cls`` a frozen dataclass and add it to `LAYERS`.

    Its constructor raises SpecError for missing or unexpected arguments.
    """
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
    """One row of a net's table: the base class of all layers.

    Subclasses define the output shape, the parameters and the cost. Constructors raise SpecError for
    wrong arguments.
    """

    needs_image: ClassVar[bool] = False

    def output_shape(self, shape: Shape) -> Shape:
        """Return the output shape for an input of ``shape``. Raises SpecError if the input does not fit."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of the layer's arrays by short name (``"weight"``), in the neutral layout."""
        return {}

    def macs(self, shape: Shape) -> int:
        """Return the multiply-accumulates of one example's forward pass (0 except for Conv and Dense)."""
        return 0

    def to_dict(self) -> dict[str, int | float | str | None]:
        """Return the layer's class name and all its arguments, in plain types.

        >>> Dropout(0.5).to_dict()
        {'layer': 'Dropout', 'rate': 0.5}
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"layer": type(self).__name__} | {
            k: int(v) if isinstance(v, Integral) else v if v is None else float(v)
            for k, v in values.items()
        }

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and the named arguments that make this layer.

        Sizes and rates are positional. Other arguments are named, and left out if they have the default.

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
        """Return the call that makes this layer.

        >>> Conv(96, 11, stride=4, padding=1)
        Conv(96, 11, stride=4, padding=1)
        """
        positional, named = self.arguments()
        parts = [*map(repr, positional), *(f"{name}={value!r}" for name, value in named.items())]
        return f"{type(self).__name__}({', '.join(parts)})"

    def _error(self, rule: str) -> SpecError:
        return SpecError(f"{self!r}: {rule}")

    def _require_integer(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise self._error(f"{name} must be a whole number of at least {least}, got {value!r}")

    def _require_number(self, name: str, least: float, *, strict: bool = False) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
        if not is_number or value < least or (strict and value == least):
            bound = f"above {least}" if strict else f"of at least {least}"
            raise self._error(f"{name} must be a finite number {bound}, got {value!r}")


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that is too large for a float
        return False


L = TypeVar("L", bound=Layer)


@dataclass(frozen=True, repr=False)
class _Windowed(Layer):
    """A layer with a square window that slides over an image: the base of convolution and pooling."""

    needs_image: ClassVar[bool] = True

    def _positions(
        self, shape: Shape, kernel_size: int, stride: int, padding: int
    ) -> tuple[int, int]:
        """Return the numbers of window positions (rows, columns), rounded down as in all frameworks."""
        height, width = (size + 2 * padding for size in shape[1:])
        if min(height, width) < kernel_size:
            padded = f" padded to {(shape[0], height, width)}" if padding else ""
            raise TooSmall(f"input {shape}{padded} is smaller than the window")
        return (height - kernel_size) // stride + 1, (width - kernel_size) // stride + 1


@_register
class Conv(_Windowed):
    """2-D convolution (cross-correlation) with bias.

    The weight is ``(out_channels, in_channels / groups, kernel_size, kernel_size)``, the bias
    ``(out_channels,)``. ``padding`` zeros are added on all four sides. The number of window positions
    is rounded down. ``groups`` splits the channels into that many separate convolutions, as in the
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
            raise self._error(
                f"out_channels must be a multiple of groups ({self.groups}), got {self.out_channels}"
            )

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] % self.groups:
            raise SpecError(
                f"input channels must be a multiple of groups ({self.groups}), got {shape[0]}"
            )
        return self.out_channels, *self._positions(
            shape, self.kernel_size, self.stride, self.padding
        )

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
    """A window without parameters. ``stride=None`` means ``stride=kernel_size``, as in the book."""

    kernel_size: int
    stride: int | None = None
    padding: int = 0

    def __post_init__(self) -> None:
        self._require_integer("kernel_size", 1)
        if self.stride is not None:
            self._require_integer("stride", 1)
        self._require_integer("padding", 0)
        if self.padding > self.kernel_size // 2:
            raise self._error(
                f"padding must be at most half of kernel_size ({self.kernel_size}), got {self.padding}"
            )

    @property
    def step(self) -> int:
        """The stride in pixels: ``kernel_size`` if ``stride`` is None."""
        return self.stride if self.stride is not None else self.kernel_size

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], *self._positions(shape, self.kernel_size, self.step, self.padding)


@_register
class MaxPool(_Pool):
    """The largest value of each window. Padding never wins. Windows overlap if stride < kernel_size.

    >>> MaxPool(3, stride=2).output_shape((96, 54, 54))
    (96, 26, 26)
    """


@_register
class AvgPool(_Pool):
    """The mean of each window. Padding counts as zeros, the default in PyTorch and MXNet.

    >>> AvgPool(2).output_shape((6, 28, 28))
    (6, 14, 14)
    """


@_register
class GlobalAvgPool(Layer):
    """The mean of each channel as an image of one pixel: ``(C, H, W)`` to ``(C, 1, 1)``."""

    needs_image: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1


@_register
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
            raise SpecError(f"input {shape} is not a vector; add Flatten() before this layer")
        return (self.out_features,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": (self.out_features, shape[0]), "bias": (self.out_features,)}

    def macs(self, shape: Shape) -> int:
        return shape[0] * self.out_features


@_register
class ReLU(Layer):
    """``max(x, 0)``."""


@_register
class LeakyReLU(Layer):
    """``max(x, slope * x)`` for a slope from 0 to 1 (Maas, Hannun & Ng, 2013).

    >>> LeakyReLU(0.2)
    LeakyReLU(slope=0.2)
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        self._require_number("slope", 0.0)
        if self.slope > 1:
            raise self._error(f"slope must be at most 1, got {self.slope!r}")


@_register
class Sigmoid(Layer):
    """``1 / (1 + exp(-x))``."""


@_register
class Tanh(Layer):
    """``tanh(x)``."""


@_register
class Flatten(Layer):
    """``(C, H, W)`` to ``(C*H*W,)``: all of channel 0, then all of channel 1, …, in every backend."""

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@_register
class Dropout(Layer):
    """Dropout: training sets each value to 0 with probability ``rate`` and divides the others by 1-rate.

    In prediction, dropout is a no-op.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        self._require_number("rate", 0.0)
        if self.rate >= 1:
            raise self._error(f"rate must be below 1, got {self.rate!r}")


@_register
class LocalResponseNorm(Layer):
    """Each value divided by ``(k + alpha * s) ** beta``, where ``s`` sums squares over nearby channels.

    ``s`` is the sum, not the mean, over ``size`` channels at the same pixel. The value's channel is in
    the middle; the window is cut off at the first and last channel. The formula and the default values
    are from Krizhevsky et al. (2012), section 3.3.
    """

    needs_image: ClassVar[bool] = True
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0

    def __post_init__(self) -> None:
        self._require_integer("size", 1)
        if self.size % 2 == 0:
            raise self._error(f"size must be odd, so that the window has a centre, got {self.size}")
        self._require_number("alpha", 0.0)
        self._require_number("beta", 0.0, strict=True)
        self._require_number("k", 0.0, strict=True)


@_register
class BatchNorm(Layer):
    """Batch normalisation of each channel (or feature), then scale by weight and shift by bias.

    Training uses the mean and the biased variance of the mini-batch. Each training step also updates
    the running mean and variance: ``running += momentum * (batch - running)``. Prediction uses the
    running values. Source: Ioffe & Szegedy, 2015.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self._require_number("momentum", 0.0)
        if self.momentum > 1:
            raise self._error(f"momentum must be at most 1, got {self.momentum!r}")
        self._require_number("epsilon", 0.0, strict=True)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (shape[0],))


STATISTICS = ("running_mean", "running_var")
"""Short names of the arrays that a layer updates in training but does not learn."""
