"""The floating-point operations of each kind of layer, and what its backward pass needs.

A multiply-accumulate is two operations. Each comparison, addition, multiplication, division, root,
exponential and power is one. Not counted: the gradients of biases, padding, random numbers, the running
statistics, the loss, and the step of SGD.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alexnet import spec
from alexnet.errors import SpecError
from alexnet.spec import ResolvedLayer
from alexnet.spec.layers import LAYERS

ONE_BYTE = 2**8  # different values of a byte


@dataclass(frozen=True)
class Arithmetic:
    """The operations of one layer for one example in training, and what it keeps for the backward pass."""

    forward: int = 0  # FLOP
    input_gradient: int = 0  # FLOP
    weight_gradient: int = 0  # FLOP
    keeps_input: bool = False  # whether the backward pass reads the layer's input
    keeps_output: bool = False  # whether it reads the layer's output
    keeps_bytes: int = 0  # what else it keeps, for each example
    keeps_statistics: int = 0  # bytes that it keeps for the whole mini-batch
    is_view: bool = False  # whether the output is the input in another shape: nothing is moved


def arithmetic(row: ResolvedLayer) -> Arithmetic:
    """Return the operations of a row, in one example in float32.

    Raises SpecError for a layer class outside `alexnet.spec`, whose operations are unknown.

    >>> from alexnet.spec import Conv, Net
    >>> (row,) = Net("one", (3, 9, 9), (Conv(4, 3),)).resolve().rows
    >>> arithmetic(row).forward == 2 * row.macs
    True
    """
    n, out = math.prod(row.input_shape), math.prod(row.output_shape)
    # A user's subclass of a layer may compute something else.
    match row.layer if type(row.layer) in LAYERS.values() else None:
        case spec.Conv() | spec.Dense():
            flop = 2 * row.macs
            return Arithmetic(flop, flop, flop, keeps_input=True)
        case spec.ReLU():  # max; a product with 0 or 1
            return Arithmetic(n, n, keeps_output=True)
        case spec.LeakyReLU():  # slope * x, max; a comparison and a product
            return Arithmetic(2 * n, 2 * n, keeps_output=True)
        case spec.Sigmoid():  # 1 / (1 + exp(-x)); dy * y * (1 - y)
            return Arithmetic(4 * n, 3 * n, keeps_output=True)
        case spec.Tanh():  # a function; dy * (1 - y * y)
            return Arithmetic(n, 3 * n, keeps_output=True)
        case spec.Flatten():
            return Arithmetic(is_view=True)
        case spec.Dropout():  # the mask and its scale; the same for dy. The mask has a byte for each value
            return Arithmetic(2 * n, 2 * n, keeps_bytes=n)
        case spec.MaxPool(kernel):  # comparisons; dy is added at the position of the largest value
            position = 1 if kernel**2 <= ONE_BYTE else 4
            return Arithmetic((kernel**2 - 1) * out, out, keeps_bytes=position * out)
        case spec.AvgPool(
            kernel
        ):  # sum and division; dy / k² is added to every value of its window
            return Arithmetic(kernel**2 * out, (kernel**2 + 1) * out)
        case spec.GlobalAvgPool():  # sum and division; dy / (H * W)
            return Arithmetic(n, out)
        case spec.LocalResponseNorm(size):
            # Squares, their sum over the window, k + alpha * sum, power, product.
            # Backward: power, dy * x * power / scale, its sum over the window, and the two terms of dx.
            return Arithmetic((size + 4) * n, (size + 6) * n, keeps_input=True, keeps_bytes=4 * n)
        case spec.BatchNorm():
            # Mean (1), variance (3), (x - mean) / deviation (2), weight and bias (2).
            # Backward: sum of dy (1), x normalised (2), sum of its product with dy (2); then four for dx.
            statistics = 4 * 2 * row.input_shape[0]  # mean and deviation of each channel
            return Arithmetic(8 * n, 4 * n, 5 * n, keeps_input=True, keeps_statistics=statistics)
        case _:
            raise SpecError(f"layer {row.index} {row.layer!r}: the cost of its class is unknown")
