"""The loops of the chapter on softmax regression, where loss and updater are the reader's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from alexnet import backends
from alexnet.book.plots import run_display, show_images
from alexnet.book.tools import get_fashion_mnist_labels
from alexnet.train import (
    Batches,
    Run,
    Stepper,
    accuracy,
    check_num_epochs,
    epochs_on,
    new_history,
    num_batches,
)


class Chapter3:
    """Training with a loss and an updater of the reader's own, by the one loop of `alexnet.train`.

    ``trainer(net, loss, updater)`` makes what takes one step in the framework; ``predict(net, X)``
    gives the scores (B, classes) of a net, or of a plain function that stands for one.
    """

    def __init__(
        self,
        name: str,
        trainer: Callable[[Any, Any, Any], Stepper],
        predict: Callable[[Any, Any], Any],
    ) -> None:
        self.name, self.trainer, self.predict = name, trainer, predict

    def train(
        self,
        net: Any,
        train_iter: Batches,
        test_iter: Batches,
        loss: Any,
        num_epochs: int,
        updater: Any,
    ) -> None:
        check_num_epochs(num_epochs)
        run = self._run(net, train_iter, test_iter, loss, updater, num_epochs=num_epochs)
        run.epochs(
            num_epochs,
            num_batches(train_iter),
            lambda _: iter(train_iter),
            lambda _: self.evaluate(net, test_iter),
            run_display(),
        )

    def train_epoch(
        self, net: Any, train_iter: Batches, loss: Any, updater: Any
    ) -> tuple[float, float]:
        return self._run(net, train_iter, (), loss, updater).train_on(iter(train_iter))

    def evaluate(self, net: Any, data_iter: Batches) -> float:
        return accuracy(partial(self.predict, net), data_iter)

    def evaluate_on(self, net: Any, data_iter: Batches, device: Any) -> float:
        """`evaluate` with the batches put on a device; the net stays where it is."""
        backend = backends.load(self.name)
        where = backends.resolve_device(backend, self.name, device)
        return self.evaluate(net, epochs_on(data_iter, self.name, backend, where)(0))

    def show_predictions(self, net: Any, test_iter: Batches, n: int) -> None:
        X, y = next(iter(test_iter))
        predicted = backends.to_numpy(self.predict(net, X)).argmax(axis=1)
        names = (get_fashion_mnist_labels(labels) for labels in (y, predicted))
        titles = [f"{true}\n{guess}" for true, guess in zip(*names, strict=True)]
        show_images(backends.to_numpy(X)[:n], 1, n, titles)

    def _run(
        self,
        net: Any,
        train_iter: Batches,
        test_iter: Batches,
        loss: Any,
        updater: Any,
        **settings: Any,
    ) -> Run:
        backend = backends.load(self.name)
        named = (getattr(net, "__name__", type(net).__name__), net)
        device = backend.home()
        history = new_history(
            named, (self.name, backend), device, (train_iter, test_iter), **settings
        )
        return Run(backend, device, self.trainer(net, loss, updater), history)
