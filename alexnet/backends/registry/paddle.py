"""The registry entry of Paddle."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from alexnet import spec
from alexnet.backends.calls import Call, block, omit_default, tidy_float
from alexnet.backends.entry import Framework, Launch, Place, has_module, place_from
from alexnet.errors import BackendError
from alexnet.spec import ResolvedLayer, ResolvedNet


def calls(row: ResolvedLayer) -> Iterator[Call]:
    """Yield the calls that make the layer of a row. Yields nothing for an unknown layer."""
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
            # exclusive=False counts the padding in the mean, as the other frameworks do.
            options["exclusive"] = False if padding else None
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
            alpha = tidy_float(alpha * size)  # Paddle divides alpha by size
            yield Call("nn.LocalResponseNorm", size, alpha=alpha, beta=beta, k=k)
        case spec.BatchNorm(momentum, epsilon):
            kind = "nn.BatchNorm2D" if len(shape) == 3 else "nn.BatchNorm1D"
            decay = tidy_float(1 - momentum)  # weight of the old mean and variance
            options = {"momentum": omit_default(decay, 0.9), "epsilon": omit_default(epsilon, 1e-5)}
            yield Call(kind, shape[0], **options)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    """Return the source code of a whole net, without imports, from the lines of its layers."""
    return block("net = nn.Sequential(", lines, ")")


def imports(code: str) -> list[str]:
    """Return the import statements that some code needs."""
    return ["from paddle import nn"]


def before_import() -> None:
    """Prepare this process for the import of Paddle.

    Raises BackendError if TensorFlow was imported before, because Python would crash. Makes MKL faster:
    Paddle uses MKL from 2019, which runs its slowest code on AMD processors. MKL_DEBUG_CPU_TYPE=5 makes MKL
    use AVX2 there. Then AlexNet's training step takes less than half the time.
    """
    if "paddle" in sys.modules:
        return
    if "tensorflow" in sys.modules:
        raise BackendError(
            "Paddle cannot be loaded after TensorFlow in one process (Python would crash); "
            "load Paddle first, or use one process for each"
        )
    if _is_amd_with_avx2():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def _is_amd_with_avx2() -> bool:
    """Return whether this machine has an AMD processor with AVX2. False if the system is not Linux."""
    try:
        cpu = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in cpu and " avx2" in cpu


def import_order_trap() -> list[str]:
    """Return the known problems on this machine, each with what alexnet does about it."""
    if not (has_module("tensorflow") and has_module("paddle")):
        return []
    return ["importing Paddle after TensorFlow crashes Python; alexnet raises BackendError instead"]


def traps() -> list[str]:
    """Return the known problems on this machine, each with what alexnet does about it."""
    found = import_order_trap()
    if os.environ.get("MKL_DEBUG_CPU_TYPE") == "5":
        found.append(
            "Paddle's matrix library is slow on AMD processors, so MKL_DEBUG_CPU_TYPE=5 is set"
        )
    return found


def place() -> Place | None:
    """Return the place that ``paddle.distributed.launch`` gave this process."""
    own, everyone = "PADDLE_CURRENT_ENDPOINT", "PADDLE_TRAINER_ENDPOINTS"
    names = "PADDLE_TRAINER_ID", "PADDLE_TRAINERS_NUM", "PADDLE_RANK_IN_NODE", "PADDLE_LOCAL_SIZE"
    found = place_from(*names, own, everyone)
    if found is None:
        return None
    hosts = [address.rpartition(":")[0] for address in os.environ[everyone].split(",")]
    return replace(found, local_size=hosts.count(hosts[found.rank]))


def launch(processes: int, folder: Path, on_gpu: bool) -> Launch:
    """Return how ``paddle.distributed.launch`` starts processes on this machine."""
    command = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
    command += ["--log_dir", str(folder / "logs")]
    if not on_gpu:
        command += ["--backend", "gloo"]
    return Launch(command)


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
    requirements=("paddlepaddle>=3.0", "numpy<2.4"),
    environment={"GLOG_minloglevel": "2"},
    before_import=before_import,
    traps=traps,
    place=place,
    launch=launch,
)
