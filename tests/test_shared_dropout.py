"""Shared dropout: every framework trains with the masks that NumPy draws."""

from __future__ import annotations

import numpy as np
import pytest
from fits import fit, load
from helpers import by_backend, is_numpy, layers_of
from nets import DROPOUT_EVERYWHERE

from alexnet import backends, build, get_weights
from alexnet.backends import BoundNet
from alexnet.backends.dropout_masks import draw_mask
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps
from alexnet.errors import RunError
from alexnet.parity.check import TOLERANCE
from alexnet.train import epochs_on


def data():
    """Six steps in two epochs; the last batch of each is smaller."""
    return load(train=40, test=20, batch_size=16)


def test_a_mask_depends_on_seed_epoch_step_and_layer_alone():
    place = {"seed": 1, "epoch": 2, "step": 3, "index": 4}
    shape = (30, 7, 5)
    mask = draw_mask(**place, rate=0.5, shape=shape)
    assert mask.dtype == np.uint8
    assert (draw_mask(**place, rate=0.5, shape=shape) == mask).all()
    for name in place:
        other = draw_mask(**(place | {name: 5}), rate=0.5, shape=shape)
        assert 0.4 < (other == mask).mean() < 0.6, name


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 2**40])
def test_a_mask_keeps_the_right_share(rate, seed):
    mask = draw_mask(seed, 0, 0, 0, rate, (100, 1001))
    assert set(np.unique(mask)) <= {0, 1}
    assert mask.mean() == pytest.approx(1 - rate, abs=0.006)
    for axis in (0, 1):  # no row or column stands out
        assert abs(mask.mean(axis=axis) - (1 - rate)).max() < 0.3


def test_every_framework_trains_with_the_same_masks(name):
    """Their losses are the reference's, and the trained net has the framework's own dropout layers."""
    settings = {"lr": 0.01, "momentum": 0.9, "shared_dropout": True, "seed": 3}
    expected = fit(DROPOUT_EVERYWHERE, data(), 2, backend="numpy", **settings)
    found = fit(DROPOUT_EVERYWHERE, data(), 2, backend=name, **settings)
    losses = [[s["loss"] for s in history.steps] for history in (found, expected)]
    np.testing.assert_allclose(*losses, rtol=TOLERANCE["float32"])
    assert type(found.net) is type(build(DROPOUT_EVERYWHERE, backend=name))
    assert "Masked" not in repr(found.net)
    backends.load(name).seed(found.net, 0)  # Keras keeps a seed in each of its own dropout layers
    assert found.settings["shared_dropout"] is True


def test_a_net_object_keeps_its_own_layers(name):
    """A run with shared dropout changes its weights and nothing else."""
    net = build(DROPOUT_EVERYWHERE, backend=name)
    layers = layers_of(net)
    before = get_weights(net)
    history = fit(net, data(), shared_dropout=True)
    assert history.net is net
    assert [*map(id, layers)] == [*map(id, layers_of(net))]
    assert any((before[key] != array).any() for key, array in get_weights(net).items())


def test_without_shared_dropout_the_framework_draws(framework):
    """As in the book; so its losses are not the reference's."""
    if is_numpy(framework):
        pytest.skip("NumPy may draw its masks as the reference does")
    losses = [
        [s["loss"] for s in fit(DROPOUT_EVERYWHERE, data(), backend=b).steps]
        for b in (framework, "numpy")
    ]
    assert not np.allclose(*losses, rtol=1e-3)


def test_a_net_without_a_table_is_refused(framework):
    own = {
        "torch": lambda m: m.torch.nn.Sequential(m.torch.nn.Flatten(), m.torch.nn.Linear(784, 10)),
        "mxnet": lambda m: m.nn.Dense(10),
        "tensorflow": lambda m: m.keras.Sequential(
            [m.keras.Input((28, 28, 1)), m.layers.Flatten()]
        ),
        "paddle": lambda m: m.nn.Sequential(m.nn.Flatten(), m.nn.Linear(784, 10)),
    }
    net = by_backend(framework, own)(backends.load(framework))
    with pytest.raises(RunError, match="shared_dropout=True needs the name of a net"):
        fit(net, data(), shared_dropout=True)


def steps_of(name):
    """Three steps with masks, one-cycle learning rates and a smaller last batch."""
    net = BoundNet.of(build(DROPOUT_EVERYWHERE, backend=name, device="cpu"))
    steps = Steps(net, Schedule("one-cycle", 0.1, 1, 3), momentum=0.9, mask_seed=0)
    for X, y in epochs_on(data()[0], net)(0):
        steps.step(X, y)
    return steps


@pytest.mark.needs("tensorflow")
def test_tensorflow_traces_one_graph_for_all_masks_and_learning_rates(monkeypatch):
    """Python runs the step only while TensorFlow traces it."""
    trainer = backends.load("tensorflow").Trainer
    traced = []
    step = trainer._step
    monkeypatch.setattr(trainer, "_step", lambda *batch: traced.append(1) or step(*batch))
    steps_of("tensorflow")
    assert len(traced) == 1


@pytest.mark.needs("mxnet")
def test_mxnet_trains_a_hybridised_net_with_masks():
    native = steps_of("mxnet").native
    assert native._active
    assert native._cached_op is not None
