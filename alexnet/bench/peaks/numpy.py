"""The peak of NumPy's matrix product, on the CPU."""

from __future__ import annotations

import numpy as np

from alexnet.bench.peaks.clock import fastest
from alexnet.errors import RunError

SIZE = 2048  # rows and columns of the matrices


def peaks(device: str | None, precision: str) -> dict[str, float]:
    """Return the peak of the matrix product in FLOP/s. Raises RunError for all but float32."""
    if precision != "float32":
        raise RunError(f"NumPy can measure a peak in float32 only, got {precision}")
    a, b = np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)
    out = np.empty_like(a)
    return {"matmul": 2 * SIZE**3 / fastest(lambda: np.matmul(a, b, out))}
