"""The book's Residual block."""

from __future__ import annotations

import numpy as np
import pytest
from book_nets import Recording
from helpers import native

import alexnet
from alexnet import backends

pytestmark = pytest.mark.usefixtures("the_sample")


def test_a_net_of_residual_blocks_trains(framework, d2l, monkeypatch):
    """A class with two paths and batch normalisation, inside the framework's own sequence."""
    if framework == "torch":
        from torch import nn

        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]
        net = nn.Sequential(d2l.Residual(1, 4, use_1x1conv=True, strides=2), *head)
    elif framework == "mxnet":
        from mxnet.gluon import nn

        net = nn.Sequential()
        net.add(d2l.Residual(4, use_1x1conv=True, strides=2), nn.GlobalAvgPool2D(), nn.Dense(10))
    elif framework == "tensorflow":
        from tensorflow.keras import Sequential, layers

        head = [layers.GlobalAvgPool2D(), layers.Dense(10)]
        net = Sequential([d2l.Residual(4, use_1x1conv=True, strides=2), *head])
    else:
        from paddle import nn

        head = [nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(4, 10)]
        net = nn.Sequential(d2l.Residual(1, 4, use_1x1conv=True, strides=2), *head)
    train_iter, test_iter = d2l.load_data_fashion_mnist(32)
    made_by = (lambda: net) if framework == "tensorflow" else net
    callback = Recording()
    monkeypatch.setattr(d2l, "book_callback", lambda: callback)
    d2l.train_ch6(made_by, train_iter, test_iter, 3, 0.1)
    losses = [epoch.loss for epoch in callback.history.epochs]
    assert losses == sorted(losses, reverse=True)


def test_residual_keeps_or_halves_the_size_and_adds_two_paths(framework, d2l):
    """With zeros in its convolutions only relu(X) remains, so the block is a sum of two paths."""
    shape = (4, 6, 6, 3) if framework == "tensorflow" else (4, 3, 6, 6)
    halved = (4, 3, 3, 6) if framework == "tensorflow" else (4, 6, 3, 3)
    X = native(framework, np.random.default_rng(0).normal(size=(4, 3, 6, 6)))
    keeping = d2l.Residual(*([3] if framework in ("torch", "paddle") else []), 3)
    halving = d2l.Residual(
        *([3] if framework in ("torch", "paddle") else []), 6, use_1x1conv=True, strides=2
    )
    backend = backends.load(framework)
    for net, expected in ((keeping, shape), (halving, halved)):
        backend.to_device(net, backend.cpu())
        assert tuple(backend.predict(net, X).shape) == expected
    weights = alexnet.get_weights(keeping)
    still = {k: w if "running" in k else np.zeros_like(w) for k, w in weights.items()}
    alexnet.set_weights(keeping, still)
    found = backends.to_numpy(backend.predict(keeping, X))
    assert np.allclose(found, np.maximum(backends.to_numpy(X), 0))
