"""The book's train_ch6: its steps, its two closing lines, its devices."""

from __future__ import annotations

import re

import numpy as np
import pytest
from book_nets import LINEAR, TWO_LINES, Recording, linear, made, own_loop

import alexnet
from alexnet import backends, load_fashion_mnist
from alexnet.errors import BackendError, RunError

pytestmark = pytest.mark.usefixtures("the_sample")


def test_twenty_steps_are_those_of_the_readers_own_loop(framework, d2l, monkeypatch):
    """The same losses within float32 rounding, and the same weights afterwards."""
    by_hand, by_us = (alexnet.build("lenet", backend=framework, seed=0) for _ in range(2))
    expected = own_loop(framework, d2l, by_hand, d2l.load_data_fashion_mnist(16)[0], 0.5)
    assert len(expected) == 20
    callback = Recording()
    monkeypatch.setattr(d2l, "book_callback", lambda: callback)
    d2l.train_ch6(by_us, *d2l.load_data_fashion_mnist(16), 1, 0.5, d2l.try_gpu())
    losses = [step["loss"] for step in callback.history.steps]
    assert losses == pytest.approx(expected, rel=1e-5)
    weights = alexnet.get_weights(by_us)
    for key, w in alexnet.get_weights(by_hand).items():
        assert np.abs(weights[key] - w).max() < 1e-5, key


def test_training_ends_with_the_two_lines(framework, d2l, capsys):
    net = made(framework)
    found = d2l.train_ch6(net, *d2l.load_data_fashion_mnist(64), 2, 0.1, d2l.try_gpu())
    out = capsys.readouterr().out
    device = TWO_LINES.search(out)
    assert out.endswith(device.group(0))
    assert device.group(1) == str(backends.try_gpu(backend=framework))
    if framework == "tensorflow":
        assert found.evaluate(d2l.load_data_fashion_mnist(64)[1], verbose=0)[1] > 0.2
    else:
        assert found is None


def test_train_ch6_leaves_a_picture_where_there_is_no_notebook(framework, d2l, tmp_path, capsys):
    d2l.train_ch6(made(framework), *d2l.load_data_fashion_mnist(64), 1, 0.1)
    name = re.search(r"the curves are saved in (\S*curves\S*\.png)", capsys.readouterr().out).group(
        1
    )
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_net_of_another_column_is_refused(framework, d2l):
    net = alexnet.build("lenet", backend="numpy")
    with pytest.raises(BackendError, match=f"backend='{framework}' was given"):
        d2l.train_ch6(net, *d2l.load_data_fashion_mnist(64), 1, 0.1)


def test_try_gpu_returns_the_frameworks_devices(framework, d2l):
    backend = backends.load(framework)
    if framework == "tensorflow":
        with d2l.try_gpu():
            assert d2l.ones(2).device.endswith((backend.gpus() or ["CPU:0"])[0].lstrip("/"))
        assert len(d2l.try_all_gpus()) == max(1, len(backend.gpus()))
        return
    assert d2l.try_gpu() == (backend.gpus() or [backend.cpu()])[0]
    assert d2l.try_gpu(99) == backend.cpu()
    assert d2l.try_all_gpus() == (backend.gpus() or [backend.cpu()])


def test_a_run_does_not_depend_on_earlier_use_of_its_loaders(framework, d2l, monkeypatch):
    """After a look at a batch, a loop or an earlier run, the first epoch has the same order."""
    loaders = d2l.load_data_fashion_mnist(64)
    losses = []
    for look in (lambda: None, lambda: next(iter(loaders[0])), lambda: list(loaders[0])):
        look()
        callback = Recording()
        monkeypatch.setattr(d2l, "book_callback", lambda callback=callback: callback)
        d2l.train_ch6(made(framework), *loaders, 2, 0.1)
        losses.append([step["loss"] for step in callback.history.steps])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    net = alexnet.build(LINEAR, backend="numpy")
    expected = alexnet.train_ch6(net, *load_fashion_mnist(64, resize=None), 2, 0.1)
    assert losses[0] == pytest.approx([step["loss"] for step in expected.steps], rel=1e-4)


def test_train_ch6_returns_the_net_that_a_function_makes(framework, d2l):
    net = d2l.train_ch6(lambda: linear(framework), *d2l.load_data_fashion_mnist(64), 1, 0.1)
    assert backends.owner(net) == framework
    assert d2l.evaluate_accuracy(net, d2l.load_data_fashion_mnist(64)[1]) > 0.2  # chance is 0.1


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name_of_it", ["/CPU:0", "CPU:0", "cpu:0", "/device:CPU:0"])
def test_train_ch6_accepts_every_spelling_of_a_tensorflow_device(name_of_it, capsys):
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    device = tf.device(name_of_it)
    d2l.train_ch6(made("tensorflow"), *d2l.load_data_fashion_mnist(64), 1, 0.1, device)
    assert capsys.readouterr().out.endswith("examples/sec on /CPU:0\n")


@pytest.mark.needs("tensorflow")
def test_a_layer_in_place_of_a_model_is_refused_before_training():
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    with pytest.raises(RunError, match=r"a function that returns a keras\.Model, got Dense"):
        d2l.train_ch6(lambda: tf.keras.layers.Dense(10), *d2l.load_data_fashion_mnist(64), 1, 0.1)


@pytest.mark.needs("tensorflow")
def test_train_callback_reports_a_fit(capsys):
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    train_iter, test_iter = d2l.load_data_fashion_mnist(64)
    net = linear("tensorflow")
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(tf.keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    callback = d2l.TrainCallback(net, train_iter, test_iter, 2, "/CPU:0")
    net.fit(train_iter, epochs=2, verbose=0, callbacks=[callback])
    out = capsys.readouterr().out
    assert out.endswith(TWO_LINES.search(out).group(0))
    assert len(re.findall(r"^epoch \d: train loss .*, train acc .*, test acc", out, re.M)) == 2
