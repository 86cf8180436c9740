"""Checkpoints of nets that this library did not build, or that were changed since."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import SMALL
from helpers import logits

import alexnet
from alexnet.errors import CheckpointError
from alexnet.spec import Conv, Dense, Flatten, LocalResponseNorm, Net, ReLU, zoo


def torch_lenet(activation):
    from torch import nn

    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), activation(), nn.AvgPool2d(2, 2)),
        nn.Sequential(nn.Conv2d(6, 16, 5), activation(), nn.AvgPool2d(2, 2), nn.Flatten()),
        nn.Sequential(nn.Linear(400, 120), activation()),
        nn.Sequential(nn.Linear(120, 84), activation(), nn.Linear(84, 10)),
    )


@pytest.mark.needs("torch")
def test_a_net_built_elsewhere_is_saved_under_its_model_name(covered, tmp_path, real_images):
    from torch import nn

    net = torch_lenet(nn.Sigmoid)
    alexnet.save(net, tmp_path / "net.safetensors", model="lenet")
    images = real_images[:, None] / np.float32(255)
    expected = logits("torch", net, images)
    for name in covered:
        loaded = alexnet.load(tmp_path / "net.safetensors", backend=name)
        np.testing.assert_allclose(logits(name, loaded, images), expected, rtol=0, atol=1e-5)


@pytest.mark.needs("torch")
def test_a_net_that_computes_something_else_is_refused(tmp_path):
    from torch import nn

    with pytest.raises(
        CheckpointError, match="lenet: this Sequential has the arrays of lenet, but"
    ):
        alexnet.save(torch_lenet(nn.ReLU), tmp_path / "net.safetensors", model="lenet")
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("torch")
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, r"this Sequential was not built by alexnet, so model= must say which net it is"),
        ("alexnet", r"alexnet: the net needs 16 arrays, got 10"),
        (
            zoo.LENET.resolve((1, 32, 32)).net,
            r"2\.0\.weight must have shape \(120, 576\) for 7\.weight, got",
        ),
    ],
)
def test_an_unknown_or_unfitting_net_is_refused(model, message, tmp_path):
    from torch import nn

    with pytest.raises(CheckpointError, match=message):
        alexnet.save(torch_lenet(nn.Sigmoid), tmp_path / "net.safetensors", model=model)
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("torch")
def test_a_built_net_that_was_changed_is_refused(tmp_path):
    from torch import nn

    net = alexnet.build(SMALL, backend="torch")
    net[1] = nn.Tanh()
    with pytest.raises(CheckpointError, match="computes something else"):
        alexnet.save(net, tmp_path / "net.safetensors")
    net[2] = nn.Linear(3, 7)
    with pytest.raises(
        CheckpointError, match=r"must have shape \(2, 3\) for 2\.weight, got \(7, 3\)"
    ):
        alexnet.save(net, tmp_path / "net.safetensors")


def paper_norm(alpha):
    from torch import nn

    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.LocalResponseNorm(5, alpha, k=2.0), nn.ReLU())


@pytest.mark.needs("torch")
def test_a_wrong_alpha_or_relu6_is_found_on_large_images(tmp_path):
    """PyTorch divides alpha by size, so the paper's alpha is five times too small there."""
    table = Net("norm", (1, 9, 9), (Conv(8, 3), LocalResponseNorm(), ReLU(), Flatten()))
    from torch import nn

    alexnet.save(nn.Sequential(*paper_norm(5e-4), nn.Flatten()), tmp_path / "a", model=table)
    with pytest.raises(CheckpointError, match="computes something else"):
        alexnet.save(nn.Sequential(*paper_norm(1e-4), nn.Flatten()), tmp_path / "b", model=table)
    relu6 = nn.Sequential(*paper_norm(5e-4)[:2], nn.ReLU6(), nn.Flatten())
    with pytest.raises(CheckpointError, match="computes something else"):
        alexnet.save(relu6, tmp_path / "b", model=table)
    assert not (tmp_path / "b").exists()


@pytest.mark.needs("mxnet")
def test_a_net_that_has_no_arrays_yet_is_refused(tmp_path):
    from mxnet.gluon import nn

    net = nn.HybridSequential()
    net.add(nn.Dense(3), nn.Activation("relu"), nn.Dense(2))
    net.initialize()
    with pytest.raises(CheckpointError, match="before their first call on a batch"):
        alexnet.save(net, tmp_path / "net.safetensors", model=SMALL)


@pytest.mark.needs("mxnet")
def test_a_gluon_net_that_was_not_initialized_is_refused(tmp_path):
    from mxnet.gluon import nn

    with pytest.raises(CheckpointError, match="cannot read the arrays of this Dense"):
        alexnet.save(nn.Dense(3, in_units=2), tmp_path / "net.safetensors", SMALL)


@pytest.mark.needs("tensorflow")
def test_a_keras_class_with_an_unknown_order_of_features_is_refused(tmp_path):
    import keras

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = [keras.layers.Flatten(), keras.layers.Dense(3)]

        def call(self, x):
            return self.inner[1](self.inner[0](x))

    net = Own()
    net(np.zeros((1, 2, 5, 4)))
    with pytest.raises(CheckpointError, match="whose order of features after a Flatten is unknown"):
        alexnet.save(net, tmp_path / "a", model=Net("own", (4, 2, 5), (Flatten(), Dense(3))))


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_torchvisions_alexnet_gives_its_own_logits_in_every_backend(covered, tmp_path):
    import torch
    import torchvision

    torch.manual_seed(0)
    theirs = torchvision.models.alexnet(weights=None)
    alexnet.save(theirs, tmp_path / "net.safetensors", model="alexnet-torchvision")
    images = np.random.default_rng(0).standard_normal((2, 3, 224, 224)).astype(np.float32)
    expected = logits("torch", theirs, images)
    for name in covered:
        found = logits(name, alexnet.load(tmp_path / "net.safetensors", backend=name), images)
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max(), name
