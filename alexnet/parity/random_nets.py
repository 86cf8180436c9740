"""Small, valid, random nets with the unusual settings in which frameworks differ."""

from __future__ import annotations

import random

from alexnet.errors import SpecError
from alexnet.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Net,
    ReLU,
    Sigmoid,
    Tanh,
)

NORM = BatchNorm(momentum=0.25, epsilon=2**-10)
"""Batch normalisation whose constants are exact in float32, in which some frameworks keep them."""


def random_net(source: random.Random) -> Net:
    """Return a valid net. ``source`` makes all random choices.

    The nets cover odd and non-square images, one or more channels, groups, padding, strides that do not
    divide the size, pools that overlap or leave gaps, and every kind of layer. They end in 2 to 5 classes.

    >>> net = random_net(random.Random(3))
    >>> len(net.resolve().output_shape)
    1
    """
    shape = (source.randint(1, 4), source.randint(1, 12), source.randint(1, 12))
    layers: list[Layer] = []
    for _ in range(source.randint(0, 4)):
        channels = Net("random", shape, (*layers, ReLU())).resolve().output_shape[0]
        _append_if_valid(layers, shape, _image_layer(source, channels))
    if source.random() < 0.2:
        layers.append(GlobalAvgPool())
    layers.append(Flatten())
    for _ in range(source.randint(0, 2)):
        layers.append(source.choice([Dense(source.randint(1, 9)), ReLU(), Tanh(), Sigmoid()]))
        if source.random() < 0.3:
            drop = Dropout(source.choice([0.0, 0.3, 0.5]))
            layers.append(source.choice([drop, NORM]))
    layers.append(Dense(source.randint(2, 5)))
    return Net("random", shape, tuple(layers))


def _append_if_valid(layers: list[Layer], shape: tuple[int, ...], layer: Layer) -> None:
    """Append ``layer`` unless the image is too small for this layer."""
    try:
        Net("random", shape, (*layers, layer)).resolve()
    except SpecError:
        return
    layers.append(layer)


def _image_layer(source: random.Random, channels: int) -> Layer:
    match source.choice(["conv", "conv", "conv", "max", "max", "average", "norm", "point", "drop"]):
        case "conv":
            groups = source.choice([g for g in (1, 2, 3, 4) if channels % g == 0])
            outs, kernel = groups * source.randint(1, 4), source.randint(1, 5)
            stride, padding = source.randint(1, 4), source.randint(0, 3)
            return Conv(outs, kernel, stride=stride, padding=padding, groups=groups)
        case "max" | "average" as kind:
            kernel = source.randint(1, 4)
            stride, padding = source.randint(1, 4), source.randint(0, kernel // 2)
            return (MaxPool if kind == "max" else AvgPool)(kernel, stride=stride, padding=padding)
        case "norm":
            size = source.choice([1, 3, 5])
            return source.choice([LocalResponseNorm(size, alpha=0.1, k=1.0), NORM])
        case "point":
            return source.choice([ReLU(), LeakyReLU(slope=0.25), Sigmoid(), Tanh()])
        case _:
            return Dropout(source.choice([0.0, 0.3, 0.5]))
