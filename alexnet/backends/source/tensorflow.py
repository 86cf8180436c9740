"""TensorFlow's column: Keras 3, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent

from alexnet import spec
from alexnet.backends.source.column import Helper, block, call, decimal, unless
from alexnet.spec import ResolvedLayer, ResolvedNet

HELPERS = (
    Helper(
        "LocalResponseNorm",
        '''
class LocalResponseNorm(layers.Layer):
    """Krizhevsky et al., 2012. Keras has no such layer."""

    def __init__(self, size, alpha, beta, k):
        super().__init__()
        self.settings = dict(depth_radius=size // 2, bias=k, alpha=alpha, beta=beta)

    def call(self, x):
        return tf.nn.local_response_normalization(x, **self.settings)
''',
    ),
    Helper(
        "LowPadding2D",
        '''
class LowPadding2D(layers.ZeroPadding2D):
    """Pads with the lowest number, so that padding never wins a maximum."""

    def call(self, x):
        return tf.pad(x, [(0, 0), *self.padding, (0, 0)], constant_values=x.dtype.min)
''',
    ),
)


def calls(row: ResolvedLayer) -> list[str]:
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            # "same" is this padding only for an odd window moved by one: else it is lopsided
            same = padding > 0 and stride == 1 and kernel == 2 * padding + 1
            before = [call("layers.ZeroPadding2D", padding)] if padding and not same else []
            options = {"strides": unless(1, stride), "padding": "same" if same else None}
            options["groups"] = unless(1, groups)
            return [*before, call("layers.Conv2D", out, kernel_size=kernel, **options)]
        case spec.MaxPool(kernel, _, padding) as pool:
            before = [call("LowPadding2D", padding)] if padding else []
            return [*before, call("layers.MaxPooling2D", pool_size=kernel, strides=pool.step)]
        case spec.AvgPool(kernel, _, padding) as pool:
            before = [call("layers.ZeroPadding2D", padding)] if padding else []
            return [*before, call("layers.AveragePooling2D", pool_size=kernel, strides=pool.step)]
        case spec.GlobalAvgPool():
            return ["layers.GlobalAveragePooling2D(keepdims=True)"]
        case spec.Dense(out):
            return [call("layers.Dense", out)]
        case spec.ReLU():
            return ["layers.ReLU()"]
        case spec.Sigmoid():
            return ['layers.Activation("sigmoid")']
        case spec.Tanh():
            return ['layers.Activation("tanh")']
        case spec.Flatten():
            return ["layers.Flatten()"]
        case spec.Dropout(rate):
            return [call("layers.Dropout", rate)]
        case spec.LocalResponseNorm(size, alpha, beta, k):
            return [call("LocalResponseNorm", size, alpha=alpha, beta=beta, k=k)]
        case spec.BatchNorm(momentum, epsilon):
            share = decimal(1 - momentum)  # of the old value
            options = {"momentum": unless(0.99, share), "epsilon": unless(1e-3, epsilon)}
            return [call("layers.BatchNormalization", **options)]
    raise TypeError(f"no source for {row.layer!r}")


def imports(net: ResolvedNet, helpers: Sequence[Helper]) -> str:
    head = "import keras\n"
    if helpers:
        head += "import tensorflow as tf\n"
    return f"{head}from keras import layers"


def program(net: ResolvedNet, lines: list[str]) -> str:
    shape = net.input_shape
    channels_last = (*shape[1:], shape[0]) if len(shape) == 3 else shape
    rows = block("[", [call("keras.Input", channels_last) + ",", *lines], "]")
    return f"net = keras.Sequential(\n{indent(rows, '    ')}\n)"
