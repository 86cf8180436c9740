"""The reference itself: every gradient against finite differences, in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import native, render
from nets import EVERY_LAYER, example

from alexnet import backends
from alexnet.backends import reference
from alexnet.spec import Dense, Dropout, Net
from alexnet.spec.weights import initial_weights

STEP = 1e-6
numpy_backend = backends.load("numpy")


def weighted_sum(net, x, dy):
    return float((net(x, training=True) * dy).sum())


@pytest.mark.parametrize("table", EVERY_LAYER, ids=lambda net: net.name)
def test_gradients_are_the_finite_differences(table):
    weights, images, _ = example(table)
    net = render("numpy", table, dtype="float64")
    numpy_backend.set_weights(net, weights)
    rng = np.random.default_rng(2)
    x = images.astype(np.float64)
    dy = rng.standard_normal(net(x).shape)
    net(x, training=True)
    net.backward(dy)
    from_the_net = [{k: g.copy() for k, g in module.grads.items()} for module in net]
    dx = dy
    for module in reversed(net.layers):
        dx = module.backward(dx)
    for module, grads in zip(net, from_the_net, strict=True):
        for name, gradient in module.grads.items():
            assert np.array_equal(grads[name], gradient), f"{module} {name}"

    def check(array, gradient, label):
        for place in rng.choice(array.size, min(12, array.size), replace=False):
            kept = array.flat[place]
            array.flat[place] = kept + STEP
            above = weighted_sum(net, x, dy)
            array.flat[place] = kept - STEP
            below = weighted_sum(net, x, dy)
            array.flat[place] = kept
            slope = (above - below) / (2 * STEP)
            assert gradient.flat[place] == pytest.approx(slope, rel=1e-5, abs=1e-6), label

    check(x, dx, "input")
    for module in net:
        for name, gradient in module.grads.items():
            check(module.params[name], gradient, f"{module} {name}")


@pytest.mark.parametrize("table", EVERY_LAYER, ids=lambda net: net.name)
def test_blocks_of_other_sizes_change_only_rounding(monkeypatch, table):
    weights, images, labels = example(table)

    def computed(size):
        monkeypatch.setattr(reference, "BLOCK", size)
        net = render("numpy", table, dtype="float64")
        numpy_backend.set_weights(net, weights)
        trainer = numpy_backend.Trainer(net, 0.1, 0.9)
        trainer.step(images, labels)
        return trainer.get_velocity() | {"": net(images)}

    whole = computed(2**30)
    for size in 1, 2000:
        for key, array in computed(size).items():
            np.testing.assert_allclose(array, whole[key], rtol=1e-12, atol=1e-12, err_msg=key)


def test_later_steps_leave_gradients_alone():
    net = render("numpy", Net("one", (3,), (Dense(2),)))
    trainer = numpy_backend.Trainer(net, 0.1, 0.0)
    x, y = np.ones((1, 3), np.float32), np.array([1])
    _, found = numpy_backend.gradients(net, x, y)
    before = found["0.weight"].copy()
    trainer.step(2 * x, y)
    numpy_backend.gradients(net, 3 * x, y)
    assert np.array_equal(found["0.weight"], before)


def test_it_computes_in_the_precision_asked_for():
    for dtype in (np.float32, np.float64):
        net = render("numpy", EVERY_LAYER[0], dtype=dtype)
        assert net(np.ones((2, 2, 13, 17))).dtype == dtype


def test_large_logits_do_not_overflow():
    net = render("numpy", Net("one", (2,), (Dense(3),)))
    trainer = numpy_backend.Trainer(net, 0.1, 0.0)
    loss, _ = trainer.step(np.full((1, 2), 1e30, np.float32), np.array([1]))
    assert loss == pytest.approx(np.log(3))
    numpy_backend.set_weights(net, {"0.weight": np.full((3, 2), 1e4), "0.bias": np.arange(3)})
    loss, _ = trainer.step(np.ones((1, 2), np.float32), np.array([2]))
    assert np.isfinite(loss)


def test_dropout_keeps_the_mean_and_is_seeded(name):
    """Kept values are scaled by 1 / (1 - rate); prediction is untouched; a seed repeats the mask."""
    backend = backends.load(name)
    table = Net("drop", (1, 50, 40), (Dropout(0.25),))
    x = native(name, np.ones((4, 1, 50, 40)))

    def trained():
        """The net's output in training, as each framework asks for it."""
        net = render(name, table)
        backend.seed(net, 3)
        if name == "torch" or name == "paddle":
            net.train()
            return backend.to_numpy(net(x))
        if name == "mxnet":
            from mxnet import autograd

            with autograd.train_mode():
                return backend.to_numpy(net(x))
        return backend.to_numpy(net(x, training=True))

    y = trained()
    assert set(np.unique(y.round(5))) == {0.0, np.float32(1 / 0.75).round(5)}
    assert y.mean() == pytest.approx(1, abs=0.05)
    assert np.array_equal(y, trained())
    net = render(name, table)
    assert (backend.to_numpy(backend.predict(net, x)) == 1).all()


def test_initial_weights_give_logits_of_moderate_size():
    table = Net("deep", (100,), tuple(Dense(100) for _ in range(6)))
    net = render("numpy", table)
    numpy_backend.set_weights(net, initial_weights(table.resolve().parameters, 0))
    y = net(np.random.default_rng(0).standard_normal((20, 100)))
    assert 0.3 < y.std() < 3
