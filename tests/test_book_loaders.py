"""The book's loaders: the batches that each column gives."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import python

from alexnet import backends, load_fashion_mnist
from alexnet.errors import DataError

pytestmark = pytest.mark.usefixtures("the_sample")


LABELS = {
    "torch": ("int64", (32,)),
    "mxnet": ("int32", (32,)),
    "tensorflow": ("int32", (32,)),
    "paddle": ("int64", (32, 1)),
}


@pytest.mark.parametrize("resize", [None, 64])
def test_batches_have_the_types_and_shapes_of_the_frameworks_own_loader(framework, d2l, resize):
    train_iter, test_iter = d2l.load_data_fashion_mnist(32, resize=resize)
    side = resize or 28
    shape = (32, side, side, 1) if framework == "tensorflow" else (32, 1, side, side)
    for data_iter in (train_iter, test_iter):
        X, y = next(iter(data_iter))
        assert type(X).__module__.partition(".")[0] == framework
        assert tuple(X.shape) == shape
        assert str(X.dtype).endswith("float32'>" if framework == "tensorflow" else "float32")
        dtype, of_labels = LABELS[framework]
        assert dtype in str(y.dtype)
        assert tuple(y.shape) == of_labels
        assert 0 <= float(d2l.reduce_mean(X)) <= 1


def test_each_epoch_has_every_image_once_in_a_new_order(d2l):
    train_iter, test_iter = d2l.load_data_fashion_mnist(64)
    assert (len(train_iter), len(test_iter)) == (5, 1)
    orders = []
    for _ in range(2):
        batches = [backends.to_numpy(y).reshape(-1) for X, y in train_iter]
        orders.append(np.concatenate(batches))
        assert [len(b) for b in batches] == [64] * 5
    expected = load_fashion_mnist(64, resize=None)[0]
    assert all(
        (found == expected.labels[expected.order(n)]).all() for n, found in enumerate(orders)
    )
    assert (orders[0] != orders[1]).any()
    tests = [backends.to_numpy(next(iter(test_iter))[1]).reshape(-1) for _ in range(2)]
    assert (tests[0] == tests[1]).all()


def test_images_are_the_same_in_every_column(framework, d2l):
    X, _ = next(iter(d2l.load_data_fashion_mnist(8, resize=56)[0]))
    expected, _ = next(iter(load_fashion_mnist(8, resize=56)[0]))
    found = backends.to_numpy(X)
    found = found.transpose(0, 3, 1, 2) if framework == "tensorflow" else found
    assert np.abs(found - expected).max() < 1e-6


def test_a_wrong_batch_size_is_refused(d2l):
    with pytest.raises(DataError, match="batch_size must be a whole number of at least 1, got 0"):
        d2l.load_data_fashion_mnist(0)


@pytest.mark.needs("torch")
def test_torch_batches_move_as_in_the_book():
    from alexnet import torch as d2l

    X, y = next(iter(d2l.load_data_fashion_mnist(16)[0]))
    X, y = X.to(d2l.try_gpu()), y.to(d2l.try_gpu())
    assert X.device == d2l.try_gpu()
    assert d2l.to(X, d2l.float32).dtype == d2l.float32


@pytest.mark.needs("mxnet")
def test_mxnet_batches_move_and_split_as_in_the_book():
    from mxnet import gluon

    from alexnet import mxnet as d2l

    X, y = next(iter(d2l.load_data_fashion_mnist(16)[0]))
    assert X.as_in_ctx(d2l.try_gpu()).ctx == y.as_in_ctx(d2l.try_gpu()).ctx == d2l.try_gpu()
    parts = gluon.utils.split_and_load(X, d2l.try_all_gpus())
    assert sum(len(part) for part in parts) == 16


@pytest.mark.needs("paddle")
def test_paddle_batches_move_as_in_the_book():
    import paddle

    from alexnet import paddle as d2l

    X, y = next(iter(d2l.load_data_fashion_mnist(16)[0]))
    device = d2l.try_gpu()
    assert paddle.to_tensor(X, place=device).place == device
    assert paddle.to_tensor(y, place=device).shape == [16, 1]


@pytest.mark.needs("tensorflow")
def test_keras_fits_on_the_datasets_with_callbacks():
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    train_iter, test_iter = d2l.load_data_fashion_mnist(64)
    net = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(tf.keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    seen = []
    callback = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch),
        on_epoch_end=lambda epoch, logs: seen.append(sorted(logs)),
    )
    options = {"epochs": 2, "verbose": 0, "callbacks": [callback], "validation_data": test_iter}
    history = net.fit(train_iter, **options)
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert seen == [*range(5), names, *range(5), names]
    assert history.history["loss"][1] < history.history["loss"][0]
    cardinality = tf.data.experimental.cardinality(train_iter).numpy()
    assert cardinality == len(train_iter) == 5


@pytest.mark.slow
def test_a_program_that_leaves_a_loop_early_ends(framework):
    """No thread of a framework keeps waiting for a batch."""
    found = python(
        f"from alexnet import {framework} as d2l\n"
        "train_iter, test_iter = d2l.load_data_fashion_mnist(64, resize=224)\n"
        "batches = iter(train_iter)\n"
        "X, y = next(batches)\n"
        "print('left')"
    )
    assert found.stdout.strip() == "left", found.stderr
    assert found.returncode == 0
