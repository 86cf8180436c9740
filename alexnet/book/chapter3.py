"""The functions of the chapter on softmax regression, where the reader gives loss and updater.

All four columns share them. The framework is found from the net's class; for a plain function of X, from a
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from alexnet import backends
from alexnet.backends import Backend, BoundNet
from alexnet.book.plots import run_display, show_images
from alexnet.book.tools import get_fashion_mnist_labels
from alexnet.errors import DataError
from alexnet.train import epochs_on, new_history
from alexnet.training.loop import NO_BATCHES, Batches, Run, fraction_right, num_batches
from alexnet.training.settings import check_num_epochs

Step = Callable[[Any, Any, Any, Any, Any], tuple[float, float]]

STEPS: dict[str, Step] = {}
"""By backend: one training step with the reader's net, loss and updater. Each column registers its own."""


def register_step(name: str) -> Callable[[Step], Step]:
    """A decorator that makes a function the step of that column: ``step(net, loss, updater, X, y)``.

    It returns the summed loss and the number of right answers, from before the step.
    """

    def enter(step: Step) -> Step:
        STEPS[name] = step
        return step

    return enter


def evaluate_accuracy(net: Any, data_iter: Batches) -> float:
    """The share of examples in [0, 1] that a net, or a function of X, classifies rightly."""
    return fraction_right(lambda X: _scores(net, X), data_iter)


def evaluate_accuracy_gpu(net: Any, data_iter: Batches, device: Any = None) -> float:
    """`evaluate_accuracy` with the batches put on a device first; by default where the net is."""
    if backends.owner(net) is None:
        batches = iter(data_iter)
        first = _first(batches, "test")
        backend, device = _backend_of(net, first), "cpu" if device is None else device
        data_iter = chain([first], batches)
    else:
        backend = backends.backend_of(net)
        device = backend.device_of(net) if device is None else device
    there = BoundNet(net, backend, backends.resolve_device(backend, device))
    return evaluate_accuracy(net, epochs_on(data_iter, there)(0))


def train_epoch_ch3(net: Any, train_iter: Batches, loss: Any, updater: Any) -> tuple[float, float]:
    """One epoch of training. Returns the mean loss and the accuracy of its examples.

    ``net``: a net, or a function of X. ``loss``: a function of (y_hat, y) that gives the loss of each
    example (B,), or their mean; in TensorFlow, a Keras loss works too. ``updater``: an optimizer (MXNet: a
    `gluon.Trainer`), or a function of the batch size (TensorFlow: an `Updater`).
    """
    batches = iter(train_iter)
    first = _first(batches, "training")
    run = _new_run(net, (train_iter, ()), loss, updater, first)
    return run.train_on(chain([first], batches))


def train_ch3(
    net: Any, train_iter: Batches, test_iter: Batches, loss: Any, num_epochs: int, updater: Any
) -> None:
    """Train as `train_epoch_ch3` does for some epochs; shows loss and accuracies."""
    check_num_epochs(num_epochs)
    batches = iter(train_iter)
    first = _first(batches, "training")
    run = _new_run(net, (train_iter, test_iter), loss, updater, first, num_epochs=num_epochs)
    run.epochs(
        num_epochs,
        num_batches(train_iter),
        lambda number: iter(train_iter) if number else chain([first], batches),
        lambda _: evaluate_accuracy(net, test_iter),
        run_display(),
    )


def predict_ch3(net: Any, test_iter: Batches, n: int = 6) -> None:
    """Show the first n test images with their labels, and below them the predictions."""
    X, y = next(iter(test_iter))
    predicted = backends.to_numpy(_scores(net, X)).argmax(axis=1)
    names = (get_fashion_mnist_labels(labels) for labels in (y, predicted))
    titles = [f"{true}\n{guess}" for true, guess in zip(*names, strict=True)]
    show_images(backends.to_numpy(X)[:n], 1, n, titles)


def _scores(net: Any, X: Any) -> Any:
    """What a net, or a plain function, gives for a batch: (B, classes)."""
    return net(X) if backends.owner(net) is None else backends.backend_of(net).predict(net, X)


def _first(batches: Iterator[tuple[Any, Any]], which: str) -> tuple[Any, Any]:
    """The first batch. Raises DataError if there is none."""
    first = next(batches, None)
    if first is None:
        raise DataError(NO_BATCHES.format(which))
    return first


def _backend_of(net: Any, batch: tuple[Any, Any]) -> Backend:
    """The backend of a net; for a plain function, the backend of a batch."""
    if backends.owner(net) is not None:
        return backends.backend_of(net)
    X, _ = batch
    name = backends.owner_of_tensor(X)
    if name is None:
        raise DataError(f"batches must be tensors of a framework, not {type(X).__name__}")
    return backends.load(name)


class _ReadersTrainer:
    """Steps with a loss and an updater of the reader's own."""

    def __init__(self, step: Step, net: Any, loss: Any, updater: Any) -> None:
        self.own_step, self.net, self.loss, self.updater = step, net, loss, updater

    def step(self, X: Any, y: Any) -> tuple[float, float]:
        return self.own_step(self.net, self.loss, self.updater, X, y)


def _new_run(
    net: Any,
    loaders: tuple[Batches, Batches],
    loss: Any,
    updater: Any,
    batch: tuple[Any, Any],
    **settings: Any,
) -> Run:
    backend = _backend_of(net, batch)
    bound = BoundNet(net, backend, backend.default_device())
    history = new_history(bound, loaders, **settings)
    return Run(bound, _ReadersTrainer(STEPS[backend.NAME], net, loss, updater), history)
