"""Training: steps, epochs, and the clock that measures them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from alexnet import backends
from alexnet.backends import BoundNet, Stepper
from alexnet.errors import DataError
from alexnet.training.callbacks import Callback
from alexnet.training.history import Epoch, History

Batches = Iterable[tuple[Any, Any]]

NO_BATCHES = "the {} set gives no batches (a generator can be iterated only once)"


class Run:
    """The loop over steps and epochs, and its clock."""

    def __init__(self, net: BoundNet, trainer: Stepper, history: History) -> None:
        self.net, self.trainer, self.history = net, trainer, history
        self.seconds = 0.0  # of training, in total

    def epochs(
        self,
        num_epochs: int,
        batches_per_epoch: int | None,
        train: Callable[[int], Iterator[tuple[Any, Any]]],
        test: Callable[[int], float],
        callback: Callback,
        keep: Callable[[History], None] | None = None,
    ) -> None:
        """For each epoch that the history does not have yet: train, then test.

        ``train`` and ``test`` take the number of the epoch. ``keep`` is called after each.
        """
        history = self.history
        callback.begin(history, num_epochs * batches_per_epoch if batches_per_epoch else None)
        try:
            for number in range(len(history.epochs), num_epochs):
                before = self.seconds
                loss, train_accuracy = self.train_on(train(number), callback)
                seconds = self.seconds - before
                history.epochs.append(Epoch(loss, train_accuracy, test(number), seconds))
                if keep is not None:
                    keep(history)
                callback.epoch(history)
        finally:
            callback.end(history)

    def train_on(
        self, batches: Iterator[tuple[Any, Any]], callback: Callback | None = None
    ) -> tuple[float, float]:
        """Train on these batches. Returns the mean loss and accuracy of their examples."""
        history = self.history
        begun = len(history.steps)
        clock = time.perf_counter()
        for X, y in batches:
            loss_sum, correct = self.trainer.step(X, y)
            self.net.backend.synchronize(self.net.device)
            seconds = time.perf_counter() - clock
            history.record_step(len(y), float(loss_sum), int(correct), seconds)
            if not self.seconds:  # warm-up of this part; the speed counts from the next step
                history.warmup_seconds = seconds
                history.timed_examples, history.timed_seconds = 0, 0.0
            else:
                history.timed_examples += len(y)
                history.timed_seconds += seconds
            self.seconds += seconds
            if callback is not None:
                callback.step(history)
            clock = time.perf_counter()
        steps = history.steps[begun:]
        if not steps:
            raise DataError(NO_BATCHES.format("training"))
        examples = sum(s["examples"] for s in steps)
        loss, right = (sum(s[k] * s["examples"] for s in steps) for k in ("loss", "accuracy"))
        return loss / examples, right / examples


def num_batches(batches: Batches) -> int | None:
    """The number of batches in an epoch, or None if it is not known."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a tf.data.Dataset that cannot tell
        return None


def fraction_right(predict: Callable[[Any], Any], batches: Batches) -> float:
    """The fraction of correct predictions, in [0, 1]."""
    right = total = 0
    for X, y in batches:
        logits, labels = (backends.to_numpy(t) for t in (predict(X), y))
        right += int((logits.argmax(axis=1) == labels.reshape(-1)).sum())
        total += len(labels)
    if not total:
        raise DataError(NO_BATCHES.format("test"))
    return right / total
