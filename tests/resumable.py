"""A short run with a checkpoint, and a check that two runs are equal."""

from __future__ import annotations

import numpy as np
import pytest
from loops import Silent

import alexnet
from alexnet.spec import BatchNorm, Conv, Dense, Dropout, Flatten, MaxPool, Net, ReLU

NET = Net(
    "dropping",
    (1, 28, 28),
    (
        Conv(4, 5, stride=2),
        BatchNorm(),
        ReLU(),
        MaxPool(3, stride=2),
        Flatten(),
        Dropout(0.4),
        Dense(20),
        ReLU(),
        Dropout(0.5),
        Dense(10),
    ),
)


WITHOUT_DROPOUT = Net("steady", (1, 28, 28), (Conv(4, 5, stride=2), ReLU(), Flatten(), Dense(10)))


STEPS = 3 * 4  # of the whole run: 100 examples make four batches, the last one smaller


def images(**options):
    options = {"resize": None, "source": "sample", "subset": (100, 40)} | options
    return alexnet.load_fashion_mnist(32, **options)


def train(backend, path, num_epochs=3, net=NET, data=None, **settings):
    settings = {"momentum": 0.9, "seed": 5, "callback": Silent()} | settings
    return alexnet.train_ch6(
        net,
        *(data or images()),
        num_epochs,
        0.05,
        "cpu",
        backend=backend,
        checkpoint=path,
        **settings,
    )


class StopAfterTwoEpochs(Silent):
    def epoch(self, history):
        if len(history.epochs) == 2:
            raise KeyboardInterrupt


def interrupt(backend, path, **settings):
    """Train as `train` does, interrupted after two of the three epochs."""
    with pytest.raises(KeyboardInterrupt):
        train(backend, path, callback=StopAfterTwoEpochs(), **settings)


def assert_same_run(found, expected):
    assert [s["loss"] for s in found.steps] == [s["loss"] for s in expected.steps]
    assert [(e.loss, e.test_accuracy) for e in found.epochs] == [
        (e.loss, e.test_accuracy) for e in expected.epochs
    ]
    weights = alexnet.get_weights(expected.net)
    for key, w in alexnet.get_weights(found.net).items():
        np.testing.assert_array_equal(w, weights[key], err_msg=key)
