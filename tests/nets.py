"""Nets that several tests build, and their shapes in the chapter."""

from __future__ import annotations

import numpy as np
from helpers import render

from alexnet import backends
from alexnet.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Net,
    ReLU,
    Sigmoid,
    Tanh,
)
from alexnet.spec.weights import initial_weights

# As the chapter prints them for its PyTorch column, layer by layer.
ALEXNET_SHAPES = [
    *[(96, 54, 54)] * 2,
    (96, 26, 26),
    *[(256, 26, 26)] * 2,
    (256, 12, 12),
    *[(384, 12, 12)] * 4,
    *[(256, 12, 12)] * 2,
    (256, 5, 5),
    (6400,),
    *[(4096,)] * 6,
    (10,),
]


LENET_SHAPES = [
    *[(6, 28, 28)] * 2,
    (6, 14, 14),
    *[(16, 10, 10)] * 2,
    (16, 5, 5),
    (400,),
    *[(120,)] * 2,
    *[(84,)] * 2,
    (10,),
]


# Dropout of images, of features in the order of an image, and of features that a Dense mixed.
DROPOUT_EVERYWHERE = Net(
    "dropout-everywhere",
    (1, 28, 28),
    (
        Conv(6, 5, stride=2),
        ReLU(),
        BatchNorm(),
        Dropout(0.3),
        MaxPool(3, stride=2),
        Flatten(),
        Dropout(0.25),
        Dense(20),
        ReLU(),
        Dropout(0.5),
        Dense(10),
    ),
)


# What `Net.replace` can change, each in several places; sizes, groups and padding are unequal.
MIXED = Net(
    "mixed",
    (2, 19, 23),
    (
        Conv(6, 3, padding=1, groups=2),  # 6×19×23
        BatchNorm(momentum=0.3),
        Sigmoid(),
        AvgPool(3, stride=2, padding=1),  # 6×10×12
        Conv(9, 2, groups=3),  # 9×9×11
        MaxPool(2),  # 9×4×5
        LocalResponseNorm(3, alpha=0.3),
        LeakyReLU(0.25),
        Conv(4, 1),  # 4×4×5
        Dropout(0.3),
        Flatten(),  # 80
        Dense(7),
        BatchNorm(),
        Tanh(),
        Dropout(0.5),
        Dense(5),
    ),
)


# Odd and unequal sizes, strides that do not divide, windows that overlap, padding everywhere.
EVERY_LAYER = [
    Net(
        "first",
        (2, 13, 17),
        (
            Conv(6, 3, stride=2, padding=1, groups=2),
            BatchNorm(momentum=0.3, epsilon=1e-3),
            Tanh(),
            LocalResponseNorm(3, alpha=0.3, beta=0.6, k=1.5),
            MaxPool(3, stride=2, padding=1),
            Conv(8, 2, padding=1),
            Sigmoid(),
            AvgPool(2, stride=1, padding=1),
            Conv(4, 4, padding=2),
            Flatten(),
            Dense(7),
            ReLU(),
            Dropout(0.0),
            Dense(5),
        ),
    ),
    Net(
        "second",
        (3, 11, 9),
        (Conv(4, 5, stride=3, padding=2), ReLU(), GlobalAvgPool(), Flatten(), Dense(5)),
    ),
    Net("vectors", (7,), (Dense(6), BatchNorm(), Tanh(), Dense(5))),
    Net(
        "third",
        (1, 9, 14),
        (
            Conv(4, 3, padding=1),
            LeakyReLU(0.25),
            MaxPool(2),
            Flatten(),
            BatchNorm(),
            LeakyReLU(),
            Dense(6),
            Dense(5),
        ),
    ),
]


def example(net: Net, seed: int = 1):
    """Weights that are all different, and a batch: images (4, C, H, W) and labels (4,)."""
    rng = np.random.default_rng(seed)
    weights = {
        key: w if w.ndim > 1 else (rng.random(w.shape) + 0.5).astype(np.float32)
        for key, w in initial_weights(net.resolve().parameters, seed).items()
    }
    images = rng.standard_normal((4, *net.input_shape)).astype(np.float32)
    return weights, images, np.array([0, 4, 2, 4])


def rendered(name: str, net: Net, weights):
    backend = backends.load(name)
    model = render(name, net)
    backend.set_weights(model, weights)
    return model
