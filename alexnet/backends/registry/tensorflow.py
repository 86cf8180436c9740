"""The registry entry of TensorFlow (Keras 3, channels last)."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from textwrap import indent

from alexnet import spec
from alexnet.backends.calls import Call, block, imports_for, omit_default, tidy_float
from alexnet.backends.entry import Framework, Launch, Place, start_script
from alexnet.backends.registry.paddle import import_order_trap
from alexnet.backends.registry.torch import guard_triton, triton_trap
from alexnet.errors import BackendError
from alexnet.spec import ResolvedLayer, ResolvedNet


def calls(row: ResolvedLayer) -> Iterator[Call]:
    """Yield the calls that make the layer of a row. Yields nothing for an unknown layer."""
    match row.layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            # padding="same" is symmetric only for an odd kernel and stride 1.
            same = padding > 0 and stride == 1 and kernel == 2 * padding + 1
            if padding and not same:
                yield Call("layers.ZeroPadding2D", padding)
            yield Call(
                "layers.Conv2D",
                out,
                kernel_size=kernel,
                strides=omit_default(stride, 1),
                padding="same" if same else None,
                groups=omit_default(groups, 1),
            )
        case spec.MaxPool(kernel, _, padding) as pool:
            if padding:
                yield Call("LowPadding2D", padding)
            yield Call("layers.MaxPooling2D", pool_size=kernel, strides=pool.step)
        case spec.AvgPool(kernel, _, padding) as pool:
            if padding:
                yield Call("layers.ZeroPadding2D", padding)
            yield Call("layers.AveragePooling2D", pool_size=kernel, strides=pool.step)
        case spec.GlobalAvgPool():
            yield Call("layers.GlobalAveragePooling2D", keepdims=True)
        case spec.Dense(out):
            yield Call("layers.Dense", out)
        case spec.ReLU():
            yield Call("layers.ReLU")
        case spec.LeakyReLU(slope):
            yield Call("layers.LeakyReLU", negative_slope=slope)
        case spec.Sigmoid():
            yield Call("layers.Activation", "sigmoid")
        case spec.Tanh():
            yield Call("layers.Activation", "tanh")
        case spec.Flatten():
            yield Call("layers.Flatten")
        case spec.Dropout(rate):
            yield Call("layers.Dropout", rate)
        case spec.LocalResponseNorm(size, alpha, beta, k):
            yield Call("LocalResponseNorm", size, alpha=alpha, beta=beta, k=k)
        case spec.BatchNorm(momentum, epsilon):
            decay = tidy_float(1 - momentum)  # weight of the old mean and variance
            options = {
                "momentum": omit_default(decay, 0.99),
                "epsilon": omit_default(epsilon, 1e-3),
            }
            yield Call("layers.BatchNormalization", **options)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    """Return the source code of a whole net, without imports, from the lines of its layers."""
    shape = net.input_shape
    channels_last = (*shape[1:], shape[0]) if len(shape) == 3 else shape
    rows = block("[", [f"{Call('keras.Input', channels_last)},", *lines], "]")
    return f"net = keras.Sequential(\n{indent(rows, '    ')}\n)"


def imports(code: str) -> list[str]:
    """Return the import statements that some code needs."""
    lines = {
        "keras": "import keras",
        "np": "import numpy as np",
        "tf": "import tensorflow as tf",
        "layers": "from keras import layers",
    }
    return imports_for(code, lines)


def before_import() -> None:
    """Prepare this process for the import of TensorFlow.

    Raises BackendError if KERAS_BACKEND names another framework, because Keras would use that one.
    """
    chosen = os.environ.get("KERAS_BACKEND", "tensorflow")
    if chosen != "tensorflow":
        raise BackendError(
            f"KERAS_BACKEND must be unset or tensorflow for the tensorflow backend, got {chosen}"
        )
    guard_triton()


def cluster() -> tuple[dict[str, str], str]:
    """Return the processes of TF_CONFIG, and the name of this one. If it is not there: ({}, "").

    The addresses ``host:port`` have names such as ``/job:worker/task:1``, in the order of the ranks: the
    chief first, if there is one. Raises BackendError if TF_CONFIG is not what TensorFlow documents.
    https://www.tensorflow.org/guide/distributed_training#TF_CONFIG
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return {}, ""
    try:
        config = json.loads(text)
        jobs, task = config.get("cluster", {}), config.get("task", {})
        addresses = {
            f"/job:{job}/task:{index}": address
            for job in ("chief", "worker")
            for index, address in enumerate(jobs.get(job, []))
        }
        correct = all(re.fullmatch(r".+:\d+", address) for address in addresses.values())
    except (ValueError, TypeError, AttributeError):
        correct = False
    if not correct:
        raise BackendError(
            f"the environment variable TF_CONFIG must be JSON with cluster and task, got {text!r}"
        )
    own = f"/job:{task.get('type')}/task:{task.get('index')}"
    return (addresses, own) if own in addresses else ({}, "")


def place() -> Place | None:
    """Return the place that TF_CONFIG gives this process."""
    addresses, own = cluster()
    if len(addresses) < 2:
        return None
    rank = list(addresses).index(own)
    hosts = [address.rpartition(":")[0] for address in addresses.values()]
    own_host = hosts[rank]
    return Place(rank, len(hosts), hosts[:rank].count(own_host), hosts.count(own_host))


def launch(processes: int, folder: Path, on_gpu: bool) -> Launch:
    """Return how alexnet starts processes on this machine: TensorFlow has no launcher."""
    with ExitStack() as stack:  # all ports are open at the same time, so they differ
        sockets = [stack.enter_context(socket.socket()) for _ in range(processes)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    tasks = [{"type": "worker", "index": rank} for rank in range(processes)]
    configs = [{"cluster": {"worker": addresses}, "task": task} for task in tasks]
    # TensorFlow would use GPUs that it sees for the sums.
    hidden = () if on_gpu else ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
    variables = [{"TF_CONFIG": json.dumps(config)} for config in configs]
    return start_script(folder, variables, environment=dict.fromkeys(hidden, "-1"))


ENTRY = Framework(
    name="tensorflow",
    title="TensorFlow",
    module="tensorflow",
    packages=("keras", "tensorflow"),
    net_class="Layer",
    style={"color": "#c27a00", "linestyle": (0, (3, 1, 1, 1)), "marker": "D"},
    calls=calls,
    program=program,
    imports=imports,
    requirements=("tensorflow>=2.18",),
    own_layers=("LowPadding2D", "LocalResponseNorm"),
    channels_last=True,
    environment={"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"},
    loads_after=("paddle",),
    before_import=before_import,
    traps=lambda: [*import_order_trap(), *triton_trap()],
    place=place,
    launch=launch,
    joins_first=True,
    caveat="or is a subclassed Keras model, whose order of features after a Flatten is unknown",
)
