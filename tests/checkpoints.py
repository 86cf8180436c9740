"""Checkpoints of small nets."""

from __future__ import annotations

from helpers import render
from nets import example

import alexnet
from alexnet import backends
from alexnet.spec import Dense, Net, ReLU

SMALL = Net("small", (4,), (Dense(3), ReLU(), Dense(2)))


def saved(path, net=SMALL, name="numpy", seed=1):
    """Save a net whose weights are all different; return those weights and a batch."""
    weights, images, _ = example(net, seed)
    native_net = render(name, net)
    backends.load(name).set_weights(native_net, weights)
    alexnet.save(native_net, path)
    return weights, images
