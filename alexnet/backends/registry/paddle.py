"""Paddle."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexnet import spec
from alexnet.backends.calls import Call, block, omit_default, tidy_float
from alexnet.backends.entry import Framework, has_module
from alexnet.errors import BackendError
from alexnet.spec import ResolvedLayer, ResolvedNet


def calls(row: ResolvedLayer) -> Iterator[Call]:
    shape = row.input_shape  # (C, H, W) or (features,)
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            yield Call(
                "nn.Conv2D",
                shape[0],
                out,
                kernel_size=kernel,
                stride=omit_default(stride, 1),
                padding=omit_default(padding, 0),
                groups=omit_default(groups, 1),
            )
        case spec.MaxPool(kernel, _, padding) as pool:
            options = {"stride": pool.step, "padding": omit_default(padding, 0)}
            yield Call("nn.MaxPool2D", kernel_size=kernel, **options)
        case spec.AvgPool(kernel, _, padding) as pool:
            options = {"stride": pool.step, "padding": omit_default(padding, 0)}
            options["exclusive"] = False if padding else None  # padding counts, as elsewhere
            yield Call("nn.AvgPool2D", kernel_size=kernel, **options)
        case spec.GlobalAvgPool():
            yield Call("nn.AdaptiveAvgPool2D", 1)
        case spec.Dense(out):
            yield Call("nn.Linear", shape[0], out)
        case spec.ReLU():
            yield Call("nn.ReLU")
        case spec.LeakyReLU(slope):
            yield Call("nn.LeakyReLU", negative_slope=slope)
        case spec.Sigmoid():
            yield Call("nn.Sigmoid")
        case spec.Tanh():
            yield Call("nn.Tanh")
        case spec.Flatten():
            yield Call("nn.Flatten")
        case spec.Dropout(rate):
            yield Call("nn.Dropout", p=rate)
        case spec.LocalResponseNorm(size, alpha, beta, k):
            alpha = tidy_float(alpha * size)  # Paddle divides it by size
            yield Call("nn.LocalResponseNorm", size, alpha=alpha, beta=beta, k=k)
        case spec.BatchNorm(momentum, epsilon):
            kind = "nn.BatchNorm2D" if len(shape) == 3 else "nn.BatchNorm1D"
            share = tidy_float(1 - momentum)  # weight of the old value
            options = {"momentum": omit_default(share, 0.9), "epsilon": omit_default(epsilon, 1e-5)}
            yield Call(kind, shape[0], **options)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    return block("net = nn.Sequential(", lines, ")")


def imports(code: str) -> list[str]:
    return ["from paddle import nn"]


def before_import() -> None:
    """Refuse an import that would kill Python, and choose the faster kernels of MKL.

    Paddle's matrix library (MKL of 2019) takes its slowest code on processors that are not Intel's
    unless it is told that they have AVX2: with it, AlexNet's step takes less than half the time.
    """
    if "paddle" in sys.modules:
        return
    if "tensorflow" in sys.modules:
        raise BackendError(
            "Paddle cannot be loaded after TensorFlow in one process (it would crash Python); "
            "load Paddle first, or use one process for each"
        )
    if _is_amd_with_avx2():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def _is_amd_with_avx2() -> bool:
    """Whether Linux says so of this machine's processor."""
    try:
        cpu = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in cpu and " avx2" in cpu


def import_order_trap() -> list[str]:
    if not (has_module("tensorflow") and has_module("paddle")):
        return []
    return [
        "import order: Paddle after TensorFlow in one process kills Python; refused with a sentence"
    ]


def traps() -> list[str]:
    found = import_order_trap()
    if os.environ.get("MKL_DEBUG_CPU_TYPE") == "5":
        found.append(
            "Paddle's matrix library is slow on AMD's processors; MKL_DEBUG_CPU_TYPE=5 is set"
        )
    return found


ENTRY = Framework(
    name="paddle",
    title="Paddle",
    module="paddle",
    packages=("paddle",),
    net_class="Layer",
    style={"color": "#438c4e", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "v"},
    calls=calls,
    program=program,
    imports=imports,
    environment={"GLOG_minloglevel": "2"},
    before_import=before_import,
    traps=traps,
)
