"""Checkpoints: one file for all frameworks, which describes its own contents."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from checkpoints import SMALL, saved
from helpers import logits, python, render
from hypothesis import given
from hypothesis import strategies as st
from nets import EVERY_LAYER, rendered
from safetensors.numpy import load_file

import alexnet
from alexnet import backends
from alexnet.errors import CheckpointError, SpecError
from alexnet.parity.random_nets import random_net
from alexnet.spec import Dense, Dropout, Net, ReLU, zoo
from alexnet.spec.weights import initial_weights


@given(number=st.integers(0, 10**6))
def test_a_random_net_survives_json(number):
    net = random_net(random.Random(number))
    assert Net.from_dict(json.loads(json.dumps(net.to_dict()))) == net


@pytest.mark.parametrize("model", zoo.ZOO)
def test_every_net_of_the_zoo_survives_json(model):
    assert Net.from_dict(json.loads(json.dumps(zoo.get(model).to_dict()))) == zoo.get(model)


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_every_framework_loads_what_another_saves(name, covered, net, tmp_path):
    weights, images = saved(tmp_path / "net.safetensors", net, name)
    expected = logits(name, rendered(name, net, weights), images)
    for other in covered:
        loaded = alexnet.load(tmp_path / "net.safetensors", backend=other)
        for key, w in alexnet.get_weights(loaded).items():
            np.testing.assert_array_equal(w, weights[key], err_msg=f"{other} {key}")
        np.testing.assert_allclose(logits(other, loaded, images), expected, rtol=0, atol=2e-5)


def test_a_checkpoint_keeps_double_precision(name, tmp_path):
    backend = backends.load(name)
    net = render(name, SMALL, "float64")
    drawn = initial_weights(SMALL.resolve().parameters)
    weights = {k: w.astype(np.float64) + 1e-12 for k, w in drawn.items()}
    backend.set_weights(net, weights)
    alexnet.save(net, tmp_path / "net.safetensors")
    loaded = alexnet.load(tmp_path / "net.safetensors", backend=name)
    for key, w in alexnet.get_weights(loaded).items():
        assert w.dtype == np.float64
        np.testing.assert_array_equal(w, weights[key])


def test_the_file_is_plain_safetensors_with_neutral_keys(tmp_path):
    weights, _ = saved(tmp_path / "net.safetensors")
    arrays = load_file(tmp_path / "net.safetensors")
    assert arrays.keys() == {"0.weight", "0.bias", "2.weight", "2.bias"}
    np.testing.assert_array_equal(arrays["2.weight"], weights["2.weight"])


def test_the_same_net_gives_the_same_bytes(tmp_path):
    for path in ("a", "b"):
        saved(tmp_path / path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_checkpoint_keeps_the_image_size(tmp_path):
    net = alexnet.build("lenet", backend="numpy", input_shape=(1, 32, 32))
    alexnet.save(net, tmp_path / "net.safetensors")
    assert alexnet.load(tmp_path / "net.safetensors", backend="numpy")(
        np.zeros((2, 1, 32, 32))
    ).shape == (2, 10)


def test_a_net_whose_logits_are_zero_is_saved(name, tmp_path):
    net = alexnet.build(SMALL, backend=name)
    zeros = {key: np.zeros_like(w) for key, w in alexnet.get_weights(net).items()}
    alexnet.set_weights(net, zeros)
    alexnet.save(net, tmp_path / "net.safetensors")


def test_a_net_without_parameters_is_saved(name, tmp_path):
    table = Net("bare", (4,), (ReLU(),))
    alexnet.save(alexnet.build(table, backend=name), tmp_path / "net.safetensors")
    loaded = alexnet.load(tmp_path / "net.safetensors", backend=name)
    assert logits(name, loaded, np.array([[-1.0, 2, -3, 4]])).tolist() == [[0, 2, 0, 4]]


@pytest.mark.parametrize(
    "library", [pytest.param(n, marks=pytest.mark.needs(n)) for n in ("torch", "paddle")]
)
def test_saving_in_the_middle_of_training_leaves_the_net_in_training(library, tmp_path):
    net = alexnet.build(Net("drop", (4,), (Dense(3), Dropout(), Dense(2))), backend=library)
    net.train()
    net[1].eval()
    alexnet.save(net, tmp_path / "net.safetensors")
    assert [layer.training for layer in net] == [True, False, True]


def test_a_net_that_could_not_be_read_back_is_not_written(tmp_path):
    class Mine(ReLU):
        pass

    net = alexnet.build(SMALL, backend="numpy")
    with pytest.raises(
        CheckpointError, match="input_shape= needs model=, the net that the shape is for"
    ):
        alexnet.save(net, tmp_path / "a", input_shape=(5,))
    with pytest.raises(SpecError, match="a net's name must be a string, got 5"):
        Net(5, (4,), (Dense(3),))
    with pytest.raises(SpecError, match="odd, layer 0: a Mine cannot be saved"):
        Net("odd", (4,), (Mine(),)).to_dict()


@pytest.mark.needs("torch")
def test_half_precision_is_refused(tmp_path):
    net = alexnet.build(SMALL, backend="torch").half()
    with pytest.raises(CheckpointError, match=r"0\.weight is float16; all arrays must be float32"):
        alexnet.save(net, tmp_path / "net.safetensors")


def test_non_finite_weights_are_not_saved(name, tmp_path):
    path = tmp_path / "net.safetensors"
    saved(path)
    before = path.read_bytes()
    net = alexnet.build(SMALL, backend=name)
    weights = alexnet.get_weights(net)
    weights["2.bias"][1] = np.nan
    backends.load(name).set_weights(net, weights)
    with pytest.raises(CheckpointError, match=r"2\.bias has values that are not finite"):
        alexnet.save(net, path)
    assert path.read_bytes() == before


# --- the file's place -----------------------------------------------------------------------------


def test_saving_keeps_links_and_permissions(tmp_path):
    target, link = tmp_path / "target.safetensors", tmp_path / "link.safetensors"
    saved(target)
    target.chmod(0o600)
    link.symlink_to(target)
    net = alexnet.build(SMALL, backend="numpy", seed=7)
    alexnet.save(net, link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    found = alexnet.get_weights(alexnet.load(target, backend="numpy"))
    np.testing.assert_array_equal(found["0.weight"], alexnet.get_weights(net)["0.weight"])


def test_a_path_that_cannot_be_read_or_written_is_refused(tmp_path):
    net = alexnet.build(SMALL, backend="numpy")
    with pytest.raises(CheckpointError, match="No such file"):
        alexnet.load(tmp_path / "none.safetensors", backend="numpy")
    with pytest.raises(CheckpointError, match="Is a directory"):
        alexnet.load(tmp_path, backend="numpy")
    with pytest.raises(CheckpointError, match="cannot be written"):
        alexnet.save(net, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        alexnet.save(net, tmp_path / "file" / "net.safetensors")


def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.safetensors"
    saved(path)
    before = path.read_bytes()
    killed = python(
        "import os, signal, sys, alexnet, alexnet.training.checkpoint_file as checkpoint\n"
        "def half(tensors, path, metadata):\n"
        "    path.write_bytes(b'half of it')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "checkpoint.save_file = half\n"
        f"alexnet.save(alexnet.build('lenet', backend='numpy'), {str(path)!r})\n"
    )
    assert killed.returncode == -9
    assert path.read_bytes() == before
