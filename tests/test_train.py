"""train_ch6: one loop for every framework, its results and its refusals."""

from __future__ import annotations

import numpy as np
import pytest
from fits import TINY, fit, load
from helpers import by_backend, native
from loops import PLAIN_LOOPS

import alexnet
from alexnet import backends
from alexnet.errors import BackendError, DataError, RunError, SpecError
from alexnet.spec import Conv, Dense, Flatten, Net, zoo


def test_all_frameworks_take_the_same_steps(framework):
    """Losses of every batch, accuracies and final weights, over two epochs with a small last batch."""
    loaders = load(train=100, batch_size=32)
    expected = fit(TINY, loaders, 2, backend="numpy", momentum=0.5)
    found = fit(TINY, loaders, 2, backend=framework, momentum=0.5)
    for a, b in zip(expected.steps, found.steps, strict=True):
        assert b["examples"] == a["examples"]
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
    for a, b in zip(expected.epochs, found.epochs, strict=True):
        assert (b.train_accuracy, b.test_accuracy) == (a.train_accuracy, a.test_accuracy)
    weights = alexnet.get_weights(found.net)
    for key, w in alexnet.get_weights(expected.net).items():
        assert np.abs(weights[key] - w).max() < 1e-4


def test_train_ch6_takes_the_steps_of_the_frameworks_own_plain_loop(framework):
    """The losses of 12 steps of a loop written by hand, on the same batches and weights."""
    own_loop = by_backend(framework, PLAIN_LOOPS)
    train_iter, test_iter = load(train=192, batch_size=16)
    ours = fit("lenet", (train_iter, test_iter), lr=0.5, backend=framework)
    net = alexnet.build("lenet", backend=framework, seed=0)
    batches = ((native(framework, X), y) for X, y in train_iter.epoch(0))
    theirs = own_loop(net, batches, 0.5)
    assert len(theirs) == 12
    assert [s["loss"] for s in ours.steps] == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(
    ("train", "batch_size", "steps"),
    [(1, 1, 1), (1, 8, 1), (5, 2, 3), (9, 8, 2), (3, 1, 3)],
    ids=["one example", "one of less than a batch", "three", "a last batch of one", "singles"],
)
def test_few_batches_train(name, train, batch_size, steps):
    history = fit(TINY, load(train, 1, batch_size), backend=name)
    assert len(history.steps) == steps
    assert sum(s["examples"] for s in history.steps) == train
    assert history.examples_per_sec > 0
    assert 0 <= history.last.test_accuracy <= 1


def test_a_run_repeats_itself(name):
    loaders = load()
    first = fit("lenet", loaders, backend=name, seed=3)
    next(iter(loaders[0]))  # peeking does not shift the order
    again = fit("lenet", loaders, backend=name, seed=3)
    other = fit("lenet", loaders, backend=name, seed=4)
    losses = [[s["loss"] for s in h.steps] for h in (first, again, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-6)


def test_dropout_is_seeded(name):
    from alexnet.spec import Dropout

    net = Net("drop", (1, 28, 28), (Flatten(), Dropout(0.5), Dense(10)))
    losses = [[s["loss"] for s in fit(net, backend=name, seed=seed).steps] for seed in (1, 1, 2)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-6)


def test_evaluate_is_the_share_of_right_answers(name):
    _, test_iter = load()
    net = alexnet.build("lenet", backend=name)
    backend = backends.load(name)
    weights = {key: np.zeros_like(w) for key, w in alexnet.get_weights(net).items()}
    weights[max(weights, key=lambda k: (k.endswith("bias"), int(k.split(".")[0])))][3] = 1
    backend.set_weights(net, weights)  # predicts 3 for every image
    assert alexnet.evaluate(net, test_iter, "cpu") == (test_iter.labels == 3).mean()


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_epochs": 0}, RunError, "num_epochs must be a whole number of at least 1, got 0"),
        ({"num_epochs": 1.5}, RunError, "num_epochs must be a whole number of at least 1, got 1.5"),
        ({"lr": 0}, RunError, "lr must be a finite number above 0, got 0"),
        ({"lr": float("nan")}, RunError, "lr must be a finite number above 0, got nan"),
        ({"lr": "0.1"}, RunError, "lr must be a finite number above 0, got '0.1'"),
        ({"momentum": 1.0}, RunError, "momentum must be a number of at least 0 and below 1"),
        ({"seed": -1}, RunError, "seed must be a whole number of at least 0, got -1"),
        ({"seed": 2**63}, RunError, "seed must be below 2\\*\\*63, got 9223372036854775808"),
        ({"net": "lennet"}, SpecError, "unknown net 'lennet'"),
        ({"backend": None}, BackendError, "backend must name the framework that trains it"),
        ({"backend": "jax"}, BackendError, "unknown backend 'jax'"),
        ({"net": 42}, BackendError, "int is not a net of NumPy, PyTorch"),
        (
            {"net": "alexnet"},
            SpecError,
            "alexnet, layer 5 .*; the smallest image that fits is 65×65",
        ),
        ({"loaders": ([], [])}, DataError, "the training set gives no batches"),
    ],
)
def test_a_wrong_argument_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        fit(**{"net": "lenet", "backend": "numpy", **options})


def test_a_net_of_another_backend_is_refused(framework):
    net = alexnet.build("lenet", backend=framework)
    with pytest.raises(
        BackendError, match="backend='numpy' was given, but the net belongs to backend"
    ):
        fit(net, backend="numpy")


def test_a_net_that_gives_images_is_refused(name):
    net = Net("conv", (1, 28, 28), (Conv(3, 3),))
    with pytest.raises(RunError, match=r"the output must have shape \(batch, classes\), got"):
        fit(net, backend=name)


def test_labels_beyond_the_nets_classes_are_refused(name):
    net = Net("few", (1, 28, 28), (Flatten(), Dense(4)))
    with pytest.raises(DataError, match="the training set has label 9, but the net has 4 classes"):
        fit(net, backend=name)


def test_a_generator_is_refused_in_the_second_epoch():
    train_iter, test_iter = load()
    with pytest.raises(DataError, match="a generator can be iterated only once"):
        fit("lenet", ((b for b in train_iter), test_iter), 2, backend="numpy")


@pytest.mark.parametrize("wrong", ["lenet", zoo.LENET, lambda: alexnet.build("lenet", "numpy")])
def test_evaluate_refuses_what_is_not_a_net(wrong):
    """The net of a table or a function would be untrained."""
    with pytest.raises(BackendError, match="is not a net of NumPy, PyTorch"):
        alexnet.evaluate(wrong, load(48, 40, 16)[1])
