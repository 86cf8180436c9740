"""The training loop: steps, epochs, and their timing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

import numpy as np

from alexnet import backends
from alexnet.backends import BoundNet
from alexnet.backends.world import ALONE, World
from alexnet.errors import DataError
from alexnet.training.callbacks import Callback
from alexnet.training.history import Epoch, History

Batches = Iterable[tuple[Any, Any]]

NO_BATCHES = "the {} set gives no batches (a generator can be iterated only once)"


class Stepper(Protocol):
    """Takes the training steps of a run."""

    def step(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Take one step; return what `alexnet.backends.Trainer.step` returns."""

    def read(self, scalars: Sequence[Any]) -> Sequence[float]:
        """Return the values of scalars from `step`. This waits until the device has computed them."""


class Run:
    """The training loop of one run, which also measures the time of the steps.

    A read of a loss waits until the device has computed it, and meanwhile a GPU gets no new work. So losses
    and hits stay on the device. The loop reads them after the first step, then at most every
    ``READ_EVERY`` seconds, and at the end of the epoch. Steps that are read together share their time.

    In a data-parallel run, the read adds up the losses and hits of all processes. So all of them must read
    after the same step: the time since the last read decides how many steps come before the next one. The
    times are those of process 0.
    """

    READ_EVERY = 0.25  # seconds

    def __init__(
        self, net: BoundNet, trainer: Stepper, history: History, world: World = ALONE
    ) -> None:
        self.net, self.trainer, self.history, self.world = net, trainer, history, world
        self.seconds = 0.0  # training time in total
        self.pace = 1.0  # steps before the next read, in a data-parallel run

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
        unread: list[tuple[int, Any, Any]] = []  # examples, summed loss and hits of each step
        started = time.perf_counter()
        for X, y in batches:
            unread.append((len(y), *self.trainer.step(X, y)))
            if not self.seconds or self._is_due(len(unread), started):  # always after the warm-up
                self._read(unread, started, callback)
                started = time.perf_counter()
        if unread:
            self._read(unread, started, callback)
        steps = history.steps[first:]
        if not steps:
            raise DataError(NO_BATCHES.format("training"))
        examples = sum(s["examples"] for s in steps)
        loss, accuracy = (sum(s[k] * s["examples"] for s in steps) for k in ("loss", "accuracy"))
        return loss / examples, accuracy / examples

    def _is_due(self, steps: int, started: float) -> bool:
        if self.world.size > 1:
            return steps >= self.pace
        return time.perf_counter() - started >= self.READ_EVERY

    def _read(
        self, unread: list[tuple[int, Any, Any]], started: float, callback: Callback | None
    ) -> None:
        """Wait for the device, and move the unread steps to the history."""
        history = self.history
        examples, losses, hits = zip(*unread, strict=True)
        unread.clear()
        self.net.backend.synchronize(self.net.device)
        own = [*self.trainer.read(losses), *self.trainer.read(hits)]
        seconds = time.perf_counter() - started
        *sums, seconds = self.world.total([*own, 0.0 if self.world.rank else seconds])
        self.pace = self.READ_EVERY * len(examples) / seconds
        steps = zip(examples, sums[: len(examples)], sums[len(examples) :], strict=True)
        for n, loss_sum, correct in steps:
            history.record_step(n, loss_sum, int(correct), seconds * n / sum(examples))
        if not self.seconds:  # first step since start or resume: warm-up
            history.warmup_seconds = seconds
            history.timed_examples, history.timed_seconds = 0, 0.0
        else:
            history.timed_examples += sum(examples)
            history.timed_seconds += seconds
        self.seconds += seconds
        if callback is not None:
            callback.step(history)


def num_batches(batches: Batches) -> int | None:
    """Return the number of batches in an epoch, or None if it is unknown."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a tf.data.Dataset of unknown length
        return None


def fraction_right(
    predict: Callable[[Any], Any],
    batches: Batches,
    seen: Callable[[np.ndarray], None] | None = None,
    world: World = ALONE,
) -> float:
    """Return the fraction of correct predictions, in [0, 1]. Raises DataError if there are no batches.

    ``seen`` gets the logits (B, classes) of each batch. In a data-parallel run, the batches have the images
    of this process's rows and the labels of all rows. Each process predicts its rows; then ``seen`` gets
    the logits of all rows in every process, often of several batches after one another.
    """
    correct = total = 0
    predicted = ((logits, labels) for _, logits, labels in _predicted(predict, batches))
    for logits, labels in world.whole(predicted):
        correct += int((logits.argmax(axis=1) == labels).sum())
        total += len(labels)
        if seen is not None:
            seen(logits)
    if not total:
        raise DataError(NO_BATCHES.format("test"))
    return correct / total


def predictions(
    predict: Callable[[Any], Any], batches: Batches
) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield X, the logits (B, classes) and the labels (B,) of each batch. The last two are NumPy arrays.

    A batch is read after the next one was given to the device, so a GPU has work during the read. Raises
    DataError if there are no batches.
    """
    found = None
    for found in _predicted(predict, batches):
        yield found
    if found is None:
        raise DataError(NO_BATCHES.format("test"))


def _predicted(
    predict: Callable[[Any], Any], batches: Batches
) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield what `predictions` yields, also if there are no batches."""

    def read(X: Any, logits: Any, labels: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        return X, backends.to_numpy(logits), backends.to_numpy(labels).reshape(-1)

    unread = None
    for X, y in batches:
        predicted = X, predict(X), y
        if unread is not None:
            yield read(*unread)
        unread = predicted
    if unread is not None:
        yield read(*unread)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes: float64 (B, classes) from logits (B, classes).

    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    values = logits.astype(np.float64)
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))  # exp cannot overflow
    return exponentials / exponentials.sum(axis=1, keepdims=True)
