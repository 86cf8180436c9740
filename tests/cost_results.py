"""A measurement of a net's layers, written by hand."""

from __future__ import annotations

from dataclasses import replace

from alexnet.bench.limits import Limits
from alexnet.costs.layers import PASSES
from alexnet.costs.measure import Measurement


def measured(cost, seconds=None, peak=100e9, bandwidth=10e9):
    """A measurement written by hand: 10 FLOP for each byte, and so many seconds for every pass."""
    limits = Limits({"float32": {"matmul": [peak / 2, peak]}}, {"copy": [bandwidth]})
    found = Measurement("numpy", "cpu", "1.2.3", "cpu", "a machine", limits)
    for layer in cost.layers if seconds else ():
        found.add(layer.row.index, dict.fromkeys(PASSES, seconds))
    return replace(cost, measured=found)
