"""Checkpoints of a training run: written after every epoch, and read to resume the run."""

from __future__ import annotations

import os
from itertools import chain, zip_longest

import numpy as np

from alexnet.backends import BoundNet, Trainer
from alexnet.errors import CheckpointError, RunError
from alexnet.spec import STATISTICS, ResolvedNet
from alexnet.training.checkpoint import check_predictions
from alexnet.training.checkpoint_file import Checkpoint
from alexnet.training.history import History

MAY_DIFFER = ("num_epochs", "reinit", "processes")  # settings that may change when a run resumes
DEFAULTS = {
    "schedule": "constant",
    "shared_dropout": False,
    "precision": "float32",
    "nesterov": False,
    "flip": False,
    "crop": 0,
    "sync_batch_norm": False,
}
"""Settings that old files do not have."""


class RunFile:
    """The checkpoint file of a run, which the run writes after each epoch and can resume from.

    Raises CheckpointError if alexnet did not build the net, because `load` could not build it again.
    """

    def __init__(self, path: str | os.PathLike[str], net: BoundNet) -> None:
        if net.table is None:
            raise CheckpointError(
                f"this {type(net.native).__name__} was not built by alexnet and cannot be checkpointed; "
                "train a net that alexnet.build made, or give the name of a net"
            )
        self.path, self.table = path, net.table

    def require_unchanged(self, net: BoundNet) -> None:
        """Raise CheckpointError if the net was changed after alexnet built it.

        The check draws random numbers from the framework's generator.
        """
        check_predictions(net, Checkpoint(self.table, net.backend.get_weights(net.native)))

    def read_run(self, history: History) -> Checkpoint:
        """Read the checkpoint, and copy its epochs, steps and times into ``history``.

        Raises CheckpointError if the file is missing or damaged, or if it belongs to another run, with
        another net, other images or other settings.
        """
        checkpoint = Checkpoint.read(self.path)
        past = checkpoint.history
        if past is None:
            raise CheckpointError(
                f"{self.path}: has a net but no training run to resume; to train this net, read it with "
                "alexnet.load and give it to train_ch6(…, reinit=False)"
            )
        self._require_same_run(checkpoint.net, past, history)
        history.versions = past.versions | history.versions
        history.epochs, history.steps = past.epochs, past.steps
        history.warmup_seconds = past.warmup_seconds
        history.timed_examples, history.timed_seconds = past.timed_examples, past.timed_seconds
        return checkpoint

    def _require_same_run(self, table: ResolvedNet, past: History, history: History) -> None:
        """Raise CheckpointError unless the checkpoint's run and this run have the same net and settings."""
        saved_layers, own_layers = (
            [row.layer.to_dict() for row in t.rows] for t in (table, self.table)
        )
        if (table.name, table.input_shape) != (self.table.name, self.table.input_shape):
            raise CheckpointError(
                f"{self.path}: has the net {table.name} for inputs of shape {table.input_shape}; "
                f"this run has {self.table.name} for inputs of shape {self.table.input_shape}"
            )
        for index, (saved, own) in enumerate(zip_longest(saved_layers, own_layers)):
            if saved != own:
                raise CheckpointError(
                    f"{self.path}: layer {index} of {table.name} is {saved or 'missing'} in the checkpoint "
                    f"and {own or 'missing'} in this run"
                )
        constant = history.settings["schedule"] == "constant"
        may_differ = [*MAY_DIFFER[not constant :]]  # one-cycle depends on num_epochs
        settings = [DEFAULTS | h.settings for h in (past, history)]
        if any("processes" not in s for s in settings):  # one process always has the whole batch
            may_differ.append("sync_batch_norm")
        keys = [k for k in dict.fromkeys(chain(*settings)) if k not in may_differ]
        saved, own = ({k: s.get(k) for k in keys} for s in settings)
        if saved != own:
            differ = [k for k in saved if saved[k] != own[k]]
            before, now = (", ".join(f"{k} {s[k]}" for k in differ) for s in (saved, own))
            raise CheckpointError(f"{self.path}: was trained with {before}; this run has {now}")
        done, num_epochs = len(past.epochs), history.settings["num_epochs"]
        if done > num_epochs:
            raise CheckpointError(
                f"{self.path}: has {done} epochs; num_epochs must be at least {done}, got {num_epochs}"
            )

    def write(self, net: BoundNet, trainer: Trainer, history: History) -> None:
        """Write the weights, the momentum buffers and the history so far.

        Raises RunError if a weight is not finite. The file then stays unchanged.
        """
        weights = net.backend.get_weights(net.native)
        not_finite = [key for key, w in weights.items() if not np.isfinite(w).all()]
        if not_finite and not history.epochs:
            raise RunError(f"{history.model}: {not_finite[0]} is not finite before the first step")
        if not_finite:
            raise RunError(
                f"{history.model}: {not_finite[0]} is not finite after epoch {len(history.epochs)}, "
                f"so the training stops; {self.path} keeps the state before this epoch"
            )
        velocity = (
            trainer.get_velocity() if history.steps else {}
        )  # before the first step, all are zero
        if velocity:  # frozen layers have no momentum buffers; the file gets zeros
            learned = (key for key in weights if not key.endswith(STATISTICS))
            velocity = {key: velocity.get(key, np.zeros_like(weights[key])) for key in learned}
        scale = trainer.velocity_scale
        Checkpoint(self.table, weights, history, velocity, scale).write(self.path)


def restore_velocity(found: Checkpoint, trainer: Trainer) -> None:
    """Restore the momentum buffers from a checkpoint."""
    if found.velocity:
        # Within one framework the ratio is exactly 1, so nothing is rounded.
        scale = trainer.velocity_scale / found.velocity_scale
        trainer.set_velocity({k: v * np.asarray(scale, v.dtype) for k, v in found.velocity.items()})
