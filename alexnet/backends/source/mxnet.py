"""MXNet's column."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet import spec
from alexnet.backends.source.column import Helper, block, call, decimal, unless
from alexnet.spec import ResolvedLayer, ResolvedNet

HELPERS = (
    Helper(
        "LocalResponseNorm",
        '''
class LocalResponseNorm(nn.HybridBlock):
    """Krizhevsky et al., 2012. MXNet's operator divides alpha by nsize."""

    def __init__(self, nsize, alpha, beta, knorm):
        super().__init__()
        self.settings = dict(nsize=nsize, alpha=alpha, beta=beta, knorm=knorm)

    def hybrid_forward(self, F, x):
        if F is mx.nd:
            return F.LRN(x.as_nd_ndarray(), **self.settings).as_np_ndarray()
        return F.LRN(x.as_nd_sym(), **self.settings)[0].as_np_sym()
''',
    ),
)


def calls(row: ResolvedLayer) -> list[str]:
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            options = {"strides": unless(1, stride), "padding": unless(0, padding)}
            options["groups"] = unless(1, groups)
            return [call("nn.Conv2D", out, kernel_size=kernel, **options)]
        case spec.MaxPool(kernel, _, padding) as pool:
            options = {"strides": pool.step, "padding": unless(0, padding)}
            return [call("nn.MaxPool2D", pool_size=kernel, **options)]
        case spec.AvgPool(kernel, _, padding) as pool:
            options = {"strides": pool.step, "padding": unless(0, padding)}
            return [call("nn.AvgPool2D", pool_size=kernel, **options)]
        case spec.GlobalAvgPool():
            return ["nn.GlobalAvgPool2D()"]
        case spec.Dense(out):
            return [call("nn.Dense", out)]
        case spec.ReLU():
            return ['nn.Activation("relu")']
        case spec.Sigmoid():
            return ['nn.Activation("sigmoid")']
        case spec.Tanh():
            return ['nn.Activation("tanh")']
        case spec.Flatten():
            return ["nn.Flatten()"]
        case spec.Dropout(rate):
            return [call("nn.Dropout", rate)]
        case spec.LocalResponseNorm(size, alpha, beta, k):
            alpha = decimal(alpha * size)
            return [call("LocalResponseNorm", size, alpha=alpha, beta=beta, knorm=k)]
        case spec.BatchNorm(momentum, epsilon):
            share = decimal(1 - momentum)  # of the old value
            options = {"momentum": unless(0.9, share), "epsilon": unless(1e-5, epsilon)}
            return [call("nn.BatchNorm", **options)]
    raise TypeError(f"no source for {row.layer!r}")


def imports(net: ResolvedNet, helpers: Sequence[Helper]) -> str:
    head = "import mxnet as mx\n" if helpers else ""
    return f"{head}from mxnet import npx\nfrom mxnet.gluon import nn\n\nnpx.set_np()"


def program(net: ResolvedNet, lines: list[str]) -> str:
    return "\n".join(
        ["net = nn.HybridSequential()", block("net.add(", lines, ")"), "net.initialize()"]
    )
