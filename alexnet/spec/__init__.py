"""The framework-neutral table of layers: what a net is before any framework renders it.

A `Net` is a name, an input shape and a tuple of layers. `Net.resolve` walks the layers and gives, for
each one, its shapes, parameters and costs. Every check of a spec lives here, so that the backends
can render without looking.

Shapes leave out the batch axis: images are ``(channels, height, width)``, vectors ``(features,)``.

>>> net = Net("tiny", (1, 8, 8), (Conv(4, 3, padding=1), ReLU(), MaxPool(2), Flatten(), Dense(10)))
>>> [row.output_shape for row in net.resolve().rows]
[(4, 8, 8), (4, 8, 8), (4, 4, 4), (64,), (10,)]
"""

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
    Shape,
    Sigmoid,
    Tanh,
    shape_text,
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
