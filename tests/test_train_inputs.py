"""train_ch6: the kinds of nets, batches and numbers that it takes."""

from __future__ import annotations

import numpy as np
import pytest
from fits import fit, load
from helpers import native
from own_nets import by_hand, classes

import alexnet
from alexnet import History, backends


def test_a_net_written_by_hand_starts_from_the_same_weights(framework):
    """The run is the same for fused or separate activations and for given or inferred shapes."""
    expected = fit("lenet", backend="numpy", lr=0.5)
    for net in (by_hand(framework), lambda: by_hand(framework)):
        found = fit(net, lr=0.5)
        assert found.backend == framework
        assert [s["loss"] for s in found.steps] == pytest.approx(
            [s["loss"] for s in expected.steps], rel=1e-4
        )


@pytest.mark.needs("torch")
def test_a_net_that_is_a_class_trains_the_same_everywhere(framework):
    losses = [
        [s["loss"] for s in fit(classes(f), load(train=320), lr=0.02).steps]
        for f in sorted({framework, "torch"})
    ]
    assert losses[0] == pytest.approx(losses[-1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_reinit_false_keeps_the_nets_weights(name):
    net = alexnet.build("lenet", backend=name, seed=5)
    before = alexnet.get_weights(net)
    fit(net, load(train=8), lr=1e-12, reinit=False)
    after = alexnet.get_weights(net)
    assert all(np.allclose(after[key], w, atol=1e-9) for key, w in before.items())
    fit(net, load(train=8), lr=1e-12, seed=6)
    assert np.abs(alexnet.get_weights(net)["0.weight"] - before["0.weight"]).max() > 0.01


@pytest.mark.needs("torch")
def test_reinit_leaves_other_arrays_alone():
    import torch

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.PReLU())
    net.register_buffer("std", torch.tensor([0.353]))
    fit(net, lr=1e-12)
    assert net.std.item() == pytest.approx(0.353)
    assert net[2].weight.item() == pytest.approx(0.25)


@pytest.mark.needs("torch")
def test_a_torch_net_that_views_its_features_trains():
    """The class of seed 003 does; memory formats other than the default break it."""
    import torch

    class Viewing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 3, 5)
            self.fc = torch.nn.Linear(3 * 24 * 24, 10)

        def forward(self, x):
            x = self.conv(x)
            return self.fc(x.view(x.size(0), 3 * 24 * 24))

    assert fit(Viewing()).last.loss > 0


@pytest.mark.needs("tensorflow")
def test_a_keras_net_inside_a_class_starts_from_the_same_weights():
    import tensorflow as tf

    class Wrapped(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.net = by_hand("tensorflow")

        def call(self, X):
            return self.net(X)

    found, expected = (fit(net, lr=0.5) for net in (Wrapped(), by_hand("tensorflow")))
    assert [s["loss"] for s in found.steps] == pytest.approx(
        [s["loss"] for s in expected.steps], rel=1e-5
    )


# --- batches and numbers --------------------------------------------------------------------------


def test_train_ch6_accepts_lists_of_tensors(name):
    """Any iterable of (X, y) in the framework's layout, here lists of tensors."""
    backend = backends.load(name)
    lists = [
        [(native(name, X), backend.to_tensor(y, backend.cpu())) for X, y in it.epoch(0)]
        for it in load()
    ]
    found = fit(alexnet.build("lenet", backend=name), lists, lr=0.5)
    expected = fit("lenet", backend=name, lr=0.5)
    assert [s["loss"] for s in found.steps] == pytest.approx(
        [s["loss"] for s in expected.steps], rel=1e-6
    )


@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_train_ch6_accepts_labels_in_a_column_and_of_other_dtypes(name, kind):
    """The datasets of Paddle and Keras have such labels."""
    lists = [[(native(name, X), y[:, None].astype(kind)) for X, y in it.epoch(0)] for it in load()]
    found = fit(alexnet.build("lenet", backend=name), lists, lr=0.5)
    expected = fit("lenet", backend=name, lr=0.5)
    assert found.last.test_accuracy == expected.last.test_accuracy
    assert [s["accuracy"] for s in found.steps] == [s["accuracy"] for s in expected.steps]


def test_train_ch6_accepts_numpy_images_in_double_precision(name):
    swap = (0, 2, 3, 1) if backends.framework(name).channels_last else (0, 1, 2, 3)
    lists = [[(X.astype(np.float64).transpose(swap), y) for X, y in it.epoch(0)] for it in load()]
    found = fit(alexnet.build("lenet", backend=name), lists, lr=0.5)
    expected = fit("lenet", backend=name, lr=0.5)
    assert [s["loss"] for s in found.steps] == pytest.approx(
        [s["loss"] for s in expected.steps], rel=1e-5
    )


def test_train_ch6_accepts_numpy_numbers_and_whole_numbers(name, tmp_path):
    loaders = load(batch_size=np.int64(32))
    history = fit(
        "lenet", loaders, np.int64(1), 1, backend=name, seed=np.int64(3), momentum=np.float32(0.5)
    )
    history.save(tmp_path / "h.json")
    assert History.load(tmp_path / "h.json") == history
