"""Writes a training run to a checkpoint after every epoch, and resumes from it."""

from __future__ import annotations

import os
from itertools import zip_longest

import numpy as np

from alexnet.backends import BoundNet, Trainer
from alexnet.errors import CheckpointError, RunError
from alexnet.spec import STATISTICS, ResolvedNet
from alexnet.training.checkpoint import check_predictions
from alexnet.training.checkpoint_file import Checkpoint
from alexnet.training.history import History

MAY_DIFFER = ("num_epochs", "reinit")  # settings of a run in its second part


class RunFile:
    """The file that a run is kept in: what it goes on from, and where it stands after each epoch.

    Raises CheckpointError for a net that was not built here, or was changed since, and so could not be
    built again. To find that out, random numbers of the framework's are drawn.
    """

    def __init__(self, path: str | os.PathLike[str], net: BoundNet) -> None:
        if net.table is None:
            raise CheckpointError(
                f"this {type(net.native).__name__} was not built here, so no checkpoint can be kept of it; "
                "alexnet.build, or the name of a net, gives one of which it can"
            )
        self.path, self.table = path, net.table
        check_predictions(net, Checkpoint(net.table, net.backend.get_weights(net.native)))

    def read_run(self, history: History) -> Checkpoint:
        """Read where the run stands that goes on under ``history``, and enter in it what has been.

        Raises CheckpointError if the file is not in order, or is of another run: another net, other
        images, other settings.
        """
        found = Checkpoint.read(self.path)
        past = found.history
        if past is None:
            raise CheckpointError(
                f"{self.path}: holds a net but no training to go on with; alexnet.load gives the "
                "net, and train_ch6(…, reinit=False) trains it further"
            )
        self._require_same(found.net, past, history)
        history.versions = past.versions | history.versions
        history.epochs, history.steps = past.epochs, past.steps
        history.warmup_seconds = past.warmup_seconds
        history.timed_examples, history.timed_seconds = past.timed_examples, past.timed_seconds
        return found

    def _require_same(self, table: ResolvedNet, past: History, history: History) -> None:
        kept, own = ([row.layer.to_dict() for row in t.rows] for t in (table, self.table))
        if (table.name, table.input_shape) != (self.table.name, self.table.input_shape):
            raise CheckpointError(
                f"{self.path}: is of {table.name} at {table.input_shape}; "
                f"this run is of {self.table.name} at {self.table.input_shape}"
            )
        for index, (then, now) in enumerate(zip_longest(kept, own)):
            if then != now:
                raise CheckpointError(
                    f"{self.path}: {table.name} has another layer {index}: {then or 'none'} there, "
                    f"{now or 'none'} in this run"
                )
        keys = dict.fromkeys([*past.settings, *history.settings])
        then, now = (
            {k: h.settings.get(k) for k in keys if k not in MAY_DIFFER} for h in (past, history)
        )
        if then != now:
            differ = [k for k in then if then[k] != now[k]]
            was, wanted = (", ".join(f"{k} {s[k]}" for k in differ) for s in (then, now))
            raise CheckpointError(f"{self.path}: its run has {was}; this one has {wanted}")
        done, wanted = len(past.epochs), history.settings["num_epochs"]
        if done > wanted:
            raise CheckpointError(
                f"{self.path}: has {done} epochs behind it, more than num_epochs {wanted}"
            )

    def write(self, net: BoundNet, trainer: Trainer, history: History) -> None:
        """Write the weights, the momentum buffers and the history so far.

        Raises RunError, leaving the file as it was, if weights are no longer finite.
        """
        weights = net.backend.get_weights(net.native)
        lost = [key for key, w in weights.items() if not np.isfinite(w).all()]
        if lost and not history.epochs:
            raise RunError(f"{history.model}: {lost[0]} is not finite before the first step")
        if lost:
            raise RunError(
                f"{history.model}: {lost[0]} is not finite after epoch {len(history.epochs)}, so "
                f"the training stops; {self.path} keeps the epoch before"
            )
        velocity, scale = trainer.get_velocity(), trainer.velocity_scale
        if velocity:  # layers that the user has frozen have none
            learned = (key for key in weights if not key.endswith(STATISTICS))
            velocity = {key: velocity.get(key, np.zeros_like(weights[key])) for key in learned}
        Checkpoint(self.table, weights, history, velocity, scale).write(self.path)


def restore(found: Checkpoint, net: BoundNet, trainer: Trainer) -> None:
    """Restore weights and momentum buffers from a checkpoint."""
    net.backend.set_weights(net.native, found.weights)
    if found.velocity:
        # in the framework that they come from it is one, and nothing is rounded
        scale = trainer.velocity_scale / found.velocity_scale
        trainer.set_velocity({k: v * np.asarray(scale, v.dtype) for k, v in found.velocity.items()})
