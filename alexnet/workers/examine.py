"""What a worker finds out about its framework: version, GPUs, threads, traps, and a self-test."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any

import numpy as np

from alexnet import backends
from alexnet.backends import Backend
from alexnet.backends.mxnet_startup import usable_cores
from alexnet.parity.check import SELF_TEST, TOLERANCE, parity


def examine(name: str) -> dict[str, Any]:
    """The fields of an ``examined`` event."""
    backend = backends.load(name)
    begun = time.perf_counter()
    (found,) = parity("lenet", [name], SELF_TEST)
    seconds = time.perf_counter() - begun
    finding = {
        "backend": name,
        "version": backend.version(),
        "python": f"{sys.executable} ({platform.python_version()}, NumPy {np.__version__})",
        "gpu": _gpu(backend),
        "threads": f"{os.environ.get('OMP_NUM_THREADS', 'its own choice')} of {usable_cores()} cores",
    }
    if found.agrees(SELF_TEST.dtype):
        finding["self_test"] = (
            f"a training step agrees with the reference ({found.largest:.1e}, in {seconds:.1f} s)"
        )
    else:
        limit = TOLERANCE[SELF_TEST.dtype]
        why = found.problem or f"{found.worst} differs by {found.largest:.1e}, more than {limit:g}"
        finding["problem"] = f"a training step is not the reference's: {why}"
    return {"finding": finding, "traps": _traps(name, backend)}


def _gpu(backend: Backend) -> str:
    """The GPUs that a framework sees; or why it sees none."""
    found, build = backend.gpus(), backend.gpu_build()
    if found:
        return f"{', '.join(map(str, found))} ({build})"
    if build is None:
        return "none: this is a build for CPUs"
    if not backends.gpu_hardware():
        return f"none: a build for {build}, but this machine has no GPU, or no driver for it"
    return f"none: a build for {build}, and a GPU's driver is there, but the two do not go together"


def _traps(name: str, backend: Backend) -> list[str]:
    """The known problems on this machine, and what is done about them."""
    found = backends.framework(name).traps()
    if backend.gpu_build() is not None and not backends.gpu_hardware():
        found.append("a CUDA build without a driver: it runs on the CPU, and takes more disk")
    return found
