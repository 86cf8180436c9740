"""The steps of a run: each with its learning rate and its dropout masks."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from alexnet.backends.dropout_masks import MaskedNet, has_dropout
from alexnet.backends.nets import BoundNet
from alexnet.backends.schedules import Schedule
from alexnet.backends.world import ALONE, World
from alexnet.errors import RunError


def check_momentum(momentum: object, nesterov: object) -> None:
    """Raise RunError unless ``momentum`` is in [0, 1), and above 0 if ``nesterov`` is True."""
    if not isinstance(momentum, Real) or not 0 <= float(momentum) < 1:
        raise RunError(f"momentum must be a number of at least 0 and below 1, got {momentum!r}")
    if not isinstance(nesterov, bool):
        raise RunError(f"nesterov must be True or False, got {nesterov!r}")
    if nesterov and not momentum:
        raise RunError(f"nesterov=True needs a momentum above 0, got {momentum!r}")


class Steps:
    """Takes the training steps of a run. Before each step, sets the learning rate and the masks.

    ``mask_seed``: the seed of shared dropout masks; None: the framework draws its own masks. ``epoch``: the
    number of the first epoch, which is above 0 for a resumed run. ``precision``: as
    `alexnet.backends.precision.choose_precision` returns it. ``world``: the processes of the run; all of
    them take the same steps. ``sync_batch_norm``: batch normalisation uses the statistics of the whole
    batch, not of the rows of each process. Raises RunError if the framework has no layer for that.
    """

    def __init__(
        self,
        net: BoundNet,
        schedule: Schedule,
        momentum: float = 0.0,
        mask_seed: int | None = None,
        epoch: int = 0,
        nesterov: bool = False,
        precision: str = "float32",
        world: World = ALONE,
        sync_batch_norm: bool = False,
    ) -> None:
        self.world = world
        self.net, self.native, self.masked = net, net.native, None
        if mask_seed is not None and has_dropout(net):
            self.masked = MaskedNet(net, mask_seed)
            self.native = self.masked.native
        self.schedule, self.precision = schedule, precision
        # After resuming, the momentum buffers are scaled with the learning rate of the last step.
        lr = (
            schedule.at(epoch - 1, (schedule.steps_per_epoch or 1) - 1)
            if epoch
            else schedule.at(0, 0)
        )
        with net.backend.computing_in(
            self.native, precision
        ):  # may change the layout of the weights
            kind: Any = world.engine.Trainer if world.engine else net.backend.Trainer
            self.trainer = kind(self.native, lr, momentum, nesterov=nesterov)
        if world.engine is not None and sync_batch_norm:
            self.trainer.synchronise_norms()
        self.lr = lr
        self.start_epoch(epoch)

    def start_epoch(self, number: int) -> None:
        """Start an epoch. Its number decides the learning rates and the masks of its steps."""
        self.epoch, self.number = number, 0

    def draw_masks(self, batch_size: int) -> None:
        """Draw the masks of the next step, if the run uses shared masks."""
        if self.masked is not None:
            rows, _ = self.world.rows(batch_size)
            self.masked.draw_masks(self.epoch, self.number, batch_size, rows)

    def step(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Take one step (see `alexnet.backends.interface.Trainer`).

        ``X``: the rows of this process (`World.rows`). ``y``: the labels of the whole batch. The results
        are those of the rows.
        """
        lr = self.schedule.at(self.epoch, self.number)
        if lr != self.lr:
            self.trainer.set_lr(lr)
            self.lr = lr
        self.draw_masks(len(y))
        self.number += 1
        with self.net.backend.computing_in(self.native, self.precision):
            if self.world.engine is None:
                return self.trainer.step(X, y)
            rows, share = self.world.rows(len(y))
            with self.world.reporting_faults():
                loss, hits = self.trainer.step(X, y[rows], share)
            return (loss, hits) if share else (loss * 0, hits * 0)

    def read(self, scalars: Sequence[Any]) -> list[float]:
        """Return the values of scalars from `step`, in one transfer from the device."""
        return self.net.backend.read(scalars)
