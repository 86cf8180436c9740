"""Nets and loops as the book's readers write them."""

from __future__ import annotations

import re

import alexnet
from alexnet.spec import Dense, Flatten
from alexnet.training.callbacks import ProgressBar


def own_loop(framework, d2l, net, train_iter, lr):
    """The loop of section 6.6 as a reader writes it: the loss of each step."""
    return globals()[f"{framework}_loop"](d2l, net, train_iter, lr)


def torch_loop(d2l, net, train_iter, lr):
    import torch

    device, losses = d2l.try_gpu(), []
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    loss = torch.nn.CrossEntropyLoss()
    net.train()
    for X, y in train_iter:
        X, y = X.to(device), y.to(device)
        optimizer.zero_grad()
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def mxnet_loop(d2l, net, train_iter, lr):
    from mxnet import autograd, gluon

    device, losses = d2l.try_gpu(), []
    net.collect_params().reset_ctx(device)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": lr})
    for X, y in train_iter:
        X, y = X.as_in_ctx(device), y.as_in_ctx(device)
        with autograd.record():
            value = loss(net(X), y)
        value.backward()
        trainer.step(X.shape[0])
        losses.append(float(value.sum()) / X.shape[0])
    return losses


def tensorflow_loop(d2l, net, train_iter, lr):
    import tensorflow as tf

    optimizer, losses = tf.keras.optimizers.SGD(learning_rate=lr), []
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with d2l.try_gpu():
        for X, y in train_iter:
            with tf.GradientTape() as tape:
                value = loss(y, net(X, training=True))
            gradients = tape.gradient(value, net.trainable_variables)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
            losses.append(float(value))
    return losses


def paddle_loop(d2l, net, train_iter, lr):
    import paddle

    device, losses = d2l.try_gpu(), []
    optimizer = paddle.optimizer.SGD(learning_rate=lr, parameters=net.parameters())
    loss = paddle.nn.CrossEntropyLoss()
    net.train()
    for X, y in train_iter:
        X, y = paddle.to_tensor(X, place=device), paddle.to_tensor(y, place=device)
        optimizer.clear_grad()
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        losses.append(float(value))
    return losses


class Recording(ProgressBar):
    """A callback that keeps the history of the run."""

    def end(self, history):
        super().end(history)
        self.history = history


def linear(framework):
    """Softmax regression as a net of the framework, with lazy weights where the framework has them."""
    if framework == "torch":
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    if framework == "mxnet":
        from mxnet.gluon import nn

        net = nn.Sequential()
        net.add(nn.Dense(10))
        net.initialize()
        return net
    if framework == "tensorflow":
        from tensorflow.keras import Sequential, layers

        return Sequential([layers.Flatten(), layers.Dense(10)])
    from paddle import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


LINEAR = alexnet.Net("linear", (1, 28, 28), (Flatten(), Dense(10)))


def made(framework):
    """An argument for train_ch6: a net, or in TensorFlow's column a function that makes one."""
    return (lambda: linear(framework)) if framework == "tensorflow" else linear(framework)


TWO_LINES = re.compile(
    r"loss \d\.\d{3}, train acc [01]\.\d{3}, test acc [01]\.\d{3}\n\d+\.\d examples/sec on (.+)\n"
)
