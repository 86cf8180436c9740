"""Precisions of training: float32, bfloat16 or TF32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alexnet.backends.devices import is_gpu
from alexnet.backends.interface import Backend
from alexnet.errors import BackendError, RunError

PRECISIONS = ("float32", "bfloat16", "tf32", "auto")
"""What ``precision=`` may be.

- ``"float32"``: everything is computed in float32.
- ``"bfloat16"``: the framework's own mixed precision. Convolutions and matrix products take bfloat16 inputs
  (8 bits of precision, the range of float32). Weights, momentum buffers and the loss stay in float32.
- ``"tf32"``: on NVIDIA GPUs since Ampere. Convolutions and matrix products round their float32 inputs to
  11 bits of precision.
- ``"auto"``: bfloat16 if the backend has it and the device computes it faster, else float32.
"""


def check_precision(precision: object) -> str:
    """Return ``precision``. Raises RunError unless it is one of `PRECISIONS`."""
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise RunError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return precision


def choose_precision(backend: Backend, device: Any, precision: str) -> str:
    """Return the precision in which a backend trains on a device: float32, bfloat16 or tf32.

    Raises BackendError if the backend cannot train in this precision on the device.

    >>> from alexnet import backends
    >>> numpy = backends.load("numpy")
    >>> choose_precision(numpy, numpy.cpu(), "auto")
    'float32'
    """
    possible = ("float32", *backend.precisions(device))
    if precision == "auto":
        is_fast = is_gpu(backend, device) or _processor_has_bfloat16()
        return "bfloat16" if "bfloat16" in possible and is_fast else "float32"
    if precision not in possible:
        raise BackendError(
            f"{backend.ENTRY.title} cannot train in {precision} on {device}; "
            f"possible here: {', '.join(possible)}"
        )
    return precision


def _processor_has_bfloat16() -> bool:
    """Return whether the processor has instructions for bfloat16. False if the system is not Linux."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(words)
