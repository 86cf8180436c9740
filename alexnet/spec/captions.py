"""The layers as steps of a drawing, named as in the book's figures."""

from __future__ import annotations

from alexnet.drawing.diagram import Step
from alexnet.shapes import Shape
from alexnet.spec.layers import (
    AvgPool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool,
)


def step(layer: Layer, input_shape: Shape, output_shape: Shape) -> Step:
    """Return how a drawing shows a layer. A layer of another class keeps the name of its class.

    >>> step(Conv(96, 11, stride=4, padding=1), (1, 224, 224), (96, 54, 54)).title
    '11×11 Conv (96), stride 4, pad 1'
    >>> step(MaxPool(3, stride=2), (96, 54, 54), (96, 26, 26)).title
    '3×3 MaxPool, stride 2'
    """
    name = type(layer).__name__
    match layer:
        case Conv(out_channels, size, stride, padding, groups):
            details = [f"stride {stride}"] * (stride > 1) + [f"pad {padding}"] * (padding > 0)
            details += [f"{groups} groups"] * (groups > 1)
            title = f"{size}×{size} Conv ({out_channels})"
            window = size, size
            return Step(title, output_shape, "convolution", ", ".join(details), window, groups)
        case MaxPool(size, _, padding) | AvgPool(size, _, padding):
            details = [f"stride {layer.step}"] + [f"pad {padding}"] * (padding > 0)
            title = f"{size}×{size} {name}"
            return Step(title, output_shape, "pooling", ", ".join(details), (size, size))
        case GlobalAvgPool():
            _, height, width = input_shape
            return Step(name, output_shape, "pooling", window=(height, width))
        case Dense(out_features):
            return Step(f"FC ({out_features})", output_shape, "dense")
        case Flatten():
            return Step(name, output_shape, "reshape")
        case Dropout(number) | LeakyReLU(number):
            name = f"{name} ({number:g})"
    return Step(name, output_shape, "label" if output_shape == input_shape else "reshape")
