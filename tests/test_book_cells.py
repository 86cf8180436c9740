"""Cells of the book's readers run as they are: layers of their own, code for older versions."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("the_sample")


@pytest.mark.needs("mxnet")
def test_a_readers_own_norm_for_mxnet_starts_from_ones():
    """Its gamma has shape (1, C); it must not be drawn like a weight."""
    from mxnet import init
    from mxnet.gluon import nn

    from alexnet import mxnet as d2l

    class Norm(nn.Block):
        def __init__(self, features, **kwargs):
            super().__init__(**kwargs)
            self.gamma = self.params.get("gamma", shape=(1, features), init=init.One())
            self.beta = self.params.get("beta", shape=(1, features), init=init.Zero())

        def forward(self, X):
            X = X - X.mean(axis=0)
            return X * self.gamma.data() + self.beta.data()

    net = nn.Sequential()
    net.add(nn.Dense(12), Norm(12), nn.Dense(10))
    d2l.train_ch6(net, *d2l.load_data_fashion_mnist(32), 1, 1e-9)
    assert d2l.numpy(net[1].gamma.data()) == pytest.approx(np.ones((1, 12)))


@pytest.mark.needs("tensorflow")
def test_keras_still_reports_a_missing_super_init():
    import tensorflow as tf

    import alexnet.tensorflow  # noqa: F401  (importing it changes Keras)

    class Forgetful(tf.keras.layers.Layer):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"you forgot to call `super\(\).__init__\(\)`"):
        Forgetful()(tf.ones((1, 2)))


@pytest.mark.needs("tensorflow")
def test_cells_that_were_written_for_keras_2_run():
    """A list of layers with ``layers``; a required ``training``; ``add_update``; a watched weight."""
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    class Norm(tf.keras.layers.Layer):
        def build(self, input_shape):
            self.mean = self.add_weight(name="mean", shape=[input_shape[-1]], trainable=False)

        def call(self, inputs, training):
            seen.append(training)
            if training:
                batch = tf.reduce_mean(inputs, 0)
                self.add_update(self.mean.assign(0.9 * self.mean + 0.1 * batch))
                return inputs - batch
            return inputs - self.mean

    class Block(tf.keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.blocks = []
            self.blocks.append(tf.keras.layers.Dense(10))
            self.blocks.append(Norm())

        def call(self, X):
            for layer in self.blocks.layers:
                X = layer(X)
            return X

    seen = []
    net = tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=(28, 28, 1)), Block()])
    d2l.train_ch6(lambda: net, *d2l.load_data_fashion_mnist(32), 1, 0.1)
    assert {bool(training) for training in seen} == {True, False}
    assert np.abs(d2l.numpy(net.layers[1].blocks[1].mean)).max() > 0
    dense = net.layers[1].blocks[0]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(dense.weights[0])
        value = tf.reduce_sum(dense(tf.ones((1, 784))))
    assert d2l.numpy(tape.gradient(value, dense.weights[0])) == pytest.approx(np.ones((784, 10)))
