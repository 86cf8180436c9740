"""The loops of the chapter on softmax regression, where loss and updater are the reader's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from alexnet import backends
from alexnet.backends import BoundNet, Stepper
from alexnet.book.plots import run_display, show_images
from alexnet.book.tools import get_fashion_mnist_labels
from alexnet.train import epochs_on, new_history
from alexnet.training.loop import Batches, Run, fraction_right, num_batches
from alexnet.training.settings import check_num_epochs


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
        return fraction_right(partial(self.predict, net), data_iter)

    def evaluate_on(self, net: Any, data_iter: Batches, device: Any) -> float:
        """`evaluate` with the batches put on a device; the net stays where it is."""
        backend = backends.load(self.name)
        there = BoundNet(net, backend, backends.resolve_device(backend, device))
        return self.evaluate(net, epochs_on(data_iter, there)(0))

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
        bound = BoundNet(net, backend, backend.default_device())
        history = new_history(bound, (train_iter, test_iter), **settings)
        return Run(bound, self.trainer(net, loss, updater), history)
