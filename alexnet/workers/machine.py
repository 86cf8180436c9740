"""Describes the machine of a run in one line."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from alexnet.backends.mxnet_startup import usable_cores


def describe() -> str:
    """Return the processor, cores that this process may use, memory, NVIDIA GPUs and operating system.

    >>> import re
    >>> bool(re.search(r", [0-9]+ of [0-9]+ cores, ", describe()))
    True
    """
    parts = [_processor(), f"{usable_cores()} of {os.cpu_count()} cores"]
    memory = _memory()
    if memory is not None:
        parts.append(f"{memory / 1e9:.0f} GB")
    return ", ".join(
        [*parts, *_gpus(), f"{platform.system()} {platform.release()} {platform.machine()}"]
    )


def _memory() -> int | None:
    """Return the memory of this machine in bytes, or None if it is unknown."""
    if hasattr(os, "sysconf"):  # not on Windows
        with suppress(OSError, ValueError):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(ImportError):  # psutil may be missing in a worker's environment
        import psutil

        return psutil.virtual_memory().total
    return None


def _gpus() -> list[str]:
    """Return the names of the NVIDIA GPUs, from the driver. The list is empty without a driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode == 0:
            return done.stdout.strip().splitlines()
    return []


def _processor() -> str:
    """Return the name of the processor."""
    with suppress(OSError):
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True).stdout.strip()
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
