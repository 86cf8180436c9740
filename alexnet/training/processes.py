"""What the processes of a data-parallel run compare before the first step, and average after an epoch."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from alexnet.backends import BoundNet, is_gpu
from alexnet.backends.world import World
from alexnet.spec import STATISTICS
from alexnet.training.history import History


def facts_of(history: History, net: BoundNet) -> dict[str, Any]:
    """Return what must be the same in all processes before they read a checkpoint."""
    layers = [row.layer.to_dict() for row in net.table.rows] if net.table is not None else None
    kind = "GPU" if is_gpu(net.backend, net.device) else "CPU"
    found = {"model": history.model, "layers": layers, "device": kind}
    return found | history.settings | {f"version of {k}": v for k, v in history.versions.items()}


def require_same_start(world: World, net: BoundNet, epochs: int, labels: np.ndarray) -> bool:
    """Raise RunError unless all processes have the same weights, epochs and first batch.

    Return whether the net has running statistics.
    """
    weights, found = net.backend.get_weights(net.native), 0
    for array in weights.values():
        found = zlib.crc32(array.tobytes(), found)
    facts = {"finished epochs": epochs, "first labels": labels.tolist(), "initial weights": found}
    world.agree(facts)
    return any(key.endswith(STATISTICS) for key in weights)


def average_statistics(world: World, net: BoundNet) -> None:
    """Give the net of every process the mean of the running statistics of all processes."""
    weights = net.backend.get_weights(net.native)
    for key, array in weights.items():
        if key.endswith(STATISTICS):
            mean = np.asarray(world.total(array.ravel().tolist())) / world.size
            weights[key] = mean.reshape(array.shape).astype(array.dtype)
    net.backend.set_weights(net.native, weights)
