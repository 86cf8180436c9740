"""The registry entry of MXNet (Gluon)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexnet import spec
from alexnet.backends import dmlc_roles
from alexnet.backends.calls import Call, block, imports_for, omit_default, tidy_float
from alexnet.backends.entry import Framework, Launch, start_script
from alexnet.backends.mxnet_startup import prepare_mxnet
from alexnet.spec import ResolvedLayer, ResolvedNet


def calls(row: ResolvedLayer) -> Iterator[Call]:
    """Yield the calls that make the layer of a row. Yields nothing for an unknown layer."""
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            yield Call(
                "nn.Conv2D",
                out,
                kernel_size=kernel,
                strides=omit_default(stride, 1),
                padding=omit_default(padding, 0),
                groups=omit_default(groups, 1),
            )
        case spec.MaxPool(kernel, _, padding) as pool:
            options = {"strides": pool.step, "padding": omit_default(padding, 0)}
            yield Call("nn.MaxPool2D", pool_size=kernel, **options)
        case spec.AvgPool(kernel, _, padding) as pool:
            options = {"strides": pool.step, "padding": omit_default(padding, 0)}
            yield Call("nn.AvgPool2D", pool_size=kernel, **options)
        case spec.GlobalAvgPool():
            yield Call("nn.GlobalAvgPool2D")
        case spec.Dense(out):
            yield Call("nn.Dense", out)
        case spec.ReLU():
            yield Call("nn.Activation", "relu")
        case spec.LeakyReLU(slope):
            yield Call("nn.LeakyReLU", slope)
        case spec.Sigmoid():
            yield Call("nn.Activation", "sigmoid")
        case spec.Tanh():
            yield Call("nn.Activation", "tanh")
        case spec.Flatten():
            yield Call("nn.Flatten")
        case spec.Dropout(rate):
            yield Call("nn.Dropout", rate)
        case spec.LocalResponseNorm(size, alpha, beta, k):
            alpha = tidy_float(alpha * size)  # MXNet divides alpha by size
            yield Call("LocalResponseNorm", size, alpha=alpha, beta=beta, knorm=k)
        case spec.BatchNorm(momentum, epsilon):
            decay = tidy_float(1 - momentum)  # weight of the old mean and variance
            options = {"momentum": omit_default(decay, 0.9), "epsilon": omit_default(epsilon, 1e-5)}
            yield Call("nn.BatchNorm", **options)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    """Return the source code of a whole net, without imports, from the lines of its layers."""
    return "\n".join(
        ["net = nn.HybridSequential()", block("net.add(", lines, ")"), "net.initialize()"]
    )


def imports(code: str) -> list[str]:
    """Return the import statements that some code needs."""
    lines = {
        "mx": "import mxnet as mx",
        "mnp": "from mxnet import np as mnp",
        "npx": "from mxnet import npx",
        "nn": "from mxnet.gluon import nn",
    }
    return imports_for(f"npx {code}", lines)


def before_import() -> None:
    """Prepare this process for the import of MXNet.

    Raises BackendError if this process is the scheduler of a data-parallel run and its port is taken.
    """
    prepare_mxnet()
    if "mxnet" not in sys.modules:
        dmlc_roles.prepare()


HELPER = "from alexnet.backends.loading import prepare; prepare('mxnet'); import mxnet"
"""The program of a scheduler or a server."""


def launch(processes: int, folder: Path, on_gpu: bool) -> Launch:
    """Return how to start processes on this machine, with a scheduler and a server.

    MXNet's own launcher, ``tools/launch.py``, is not in MXNet's wheel.
    """
    common = dmlc_roles.on_this_machine(processes, dmlc_roles.free_port())
    workers = [{**common, **dmlc_roles.worker(rank)} for rank in range(processes)]
    helpers = {f"MXNet's {role}": common | {dmlc_roles.ROLE: role} for role in dmlc_roles.HELPERS}
    return start_script(folder, workers, helpers, HELPER)


def traps() -> list[str]:
    """Return the known problems on this machine, each with what alexnet does about it."""
    return [
        "MXNet uses np.bool, which NumPy 1.24 removed; alexnet restores np.bool before MXNet is imported"
    ]


ENTRY = Framework(
    name="mxnet",
    title="MXNet",
    module="mxnet",
    packages=("mxnet",),
    net_class="Block",
    style={"color": "#2e86ab", "linestyle": (0, (6, 2)), "marker": "^"},
    calls=calls,
    program=program,
    imports=imports,
    requirements=("mxnet==1.9.1", "numpy<2", "setuptools; python_version >= '3.12'"),
    prelude="npx.set_np()",
    own_layers=("LocalResponseNorm",),
    before_import=before_import,
    traps=traps,
    place=dmlc_roles.place,
    launch=launch,
)
