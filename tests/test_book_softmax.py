"""The book's softmax regression, from scratch and concise."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from book_nets import TWO_LINES, linear

from alexnet import load_fashion_mnist
from alexnet.errors import RunError

pytestmark = pytest.mark.usefixtures("the_sample")


def from_scratch(framework, d2l):
    """A net as a function, its loss and its updater, on parameters that the reader made."""
    start = np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype(np.float32)
    if framework == "tensorflow":
        import tensorflow as tf

        W, b = tf.Variable(start), tf.Variable(tf.zeros(10))
        updater = d2l.Updater([W, b], lr=0.1)
    else:
        W, b = d2l.tensor(start), d2l.zeros([10])
        for param in (W, b):
            if framework == "torch":
                param.requires_grad_()
            elif framework == "mxnet":
                param.attach_grad()
            else:
                param.stop_gradient = False

        def updater(batch_size):
            return d2l.sgd([W, b], 0.1, batch_size)

    def net(X):
        scores = d2l.exp(d2l.matmul(d2l.reshape(X, (-1, 784)), W) + b)
        along = {"keepdim" if framework in ("torch", "paddle") else "keepdims": True}
        return scores / d2l.reduce_sum(scores, 1, **along)

    def loss(y_hat, y):
        column, classes = d2l.reshape(y, (-1, 1)), d2l.reshape(d2l.arange(10), (1, 10))
        chosen = d2l.astype(
            d2l.astype(column, d2l.int32) == d2l.astype(classes, d2l.int32), d2l.float32
        )
        return -d2l.log(d2l.reduce_sum(y_hat * chosen, 1))

    return net, loss, updater


def concise(framework):
    """The framework's own net, loss and optimizer, as in the concise section."""
    net = linear(framework)
    if framework == "torch":
        import torch

        loss = torch.nn.CrossEntropyLoss(reduction="none")
        return net, loss, torch.optim.SGD(net.parameters(), lr=0.1)
    if framework == "mxnet":
        from mxnet import gluon

        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
        return net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer
    if framework == "tensorflow":
        import tensorflow as tf

        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return net, loss, tf.keras.optimizers.SGD(learning_rate=0.1)
    import paddle

    loss = paddle.nn.CrossEntropyLoss(reduction="none")
    return net, loss, paddle.optimizer.SGD(0.1, parameters=net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["from scratch", "concise"])
def test_softmax_regression_learns(framework, d2l, how, capsys):
    net, loss, updater = (
        from_scratch(framework, d2l) if how == "from scratch" else concise(framework)
    )
    train_iter, test_iter = d2l.load_data_fashion_mnist(32)
    first = d2l.train_epoch_ch3(net, train_iter, loss, updater)
    d2l.train_ch3(net, train_iter, test_iter, loss, 5, updater)
    last = d2l.train_epoch_ch3(net, train_iter, loss, updater)
    assert 1 < first[0] < 2.5
    assert last[0] < 0.75 * first[0]
    assert last[1] > max(0.7, first[1])
    assert d2l.evaluate_accuracy(net, test_iter) > 0.3  # of 40 images; chance is 0.1
    assert TWO_LINES.search(capsys.readouterr().out)
    d2l.predict_ch3(net, test_iter, n=4)
    assert len(d2l.plt.gcf().axes) == 4
    assert d2l.plt.gcf().axes[0].get_title().startswith("bag\n")


def test_softmax_regression_is_the_same_in_every_column(framework):
    """One epoch from the same weights and images: the same loss as NumPy's."""
    d2l = importlib.import_module(f"alexnet.{framework}")
    net, loss, updater = from_scratch(framework, d2l)
    found = d2l.train_epoch_ch3(net, d2l.load_data_fashion_mnist(32)[0], loss, updater)
    W, b = np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype(np.float32), np.zeros(10)
    losses, right = [], 0
    for X, y in load_fashion_mnist(32, resize=None)[0]:
        scores = np.exp(X.reshape(-1, 784) @ W + b)
        p = scores / scores.sum(axis=1, keepdims=True)
        losses.extend(-np.log(p[range(32), y]))
        right += (p.argmax(axis=1) == y).sum()
        p[range(32), y] -= 1
        W, b = W - 0.1 / 32 * X.reshape(-1, 784).T @ p, b - 0.1 / 32 * p.sum(axis=0)
    assert found[0] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found[1] == pytest.approx(right / 320)


@pytest.mark.needs("torch")
def test_a_mean_loss_trains_like_a_loss_per_example():
    import torch

    from alexnet import torch as d2l

    losses = []
    for reduction in ("none", "mean"):
        torch.manual_seed(0)
        net = linear("torch")
        loss = torch.nn.CrossEntropyLoss(reduction=reduction)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        losses.append(d2l.train_epoch_ch3(net, d2l.load_data_fashion_mnist(32)[0], loss, optimizer))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_wrong_number_of_epochs_is_refused(framework, d2l):
    with pytest.raises(RunError, match="num_epochs must be a whole number of at least 1, got 0"):
        d2l.train_ch3(linear(framework), [], [], None, 0, None)
