"""Data-parallel training: each framework's own engine, behind one interface.

An engine starts several processes. Each process has the whole net, computes some rows of every batch, and
the engine adds up the gradients. `alexnet.backends.world` decides which rows; a file here joins the
processes and reduces a step. A framework whose registry entry has a ``place`` needs a file here with the
names of `Engine`.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np

from alexnet.backends.entry import Place
from alexnet.spec.weights import Weights


class ReducedTrainer(Protocol):
    """A `alexnet.backends.Trainer` whose step every process of the run takes at the same time."""

    velocity_scale: float

    def __init__(self, net: Any, lr: float, momentum: float, nesterov: bool = False) -> None: ...

    def step(self, X: Any, y: Any, share: float) -> tuple[Any, Any]:
        """Take one step. Return the summed loss and the hits of this process's rows, as scalars.

        ``X``, ``y``: this process's rows of the batch, at least one. ``share``: their part of the whole
        batch, in [0, 1]. The gradient is the sum over all processes of ``share`` times the gradient of the
        mean loss of the rows. So it is the gradient of the mean loss of the whole batch. A process whose
        share is 0 takes part with a gradient of zero.
        """

    def synchronise_norms(self) -> None:
        """Make batch normalisation use the statistics of the whole batch, by the framework's own layer.

        The layer is in the net only during a step, and has the tensors of the net's own layer. Later steps
        raise RunError, in all processes, for a batch that the layer cannot count right. Raises RunError if
        the framework has no such layer, or none for the net's device.
        """

    def set_lr(self, lr: float) -> None: ...

    def get_velocity(self) -> Weights: ...

    def set_velocity(self, velocity: Weights) -> None: ...


class Engine(Protocol):
    """The names that an engine's file provides, in this order."""

    def join(self, place: Place, device: Any, seconds: float) -> None:
        """Join the other processes, once. Nothing happens if this process has joined them.

        ``device``: the device of the net; None if this process has no net yet (`Framework.joins_first`).
        ``seconds``: how long this process waits for the others, now and in every later step. Raises
        RunError, which names the processes that did not come, or the port that is taken.
        """

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over all processes: float64 (n,). Every process gives the same n."""

    def is_fault(self, error: Exception) -> bool:
        """Return whether an error of `total` or of a step means that another process is lost."""

    def lost(self) -> list[str]:
        """Return the processes that ended or do not answer, after a fault: ``process 1``, or the name of a
        helper, such as ``MXNet's server``. Empty if that is unknown.
        """

    @property
    def Trainer(self) -> type[ReducedTrainer]:
        """The class that takes the steps of a run on several processes."""


def batch_size(rows: int, share: float) -> int:
    """Return the number of examples of a whole batch. ``rows``, ``share``: as a step gets them."""
    return round(rows / share) if share else rows


def load(name: str) -> Engine:
    """Return the engine of a backend that is loaded and whose entry has a ``place``."""
    engine: Any = importlib.import_module(f"alexnet.backends.engines.{name}")
    return engine
