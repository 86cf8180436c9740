"""Nets as framework-neutral tables of layers. Each backend builds its own net from such a table.

A `Net` is a name, an input shape and a tuple of layers. `Net.resolve` computes the shapes, parameters
and costs of each layer. All checks of nets are in this package, so backends do not repeat them.

Shapes leave out the batch axis: images are ``(channels, height, width)``, vectors ``(features,)``.

>>> net = Net("tiny", (1, 8, 8), (Conv(4, 3, padding=1), ReLU(), MaxPool(2), Flatten(), Dense(10)))
>>> [row.output_shape for row in net.resolve().rows]
[(4, 8, 8), (4, 8, 8), (4, 4, 4), (64,), (10,)]
"""

from alexnet.shapes import Shape, shape_text
from alexnet.spec.layers import (
    STATISTICS,
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
    ReLU,
    Sigmoid,
    Tanh,
)
from alexnet.spec.nets import Net, ResolvedLayer, ResolvedNet

__all__ = [
    "STATISTICS",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "MaxPool",
    "Net",
    "ReLU",
    "ResolvedLayer",
    "ResolvedNet",
    "Shape",
    "Sigmoid",
    "Tanh",
    "shape_text",
]
