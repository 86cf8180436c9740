"""Plain training loops of each framework, and a callback that shows nothing."""

from __future__ import annotations


class Silent:
    """A callback that prints nothing and keeps its calls."""

    def __init__(self):
        self.calls = []

    def begin(self, history, steps):
        self.calls.append(("begin", steps))

    def step(self, history):
        self.calls.append("step")

    def test(self, history, logits):
        pass

    def epoch(self, history):
        self.calls.append("epoch")

    def end(self, history):
        self.calls.append("end")


def torch_loop(net, batches, lr):
    import torch

    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    losses = []
    for X, y in batches:
        loss = torch.nn.CrossEntropyLoss()(net(X), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def mxnet_loop(net, batches, lr):
    from mxnet import autograd, gluon, np

    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": lr})
    losses = []
    for X, y in batches:
        with autograd.record():
            value = loss(net(X), np.array(y))
        value.backward()
        trainer.step(len(y))
        losses.append(float(value.mean()))
    return losses


def tensorflow_loop(net, batches, lr):
    import tensorflow as tf

    net.compile(
        optimizer=tf.keras.optimizers.SGD(learning_rate=lr),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = []
    for X, y in batches:
        net.reset_metrics()
        losses.append(float(net.train_on_batch(X, y)))
    return losses


def paddle_loop(net, batches, lr):
    import paddle

    optimizer = paddle.optimizer.SGD(learning_rate=lr, parameters=net.parameters())
    losses = []
    for X, y in batches:
        loss = paddle.nn.CrossEntropyLoss()(net(X), paddle.to_tensor(y))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    return losses


PLAIN_LOOPS = {
    "torch": torch_loop,
    "mxnet": mxnet_loop,
    "tensorflow": tensorflow_loop,
    "paddle": paddle_loop,
}
