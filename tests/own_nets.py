"""Nets that readers write themselves, in each framework."""

from __future__ import annotations

from helpers import by_backend


def by_hand(name):
    """LeNet as the book's readers write it, in each framework."""
    if name == "torch":
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, stride=2),
            nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(2, stride=2), nn.Flatten(),
            nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
        )  # fmt: skip
    if name == "mxnet":
        from mxnet.gluon import nn

        net = nn.Sequential()
        net.add(
            nn.Conv2D(channels=6, kernel_size=5, padding=2, activation="sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(channels=16, kernel_size=5, activation="sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(120, activation="sigmoid"),
            nn.Dense(84, activation="sigmoid"),
            nn.Dense(10),
        )
        return net
    if name == "tensorflow":
        from tensorflow.keras import layers, models

        return models.Sequential([
            layers.Conv2D(filters=6, kernel_size=5, activation="sigmoid", padding="same"),
            layers.AvgPool2D(pool_size=2, strides=2),
            layers.Conv2D(filters=16, kernel_size=5, activation="sigmoid"),
            layers.AvgPool2D(pool_size=2, strides=2),
            layers.Flatten(),
            layers.Dense(120, activation="sigmoid"),
            layers.Dense(84, activation="sigmoid"),
            layers.Dense(10),
        ])  # fmt: skip
    if name == "paddle":
        from paddle import nn

        return nn.Sequential(
            nn.Conv2D(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2D(2, stride=2),
            nn.Conv2D(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2D(2, stride=2), nn.Flatten(),
            nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
        )  # fmt: skip
    return by_backend(name, {})


def classes(name):
    """A net that is a class, with a branch and a sum."""
    if name == "torch":
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(784, 10), nn.Linear(784, 10)

            def forward(self, X):
                X = X.flatten(1)
                return self.a(X) + self.b(X).sigmoid()
    elif name == "mxnet":
        from mxnet import npx
        from mxnet.gluon import nn

        class Net(nn.Block):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Dense(10), nn.Dense(10)

            def forward(self, X):
                return self.a(X) + npx.sigmoid(self.b(X))
    elif name == "tensorflow":
        import tensorflow as tf

        class Net(tf.keras.Model):
            def __init__(self):
                super().__init__()
                self.flat = tf.keras.layers.Flatten()
                self.a, self.b = tf.keras.layers.Dense(10), tf.keras.layers.Dense(10)

            def call(self, X):
                X = self.flat(X)
                return self.a(X) + tf.sigmoid(self.b(X))
    elif name == "paddle":
        from paddle import nn

        class Net(nn.Layer):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(784, 10), nn.Linear(784, 10)

            def forward(self, X):
                X = X.flatten(1)
                return self.a(X) + nn.functional.sigmoid(self.b(X))
    else:
        Net = by_backend(name, {})

    return Net()
