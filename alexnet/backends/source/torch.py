"""PyTorch's column."""

from __future__ import annotations

from collections.abc import Sequence

from alexnet import spec
from alexnet.backends.source.column import Helper, block, call, decimal, unless
from alexnet.spec import ResolvedLayer, ResolvedNet

HELPERS: tuple[Helper, ...] = ()


def calls(row: ResolvedLayer) -> list[str]:
    shape = row.input_shape
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            options = {"stride": unless(1, stride), "padding": unless(0, padding)}
            options["groups"] = unless(1, groups)
            return [call("nn.Conv2d", shape[0], out, kernel_size=kernel, **options)]
        case spec.MaxPool(kernel, _, padding) as pool:
            options = {"stride": pool.step, "padding": unless(0, padding)}
            return [call("nn.MaxPool2d", kernel_size=kernel, **options)]
        case spec.AvgPool(kernel, _, padding) as pool:
            options = {"stride": pool.step, "padding": unless(0, padding)}
            return [call("nn.AvgPool2d", kernel_size=kernel, **options)]
        case spec.GlobalAvgPool():
            return ["nn.AdaptiveAvgPool2d(1)"]
        case spec.Dense(out):
            return [call("nn.Linear", shape[0], out)]
        case spec.ReLU():
            return ["nn.ReLU()"]
        case spec.Sigmoid():
            return ["nn.Sigmoid()"]
        case spec.Tanh():
            return ["nn.Tanh()"]
        case spec.Flatten():
            return ["nn.Flatten()"]
        case spec.Dropout(rate):
            return [call("nn.Dropout", p=rate)]
        case spec.LocalResponseNorm(size, alpha, beta, k):
            alpha = decimal(alpha * size)  # PyTorch divides it by size
            return [call("nn.LocalResponseNorm", size, alpha=alpha, beta=beta, k=k)]
        case spec.BatchNorm(momentum, epsilon):
            kind = "nn.BatchNorm2d" if len(shape) == 3 else "nn.BatchNorm1d"
            options = {"eps": unless(1e-5, epsilon), "momentum": unless(0.1, momentum)}
            return [call(kind, shape[0], **options)]
    raise TypeError(f"no source for {row.layer!r}")


def imports(net: ResolvedNet, helpers: Sequence[Helper]) -> str:
    return "from torch import nn"


def program(net: ResolvedNet, lines: list[str]) -> str:
    return block("net = nn.Sequential(", lines, ")")
