"""Examines a worker's framework: version, GPUs, threads, known problems, and a self-test."""

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
    """Examine a framework, and return the fields of an ``examined`` event."""
    backend = backends.load(name)
    started = time.perf_counter()
    (found,) = parity("lenet", [name], SELF_TEST)
    seconds = time.perf_counter() - started
    finding = {
        "backend": name,
        "version": backend.version(),
        "python": f"{sys.executable} ({platform.python_version()}, NumPy {np.__version__})",
        "gpu": _gpu(backend),
        "threads": f"{os.environ.get('OMP_NUM_THREADS', 'default number')} on {usable_cores()} cores",
    }
    if found.agrees(SELF_TEST.dtype):
        finding["self_test"] = (
            f"a training step agrees with the reference ({found.largest:.1e}, in {seconds:.1f} s)"
        )
    else:
        limit = TOLERANCE[SELF_TEST.dtype]
        why = found.problem or f"{found.worst} differs by {found.largest:.1e}, more than {limit:g}"
        finding["problem"] = f"a training step disagrees with the reference: {why}"
    return {"finding": finding, "traps": _traps(name, backend)}


def _gpu(backend: Backend) -> str:
    """Return the GPUs that a framework can use, or the reason why it cannot use any."""
    found, build = backend.gpus(), backend.gpu_build()
    if found:
        return f"{', '.join(map(str, found))} ({build})"
    if build is None:
        return "none: this framework is built for CPUs only"
    if not backends.gpu_hardware():
        return f"none: built for {build}, but this machine has no GPU or no GPU driver"
    return f"none: built for {build}, but it cannot use the GPU or the driver of this machine"


def _traps(name: str, backend: Backend) -> list[str]:
    """Return the known problems on this machine, each with what alexnet does about it."""
    found = backends.framework(name).traps()
    if backend.gpu_build() is not None and not backends.gpu_hardware():
        found.append(
            "this is a GPU build, but there is no GPU driver; it runs on the CPU, and a CPU build needs "
            "less disk space"
        )
    return found
