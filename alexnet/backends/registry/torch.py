"""The registry entry of PyTorch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from alexnet import spec
from alexnet.backends.calls import Call, block, imports_for, omit_default, tidy_float
from alexnet.backends.entry import Framework, Launch, Place, has_module, place_from
from alexnet.spec import ResolvedLayer, ResolvedNet


def calls(row: ResolvedLayer) -> Iterator[Call]:
    """Yield the calls that make the layer of a row. Yields nothing for an unknown layer."""
    shape = row.input_shape  # (C, H, W) or (features,)
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            yield Call(
                "nn.Conv2d",
                shape[0],
                out,
                kernel_size=kernel,
                stride=omit_default(stride, 1),
                padding=omit_default(padding, 0),
                groups=omit_default(groups, 1),
            )
        case spec.MaxPool(kernel, _, padding) as pool:
            options = {"stride": pool.step, "padding": omit_default(padding, 0)}
            yield Call("nn.MaxPool2d", kernel_size=kernel, **options)
        case spec.AvgPool(kernel, _, padding) as pool:
            options = {"stride": pool.step, "padding": omit_default(padding, 0)}
            yield Call("nn.AvgPool2d", kernel_size=kernel, **options)
        case spec.GlobalAvgPool():
            yield Call("nn.AdaptiveAvgPool2d", 1)
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
            alpha = tidy_float(alpha * size)  # PyTorch divides alpha by size
            yield Call("nn.LocalResponseNorm", size, alpha=alpha, beta=beta, k=k)
        case spec.BatchNorm(momentum, epsilon):
            # Without nn.: these two classes are in alexnet/backends/torch.py.
            kind = "BatchNorm2d" if len(shape) == 3 else "BatchNorm1d"
            options = {"eps": omit_default(epsilon, 1e-5), "momentum": omit_default(momentum, 0.1)}
            yield Call(kind, shape[0], **options)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    """Return the source code of a whole net, without imports, from the lines of its layers."""
    return block("net = nn.Sequential(", lines, ")")


def imports(code: str) -> list[str]:
    """Return the import statements that some code needs."""
    return imports_for(code, {"torch": "import torch", "nn": "from torch import nn"})


def guard_triton() -> None:
    """Prepare this process for the import of PyTorch or TensorFlow.

    Triton comes with PyTorch's CUDA builds. PyTorch imports Triton when the first optimizer is made. This
    import crashes Python if TensorFlow was imported before. So this function imports Triton first. If
    TensorFlow is already imported, it blocks Triton, which only ``torch.compile`` needs.
    """
    if "triton" not in sys.modules:
        if "tensorflow" in sys.modules:
            sys.modules["triton"] = cast(Any, None)  # importing Triton now raises ImportError
        elif has_module("triton"):
            importlib.import_module("triton")


def triton_trap() -> list[str]:
    """Return the known problems on this machine, each with what alexnet does about it."""
    if not has_module("triton"):
        return []
    return [
        "importing Triton (for PyTorch's first optimizer) after TensorFlow crashes Python; "
        "alexnet imports Triton first, or blocks it"
    ]


def place() -> Place | None:
    """Return the place that ``torchrun`` gave this process."""
    names = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"
    return place_from(*names, "MASTER_ADDR", "MASTER_PORT")


def launch(processes: int, folder: Path, on_gpu: bool) -> Launch:
    """Return how ``torchrun`` starts processes on this machine."""
    # They meet in a file, because torchrun's own store would listen on every address of the machine.
    command = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"]
    command += ["--rdzv-endpoint", str(folder / "rendezvous"), "--rdzv-id", folder.name]
    command += ["--local-addr", "127.0.0.1", "--log-dir", str(folder / "logs")]
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if loopback else ()
    variables = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    return Launch(command, variables | dict.fromkeys(names, loopback or ""))


ENTRY = Framework(
    name="torch",
    title="PyTorch",
    module="torch",
    packages=("torch",),
    net_class="Module",
    style={"color": "#d1495b", "linestyle": "-", "marker": "o"},
    calls=calls,
    program=program,
    imports=imports,
    requirements=("torch>=2.5", "torchvision>=0.20"),
    own_layers=("BiasedVariance", "BatchNorm1d", "BatchNorm2d"),
    before_import=guard_triton,
    traps=triton_trap,
    place=place,
    launch=launch,
)
