"""The book's accuracies: of nets and of plain functions, on any batches."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from helpers import native

import alexnet
from alexnet import backends, load_fashion_mnist

pytestmark = pytest.mark.usefixtures("the_sample")


def test_accuracy_is_the_same_for_a_net_and_a_function_on_every_device(framework, d2l):
    _, test_iter = d2l.load_data_fashion_mnist(64)
    net = alexnet.build("lenet", backend=framework)
    backend = backends.load(framework)
    weights = {key: np.zeros_like(w) for key, w in alexnet.get_weights(net).items()}
    weights[max(weights, key=lambda k: (k.endswith("bias"), int(k.split(".")[0])))][3] = 1
    backend.set_weights(net, weights)  # predicts 3 for every image
    share = (load_fashion_mnist(64, resize=None)[1].labels == 3).mean()
    assert d2l.evaluate_accuracy(net, test_iter) == share
    assert d2l.evaluate_accuracy_gpu(net, test_iter) == share
    assert d2l.evaluate_accuracy_gpu(net, test_iter, d2l.try_gpu()) == share
    assert d2l.evaluate_accuracy(lambda X: net(X), test_iter) == share


def numpy_batches(framework):
    """Two batches of NumPy's own arrays, in the framework's layout."""
    loader = load_fashion_mnist(16, resize=None, subset=(32, 32))[1]
    last = framework == "tensorflow"
    return [(X.transpose(0, 2, 3, 1) if last else X, y) for X, y in loader]


def test_a_plain_function_is_evaluated_on_numpys_arrays(framework, d2l):
    """The column knows its framework; it does not guess it from a batch."""
    net = alexnet.build("lenet", backend=framework)
    batches = numpy_batches(framework)
    there = [(native(framework, X), y) for X, y in load_fashion_mnist(16, None, subset=(32, 32))[1]]
    share = d2l.evaluate_accuracy(net, there)
    assert d2l.evaluate_accuracy_gpu(lambda X: net(X), batches) == share
    assert d2l.evaluate_accuracy_gpu(net, batches, "cpu") == share


@pytest.mark.needs("tensorflow")
def test_keras_nets_are_evaluated_on_numpys_arrays():
    from alexnet import tensorflow as d2l

    net = alexnet.build("lenet", backend="tensorflow")
    assert 0 <= d2l.evaluate_accuracy(net, numpy_batches("tensorflow")) <= 1
    assert d2l.size([1, 2, 3]) == 3


@pytest.mark.needs("torch")
def test_a_plain_function_is_evaluated_without_gradients():
    """The book's own batch normalisation tells prediction from training by them."""
    import torch

    from alexnet import torch as d2l

    seen = []

    def net(X):
        seen.append(torch.is_grad_enabled())
        return X.reshape(len(X), -1)[:, :10]

    d2l.evaluate_accuracy(net, d2l.load_data_fashion_mnist(32)[1])
    assert set(seen) == {False}


def test_accuracy_counts_the_right_answers(d2l):
    y_hat = d2l.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
    assert d2l.accuracy(y_hat, d2l.tensor([0, 2])) == 1
    assert d2l.accuracy(y_hat, d2l.tensor([[2], [2]])) == 2  # Paddle's labels are a column
    assert d2l.accuracy(d2l.tensor([1, 2]), d2l.tensor([1, 1])) == 1


def test_half_precision_numbers_keep_their_values(framework, d2l):
    module = importlib.import_module(framework)
    # MXNet's bfloat16 cannot be read.
    kinds = ["float16"] if framework == "mxnet" else [module.float16, module.bfloat16]
    for dtype in kinds:
        y_hat = d2l.astype(d2l.tensor([[-1.0, -3.0], [2.0, 5.0]]), dtype)
        assert d2l.accuracy(y_hat, d2l.tensor([0, 1])) == 2
        sums = d2l.Accumulator(1)
        sums.add(d2l.astype(d2l.tensor([2.5]), dtype))
        assert sums[0] == 2.5
