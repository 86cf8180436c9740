"""The peak of NumPy's matrix product, and the memory bandwidth of a copy, on the CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from alexnet.backends import usable_cores
from alexnet.bench.peaks.clock import fastest
from alexnet.errors import RunError

SIZE = 2048  # rows and columns of the matrices
COPIED = 2**26  # float32 numbers in an array: 268 MB, more than the caches of processors hold


def peaks(device: str | None, precision: str) -> dict[str, float]:
    """Return the peak of the matrix product in FLOP/s. Raises RunError for all but float32."""
    if precision != "float32":
        raise RunError(f"NumPy can measure a peak in float32 only, got {precision}")
    a, b = np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)
    out = np.empty_like(a)
    return {"matmul": 2 * SIZE**3 / fastest(lambda: np.matmul(a, b, out))}


def bandwidth(device: str | None) -> dict[str, float]:
    """Return the memory bandwidth of a copy in bytes/s: one array is read, another is written.

    NumPy copies in one thread, so each core copies its own part of the array.
    """
    cores = usable_cores()
    old, new = (np.array_split(np.ones(COPIED, np.float32), cores) for _ in "ab")
    with ThreadPoolExecutor(cores) as pool:
        seconds = fastest(lambda: list(pool.map(np.copyto, new, old)))
    return {"copy": 2 * 4 * COPIED / seconds}
