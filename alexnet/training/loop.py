"""The training loop: steps, epochs, and their timing."""

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
    """The training loop of one run, which also measures the time of each step."""

    def __init__(self, net: BoundNet, trainer: Stepper, history: History) -> None:
        self.net, self.trainer, self.history = net, trainer, history
        self.seconds = 0.0  # training time in total

    def epochs(
        self,
        num_epochs: int,
        batches_per_epoch: int | None,
        train: Callable[[int], Iterator[tuple[Any, Any]]],
        test: Callable[[int], float],
        callback: Callback,
        keep: Callable[[History], None] | None = None,
    ) -> None:
        """Train and test for each epoch that the history does not have yet.

        ``train(n)`` returns the batches of epoch n, counted from 0. ``test(n)`` returns the test accuracy
        after it. ``keep(history)`` is called after each epoch.
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
        """Train on these batches. Returns the mean loss and accuracy of the examples.

        Raises DataError if there are no batches.
        """
        history = self.history
        first = len(history.steps)
        started = time.perf_counter()
        for X, y in batches:
            loss_sum, correct = self.trainer.step(X, y)
            self.net.backend.synchronize(self.net.device)
            seconds = time.perf_counter() - started
            history.record_step(len(y), float(loss_sum), int(correct), seconds)
            if not self.seconds:  # first step since start or resume: warm-up
                history.warmup_seconds = seconds
                history.timed_examples, history.timed_seconds = 0, 0.0
            else:
                history.timed_examples += len(y)
                history.timed_seconds += seconds
            self.seconds += seconds
            if callback is not None:
                callback.step(history)
            started = time.perf_counter()
        steps = history.steps[first:]
        if not steps:
            raise DataError(NO_BATCHES.format("training"))
        examples = sum(s["examples"] for s in steps)
        loss, accuracy = (sum(s[k] * s["examples"] for s in steps) for k in ("loss", "accuracy"))
        return loss / examples, accuracy / examples


def num_batches(batches: Batches) -> int | None:
    """Return the number of batches in an epoch, or None if it is unknown."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a tf.data.Dataset of unknown length
        return None


def fraction_right(predict: Callable[[Any], Any], batches: Batches) -> float:
    """Return the fraction of correct predictions, in [0, 1]. Raises DataError if there are no batches."""
    correct = total = 0
    for X, y in batches:
        logits, labels = (backends.to_numpy(t) for t in (predict(X), y))  # (B, classes), (B,)
        correct += int((logits.argmax(axis=1) == labels.reshape(-1)).sum())
        total += len(labels)
    if not total:
        raise DataError(NO_BATCHES.format("test"))
    return correct / total
