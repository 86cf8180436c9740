"""Changes to a table of layers: everything that `Net.replace` can set, in one table, `SETTINGS`.

Each transformation takes the layers of a net and a value, and returns the new layers. It raises
SpecError for a wrong value, and if the net has no layer that it could change. New layers depend only on
the value. So if two replacements set the same thing, the last one counts; only widths multiply.

>>> dropout((Dense(4), Dropout(0.5), Dense(2)), 0.1)
(Dense(4), Dropout(0.1), Dense(2))
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Real
from typing import Any, TypeVar

from alexnet.errors import SpecError
from alexnet.spec.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    ReLU,
    Sigmoid,
    Tanh,
)

Layers = tuple[Layer, ...]

ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU,
    "leaky-relu": LeakyReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
}
POOLS: dict[str, type[MaxPool | AvgPool]] = {"max": MaxPool, "avg": AvgPool}
NORMS: dict[str, type[Layer] | None] = {
    "none": None,
    "lrn": LocalResponseNorm,
    "batch": BatchNorm,
}

_ACTIVATION = tuple(ACTIVATIONS.values())
_POOL = tuple(POOLS.values())
_NORM = (LocalResponseNorm, BatchNorm)


def activation(layers: Layers, value: str) -> Layers:
    """Replace every activation between layers. An activation at the end of the net stays.

    ``value`` is a key of `ACTIVATIONS`. The slope of leaky-relu is 0.01, the default of `LeakyReLU`.

    >>> activation((Dense(4), Sigmoid(), Dense(2), Sigmoid()), "relu")
    (Dense(4), ReLU(), Dense(2), Sigmoid())
    """
    new = _choice(ACTIVATIONS, value)()
    between, last = layers[:-1], layers[-1]
    _require(between, _ACTIVATION, "activation between layers")
    return *(new if isinstance(layer, _ACTIVATION) else layer for layer in between), last


def pool(layers: Layers, value: str) -> Layers:
    """Replace the kind of every pooling layer; ``value`` is a key of `POOLS`.

    The windows and their padding stay. Global pooling stays.

    >>> pool((AvgPool(3, stride=2), Flatten(), Dense(2)), "max")
    (MaxPool(3, stride=2), Flatten(), Dense(2))
    """
    kind = _choice(POOLS, value)
    _require(layers, _POOL, "pooling layer with a window")
    return tuple(
        kind(layer.kernel_size, layer.stride, layer.padding) if isinstance(layer, _POOL) else layer
        for layer in layers
    )


def pool_window(layers: Layers, value: tuple[int, int]) -> Layers:
    """Replace the kernel size and the stride, in pixels, of every pooling layer.

    Windows overlap if the stride is smaller than the kernel size, such as AlexNet's ``(3, 2)``
    (Krizhevsky et al., 2012, section 3.4). The padding stays. Global pooling stays.

    >>> pool_window((MaxPool(3, stride=2), Flatten(), Dense(2)), (2, 2))
    (MaxPool(2, stride=2), Flatten(), Dense(2))
    """
    if not isinstance(value, tuple | list) or len(value) != 2 or None in value:
        raise SpecError("a window must be a kernel size and a stride, such as (3, 2)")
    kernel_size, stride = value
    _require(layers, _POOL, "pooling layer with a window")
    return tuple(
        replace(layer, kernel_size=kernel_size, stride=stride)
        if isinstance(layer, _POOL) and (layer.kernel_size, layer.step) != (kernel_size, stride)
        else layer
        for layer in layers
    )


def dropout(layers: Layers, value: float) -> Layers:
    """Replace the rate of every dropout layer. ``value`` is from 0 to below 1.

    With rate 0, the layer stays in the net and does nothing. So no other layer changes its index, and
    the keys of weights and the dropout masks (which NumPy draws for each index) stay comparable.

    >>> dropout((Dense(4), Dropout(0.5), Dense(2)), 0)
    (Dense(4), Dropout(0.0), Dense(2))
    """
    new = Dropout(float(Dropout(value).rate))  # Dropout checks the rate
    _require(layers, (Dropout,), "dropout layer")
    return tuple(new if isinstance(layer, Dropout) else layer for layer in layers)


def norm(layers: Layers, value: str) -> Layers:
    """Remove all normalisation, then add one layer for each convolution; ``value`` is a key of `NORMS`.

    ``batch`` adds BatchNorm before the activation of each convolution (Ioffe & Szegedy, 2015, section
    3.2). ``lrn`` adds LocalResponseNorm after this activation (Krizhevsky et al., 2012, section 3.3; in
    that paper, only the first two convolutions have it). New layers have their default values, which
    for LocalResponseNorm are the paper's. If a convolution has no activation before the next layer with
    weights or Flatten, its normalisation follows it directly. If such a convolution is the last layer
    with weights, it gets no normalisation, because its outputs are the classes.

    >>> norm((Conv(4, 3), ReLU(), MaxPool(2), Flatten(), Dense(2)), "batch")
    (Conv(4, 3), BatchNorm(), ReLU(), MaxPool(2), Flatten(), Dense(2))
    >>> norm((Conv(4, 3), BatchNorm(), ReLU(), MaxPool(2), Flatten(), Dense(2)), "lrn")
    (Conv(4, 3), ReLU(), LocalResponseNorm(), MaxPool(2), Flatten(), Dense(2))
    """
    kind = _choice(NORMS, value)
    new = [layer for layer in layers if not isinstance(layer, _NORM)]
    if kind is None and len(new) < len(layers):
        return tuple(new)
    _require(layers, (Conv,), "convolution")
    if kind is not None:
        convolutions = [i for i, layer in enumerate(new) if isinstance(layer, Conv)]
        for index in reversed(convolutions):  # the last one first: the other indices stay right
            place = _place_of_norm(new, index, after_activation=kind is LocalResponseNorm)
            if place is not None:
                new.insert(place, kind())
    return tuple(new)


def _place_of_norm(layers: list[Layer], index: int, *, after_activation: bool) -> int | None:
    """Return where to insert the normalisation of the convolution at ``index``, or None for nowhere."""
    for place in range(index + 1, len(layers)):
        if isinstance(layers[place], _ACTIVATION):
            return place + 1 if after_activation else place
        if isinstance(layers[place], Conv | Dense | Flatten):
            break
    return None if index == _last_with_weights(layers) else index + 1


def width(layers: Layers, value: float) -> Layers:
    """Multiply the channels of convolutions and the units of dense layers by a factor above 0.

    The last of these layers stays: its outputs are the classes. Sizes are rounded to the nearest whole
    number (a half up), but to at least 1. Channels are rounded to a multiple of the groups of their own
    convolution and of the next one.

    >>> width((Conv(5, 3), ReLU(), Flatten(), Dense(120), ReLU(), Dense(10)), 0.5)
    (Conv(3, 3), ReLU(), Flatten(), Dense(60), ReLU(), Dense(10))
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value <= sys.float_info.max:
        raise SpecError("a factor must be a finite number above 0")
    factor = Fraction(repr(float(value)))  # the decimal number: 10 times 0.35 is 3.5, not 3.4999
    last = _last_with_weights(layers)
    _require(layers[:last], (Conv, Dense), "convolution or dense layer before its last one")
    new: list[Layer] = []
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv) and index < last:
            following = (later.groups for later in layers[index + 1 :] if isinstance(later, Conv))
            groups = math.lcm(layer.groups, next(following, 1))
            new.append(replace(layer, out_channels=_scaled(layer.out_channels, factor, groups)))
        elif isinstance(layer, Dense) and index < last:
            new.append(replace(layer, out_features=_scaled(layer.out_features, factor)))
        else:
            new.append(layer)
    return tuple(new)


def _scaled(size: int, factor: Fraction, multiple: int = 1) -> int:
    """Return the multiple of ``multiple``, at least one, that is nearest to ``size * factor``."""
    return multiple * max(1, math.floor(size * factor / multiple + Fraction(1, 2)))


def _last_with_weights(layers: Sequence[Layer]) -> int:
    """Return the index of the last convolution or dense layer, or 0 without any."""
    return max((i for i, layer in enumerate(layers) if isinstance(layer, Conv | Dense)), default=0)


T = TypeVar("T")


def _choice(known: Mapping[str, T], value: str) -> T:
    if not isinstance(value, str) or value not in known:
        raise SpecError(f"unknown value; known values: {', '.join(known)}")
    return known[value]


def _require(layers: Layers, kinds: tuple[type[Layer], ...], what: str) -> None:
    """Raise SpecError unless one of ``layers`` is of one of these kinds."""
    if not any(isinstance(layer, kinds) for layer in layers):
        raise SpecError(f"the net has no {what}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SpecError(f"{text!r} is not a number") from None


def _window(text: str) -> tuple[int, int]:
    try:
        kernel_size, stride = map(int, text.split("/"))
    except ValueError:
        raise SpecError(
            f"{text!r} is not a window; write kernel size and stride, such as 3/2"
        ) from None
    return kernel_size, stride


@dataclass(frozen=True)
class Setting:
    """One setting: how to read its value, what it does, and a description for a command's help.

    ``parse`` turns the text of a command line into a value, and raises SpecError for other text.
    ``transform`` takes layers and a value, and returns the new layers.
    """

    parse: Callable[[str], Any]
    transform: Callable[[Layers, Any], Layers]
    description: str


SETTINGS: dict[str, Setting] = {
    "activation": Setting(str, activation, f"Activation between layers: {', '.join(ACTIVATIONS)}."),
    "pool": Setting(str, pool, f"Kind of pooling: {', '.join(POOLS)}."),
    "pool_window": Setting(
        _window, pool_window, "Kernel size and stride of pooling, such as 3/2 (overlapping) or 2/2."
    ),
    "dropout": Setting(_number, dropout, "Rate of all dropout layers, from 0 to below 1."),
    "norm": Setting(str, norm, f"Normalisation of the convolutions: {', '.join(NORMS)}."),
    "width": Setting(
        _number, width, "Factor for the channels and units of all layers but the last, such as 0.5."
    ),
}
"""Every setting by name, in the order in which `Net.replace` applies them.

>>> SETTINGS["pool_window"].parse("3/2")
(3, 2)
"""


def value_text(value: Any) -> str:
    """Return a value as a command line has it. `Setting.parse` turns this text into the value again.

    >>> value_text("relu"), value_text(0.0), value_text(0.25), value_text((3, 2))
    ('relu', '0', '0.25', '3/2')
    """
    if isinstance(value, tuple | list):
        return "/".join(map(str, value))
    return repr(float(value)).removesuffix(".0") if isinstance(value, Real) else str(value)


def transformed(name: str, layers: Layers, settings: Mapping[str, Any]) -> tuple[str, Layers]:
    """Return the name and the layers of a net with ``settings``, applied in the order of `SETTINGS`.

    A setting with the value None is left out. The new name lists the settings that changed a layer. It
    has no character that a file name cannot have: a window of 3/2 is 3-2 there. Raises SpecError with
    the net, the setting and the value.

    >>> transformed("n", (Dense(4), Tanh(), Dense(2)), {"width": 0.5, "activation": "relu"})
    ('n, activation=relu, width=0.5', (Dense(2), ReLU(), Dense(2)))
    """
    new_name = name
    for setting in SETTINGS:
        value = settings.get(setting)
        if value is None:
            continue
        try:
            new = SETTINGS[setting].transform(layers, value)
        except SpecError as error:
            raise SpecError(f"{name}: {setting}={value!r}: {error}") from None
        if new != layers:
            new_name += f", {setting}={value_text(value).replace('/', '-')}"
            layers = new
    return new_name, layers
