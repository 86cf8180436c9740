"""Devices: what a user may ask for, and the framework's own that it means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from alexnet.backends.interface import Backend
from alexnet.backends.loading import load
from alexnet.errors import BackendError

TRY_GPU = "gpu:{} or cpu"


def gpu_hardware() -> bool:
    """Whether there may be a GPU, seen without loading any framework."""
    nodes = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")
    return sys.platform == "darwin" or any(Path(node).exists() for node in nodes)


def resolve_device(backend: Backend, device: Any) -> Any:
    """The framework's own device for what a user asked for.

    ``None`` or `try_gpu`'s answer: that GPU, else the CPU. ``"cpu"``, ``"gpu"``, ``"gpu:1"``,
    ``"cuda:1"``, ``"mps"``: just that one, or a BackendError. Anything else is taken to be a device
    of the framework.
    """
    if device is None:
        device = TRY_GPU.format(0)
    if isinstance(device, int):
        raise BackendError(f"unknown device {device!r}; devices are cpu, gpu, gpu:1, …")
    if not isinstance(device, str) or device.startswith("/"):
        return device
    if device == backend.cpu():  # some frameworks name their devices by text
        return device
    kind, _, rest = device.partition(":")
    found = backend.gpus() if kind != "cpu" else []
    if kind in ("cuda", "mps"):  # Apple's GPUs are not CUDA's
        found = [gpu for gpu in found if ("mps" in str(gpu)) == (kind == "mps")]
    number, _, fallback = rest.partition(" ")
    if kind == "cpu" and rest in ("", "0"):
        return backend.cpu()
    if kind not in ("gpu", "cuda", "mps") or not (number.isdigit() or rest == ""):
        if device in found:
            return device
        raise BackendError(f"unknown device {device!r}; devices are cpu, gpu, gpu:1, …")
    index = int(number or 0)
    if index < len(found):
        return found[index]
    if fallback:
        return backend.cpu()
    seen = ", ".join(map(str, found)) or "none"
    raise BackendError(f"{backend.ENTRY.title} cannot use {device!r}; GPUs that it sees: {seen}")


def device_for_new_net(backend: Backend, device: Any) -> Any:
    """The same, but None means where the framework itself puts a new net."""
    return backend.default_device() if device is None else resolve_device(backend, device)


def try_gpu(i: int = 0, backend: str | None = None) -> Any:
    """GPU number ``i`` where there is one, the CPU otherwise.

    With ``backend``, that framework's own device (CUDA or ROCm; Apple's MPS in PyTorch). Without, a
    string that means the same to every backend, for ``train_ch6(..., device=try_gpu())``.

    >>> try_gpu()
    'gpu:0 or cpu'
    >>> try_gpu(backend="numpy")
    'cpu'
    """
    if not isinstance(i, int) or i < 0:
        raise BackendError(f"a GPU's number must be a whole number of at least 0, not {i!r}")
    request = TRY_GPU.format(i)
    return request if backend is None else resolve_device(load(backend), request)
