"""The functions of the chapter on softmax regression, which take the reader's loss and updater."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from alexnet import backends
from alexnet.backends import Backend, BoundNet
from alexnet.book.plots import book_callback, show_images
from alexnet.book.tools import get_fashion_mnist_labels
from alexnet.train import check_num_epochs, epochs_on, new_history
from alexnet.training.loop import Batches, Run, fraction_right, num_batches


class Chapter3:
    """The functions of sections 3.6 and 3.7 for one framework. Each column exports its methods.

    ``step(net, loss, updater, X, y)`` takes a training step in the framework. It returns the summed loss
    and the number of correct predictions, both from before the step. ``predict(net, X)`` returns the
    scores (B, classes) of a net, or of a plain function of X.

    Source: https://zh.d2l.ai
    """

    def __init__(
        self,
        backend: Backend,
        step: Callable[[Any, Any, Any, Any, Any], tuple[float, float]],
        predict: Callable[[Any, Any], Any],
    ) -> None:
        self.backend, self.step, self.predict = backend, step, predict

    def evaluate_accuracy(self, net: Any, data_iter: Batches) -> float:
        """Return the fraction of examples, in [0, 1], that a net or function of X classifies correctly."""
        return fraction_right(partial(self.predict, net), data_iter)

    def evaluate_accuracy_gpu(self, net: Any, data_iter: Batches, device: Any = None) -> float:
        """Return `evaluate_accuracy` with the batches moved to a device.

        The default is the net's device, or the CPU for a function of X.
        """
        if device is None:
            is_net = backends.owner(net) == self.backend.ENTRY.name
            device = self.backend.device_of(net) if is_net else "cpu"
        bound = BoundNet(net, self.backend, backends.resolve_device(self.backend, device))
        return self.evaluate_accuracy(net, epochs_on(data_iter, bound)(0))

    def train_epoch_ch3(
        self, net: Any, train_iter: Batches, loss: Any, updater: Any
    ) -> tuple[float, float]:
        """Train for one epoch. Return the mean loss and the accuracy, in [0, 1], of its examples.

        ``net``: a net, or a function of X. ``loss``: a function of (y_hat, y) that returns the loss of each
        example (B,) or, except in MXNet, their mean. In TensorFlow a Keras loss also works. ``updater``: an
        optimizer (MXNet: a `gluon.Trainer`), or a function of the batch size (TensorFlow: an `Updater`).
        """
        return self._run(net, train_iter, (), loss, updater).train_on(iter(train_iter))

    def train_ch3(
        self,
        net: Any,
        train_iter: Batches,
        test_iter: Batches,
        loss: Any,
        num_epochs: int,
        updater: Any,
    ) -> None:
        """Train for ``num_epochs`` epochs, as `train_epoch_ch3` does, and show loss and accuracies."""
        check_num_epochs(num_epochs)
        self._run(net, train_iter, test_iter, loss, updater, num_epochs=num_epochs).epochs(
            num_epochs,
            num_batches(train_iter),
            lambda _: iter(train_iter),
            lambda _: self.evaluate_accuracy(net, test_iter),
            book_callback(),
        )

    def predict_ch3(self, net: Any, test_iter: Batches, n: int = 6) -> None:
        """Show the first n test images. Each title is the label, with the prediction below it."""
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
        """Return a run that has not started."""
        bound = BoundNet(net, self.backend, self.backend.default_device())
        history = new_history(bound, (train_iter, test_iter), **settings)
        return Run(bound, _Steps(partial(self.step, net, loss, updater)), history)


class _Steps:
    """The reader's training step, as the steps of a `Run`."""

    def __init__(self, step: Callable[[Any, Any], tuple[float, float]]) -> None:
        self.step = step

    def read(self, scalars: Sequence[float]) -> Sequence[float]:
        return scalars
