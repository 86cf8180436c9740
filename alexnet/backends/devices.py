"""Devices: translate what a user asks for into a device object of the framework."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.errors import BackendError

TRY_GPU = "gpu:{} or cpu"
"""What `try_gpu` returns without a backend: GPU number {} if the framework can use it, else the CPU."""


def gpu_hardware() -> bool:
    """Return whether this machine may have a GPU. Looks at device files only; loads no framework."""
    nodes = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")
    return sys.platform == "darwin" or any(Path(node).exists() for node in nodes)


def is_gpu(backend: Backend, device: Any) -> bool:
    """Return whether a device object of the framework is a GPU."""
    return bool(backend.gpus()) and str(device) != str(backend.cpu())


def resolve_device(backend: Backend, device: Any) -> Any:
    """Return the framework's device object for ``device``.

    None means the first GPU, or the CPU if there is no GPU. The result of `try_gpu` means its GPU, or
    the CPU if that GPU is missing. ``"cpu"``, ``"gpu"``, ``"gpu:1"``, ``"cuda:1"`` and ``"mps"`` mean
    exactly that device. Any other object is returned as it is, as a device of the framework. In a
    data-parallel run, process n on a machine takes GPU n where None, ``try_gpu()`` or ``"gpu"`` is given.

    Raises BackendError for an unknown name, for an int, and for a GPU that the framework cannot use.

    >>> resolve_device(load("numpy"), None)
    'cpu'
    """
    place = backend.ENTRY.place()
    first = place.local_rank if place is not None and not backend.ENTRY.joins_first else 0
    if device is None or (isinstance(device, str) and device == TRY_GPU.format(0)):
        device = TRY_GPU.format(first)
    if isinstance(device, int):
        raise BackendError(f"unknown device {device!r}; known devices: cpu, gpu, gpu:1, …")
    if not isinstance(device, str) or device.startswith("/"):
        return device
    if device == backend.cpu():  # some frameworks use text as device objects
        return device
    kind, _, rest = device.partition(":")
    gpus = backend.gpus() if kind != "cpu" else []
    if kind in ("cuda", "mps"):  # an Apple GPU is not a CUDA device
        gpus = [gpu for gpu in gpus if ("mps" in str(gpu)) == (kind == "mps")]
    number, _, fallback = rest.partition(" ")
    if kind == "cpu" and rest in ("", "0"):
        return backend.cpu()
    if kind not in ("gpu", "cuda", "mps") or not (number.isdigit() or rest == ""):
        if device in gpus:
            return device
        raise BackendError(f"unknown device {device!r}; known devices: cpu, gpu, gpu:1, …")
    index = int(number or first)
    if index < len(gpus):
        return gpus[index]
    if fallback:
        return backend.cpu()
    available = ", ".join(map(str, gpus)) or "none"
    raise BackendError(f"{backend.ENTRY.title} cannot use {device!r}; available GPUs: {available}")


def device_name(device: str) -> str:
    """Return the name of a framework's device in the words of all frameworks: ``cpu`` or ``gpu:0``.

    ``device`` is the framework's own name. A name that is not known is returned as it is.

    >>> [device_name(text) for text in ("cpu", "cpu(0)", "/CPU:0", "Place(cpu)")]
    ['cpu', 'cpu', 'cpu', 'cpu']
    >>> [device_name(text) for text in ("cuda:1", "gpu(1)", "/GPU:1", "Place(gpu:1)", "mps")]
    ['gpu:1', 'gpu:1', 'gpu:1', 'gpu:1', 'mps']
    """
    found = re.fullmatch(r"(?:/|Place\()?(cpu|gpu|cuda)(?:[:(](\d+))?\)?", device, re.IGNORECASE)
    if found is None:
        return device
    return "cpu" if found[1].lower() == "cpu" else f"gpu:{found[2] or 0}"


def device_for_new_net(backend: Backend, device: Any) -> Any:
    """Do the same as `resolve_device`, except that None means the framework's default device."""
    return backend.default_device() if device is None else resolve_device(backend, device)


def try_gpu(i: int = 0, backend: str | None = None) -> Any:
    """Return GPU number ``i`` if it exists, else the CPU.

    With ``backend``, return a device object of that framework. GPUs are CUDA or ROCm GPUs; in PyTorch
    also Apple's MPS. Without ``backend``, return a string that every backend understands, for
    ``train_ch6(..., device=try_gpu())``.

    Raises BackendError unless ``i`` is an int of at least 0, and if the backend cannot be loaded.

    >>> try_gpu()
    'gpu:0 or cpu'
    >>> try_gpu(backend="numpy")
    'cpu'
    """
    if not isinstance(i, int) or i < 0:
        raise BackendError(f"the number of a GPU must be a whole number of at least 0, got {i!r}")
    request = TRY_GPU.format(i)
    return request if backend is None else resolve_device(load(backend), request)
