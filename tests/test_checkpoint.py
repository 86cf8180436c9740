"""Checkpoints: one file for all frameworks, which says itself what is in it."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import struct

import numpy as np
import pytest
from helpers import alexnet as command
from helpers import logits, python, render
from hypothesis import given
from hypothesis import strategies as st
from nets import EVERY_LAYER, example, rendered
from safetensors.numpy import load_file, save_file

import alexnet
from alexnet import backends
from alexnet.errors import CheckpointError, SpecError
from alexnet.parity.random_nets import random_net
from alexnet.spec import Conv, Dense, Dropout, Flatten, LocalResponseNorm, Net, ReLU, zoo
from alexnet.spec.weights import initial_weights
from alexnet.training.checkpoint import convert
from alexnet.training.checkpoint_file import Checkpoint

SMALL = Net("small", (4,), (Dense(3), ReLU(), Dense(2)))


def saved(path, net=SMALL, name="numpy", seed=1):
    """A checkpoint of a net whose weights are all different; those weights, and a batch."""
    weights, images, _ = example(net, seed)
    native_net = render(name, net)
    backends.load(name).set_weights(native_net, weights)
    alexnet.save(native_net, path)
    return weights, images


# --- there and back -------------------------------------------------------------------------------


@given(number=st.integers(0, 10**6))
def test_a_net_that_is_written_down_is_read_as_the_same(number):
    net = random_net(random.Random(number))
    assert Net.from_dict(json.loads(json.dumps(net.to_dict()))) == net


@pytest.mark.parametrize("model", zoo.ZOO)
def test_so_is_every_net_of_the_zoo(model):
    assert Net.from_dict(json.loads(json.dumps(zoo.get(model).to_dict()))) == zoo.get(model)


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_what_one_framework_saves_every_other_loads(name, covered, net, tmp_path):
    weights, images = saved(tmp_path / "net.safetensors", net, name)
    expected = logits(name, rendered(name, net, weights), images)
    for other in covered:
        loaded = alexnet.load(tmp_path / "net.safetensors", backend=other)
        for key, w in alexnet.get_weights(loaded).items():
            np.testing.assert_array_equal(w, weights[key], err_msg=f"{other} {key}")
        np.testing.assert_allclose(logits(other, loaded, images), expected, rtol=0, atol=2e-5)


def test_double_precision_stays(name, tmp_path):
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


def test_the_size_of_the_images_is_kept(tmp_path):
    net = alexnet.build("lenet", backend="numpy", input_shape=(1, 32, 32))
    alexnet.save(net, tmp_path / "net.safetensors")
    assert alexnet.load(tmp_path / "net.safetensors", backend="numpy")(
        np.zeros((2, 1, 32, 32))
    ).shape == (2, 10)


# --- nets that were not built here ----------------------------------------------------------------


def torch_lenet(activation):
    from torch import nn

    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), activation(), nn.AvgPool2d(2, 2)),
        nn.Sequential(nn.Conv2d(6, 16, 5), activation(), nn.AvgPool2d(2, 2), nn.Flatten()),
        nn.Sequential(nn.Linear(400, 120), activation()),
        nn.Sequential(nn.Linear(120, 84), activation(), nn.Linear(84, 10)),
    )


@pytest.mark.needs("torch")
def test_a_net_of_ones_own_is_saved_by_the_name_of_its_table(covered, tmp_path, real_images):
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
        (None, r"this Sequential was not built here; model= must say which net it is"),
        ("alexnet", r"alexnet: 10 arrays, the net needs 16"),
        (zoo.LENET.resolve((1, 32, 32)).net, r"2\.0\.weight has shape \(120, 400\)"),
    ],
)
def test_a_net_that_is_not_known_or_does_not_fit_is_refused(model, message, tmp_path):
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
    with pytest.raises(CheckpointError, match=r"2\.weight has shape \(7, 3\)"):
        alexnet.save(net, tmp_path / "net.safetensors")


def paper_norm(alpha):
    from torch import nn

    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.LocalResponseNorm(5, alpha, k=2.0), nn.ReLU())


@pytest.mark.needs("torch")
def test_small_images_alone_would_not_tell(tmp_path):
    """PyTorch divides alpha by size; with the paper's alpha, it is five times too small."""
    table = Net("norm", (1, 9, 9), (Conv(8, 3), LocalResponseNorm(), ReLU(), Flatten()))
    from torch import nn

    alexnet.save(nn.Sequential(*paper_norm(5e-4), nn.Flatten()), tmp_path / "a", model=table)
    with pytest.raises(CheckpointError, match="computes something else"):
        alexnet.save(nn.Sequential(*paper_norm(1e-4), nn.Flatten()), tmp_path / "b", model=table)
    relu6 = nn.Sequential(*paper_norm(5e-4)[:2], nn.ReLU6(), nn.Flatten())
    with pytest.raises(CheckpointError, match="computes something else"):
        alexnet.save(relu6, tmp_path / "b", model=table)
    assert not (tmp_path / "b").exists()


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


@pytest.mark.needs("mxnet")
def test_a_net_that_has_no_arrays_yet_is_refused(tmp_path):
    from mxnet.gluon import nn

    net = nn.HybridSequential()
    net.add(nn.Dense(3), nn.Activation("relu"), nn.Dense(2))
    net.initialize()
    with pytest.raises(CheckpointError, match="before it has been called on a batch"):
        alexnet.save(net, tmp_path / "net.safetensors", model=SMALL)


@pytest.mark.needs("tensorflow")
def test_keras_tells_that_an_order_of_features_may_be_unknown(tmp_path):
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


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    class Mine(ReLU):
        pass

    net = alexnet.build(SMALL, backend="numpy")
    with pytest.raises(CheckpointError, match="input_shape= is for a net that model= names"):
        alexnet.save(net, tmp_path / "a", input_shape=(5,))
    with pytest.raises(SpecError, match="a net's name must be text, not 5"):
        Net(5, (4,), (Dense(3),))
    with pytest.raises(SpecError, match="odd, layer 0: a Mine cannot be written down"):
        Net("odd", (4,), (Mine(),)).to_dict()


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
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


@pytest.mark.needs("torch")
def test_half_precision_is_refused(tmp_path):
    net = alexnet.build(SMALL, backend="torch").half()
    with pytest.raises(CheckpointError, match=r"0\.weight is float16; all arrays must be float32"):
        alexnet.save(net, tmp_path / "net.safetensors")


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


@pytest.mark.parametrize(
    "library", [pytest.param(n, marks=pytest.mark.needs(n)) for n in ("torch", "paddle")]
)
def test_saving_in_the_middle_of_training_leaves_the_net_in_training(library, tmp_path):
    net = alexnet.build(Net("drop", (4,), (Dense(3), Dropout(), Dense(2))), backend=library)
    net.train()
    net[1].eval()
    alexnet.save(net, tmp_path / "net.safetensors")
    assert [layer.training for layer in net] == [True, False, True]


# --- files that are not in order ------------------------------------------------------------------


def rewritten(path, change):
    """Change the arrays or what the file says of itself: ``change(arrays, about)``.

    What is written is a file of version 1, without checksums.
    """
    arrays = load_file(path)
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        _, text = json.loads(file.read(length))["__metadata__"]["alexnet"].split(" ", 1)
    about = json.loads(text)
    about["version"] = 1
    del about["sha256"]
    change(arrays, about)
    save_file(arrays, path, {"alexnet": json.dumps(about)})


def nest(about, *keys, value):
    for key in keys[:-1]:
        about = about[key]
    about[keys[-1]] = value


HISTORY = alexnet.History("small", "numpy", "1", "cpu", {}, {}).to_dict()


def trained(history, scale=1.0):
    return {"training": {"history": history, "velocity_scale": scale}}


CHANGES = {
    r"missing 2\.bias": lambda a, _: a.pop("2.bias"),
    r"not in the net: 3\.weight": lambda a, _: a.update({"3.weight": np.ones(3, "f")}),
    r"0\.weight has shape \(4, 3\), the net needs \(3, 4\)": lambda a, _: a.update(
        {"0.weight": np.ones((4, 3), "f")}
    ),
    r"2\.bias has values that are not finite": lambda a, _: a.update(
        {"2.bias": np.array([1, np.inf], "f")}
    ),
    r"0\.bias has values that are not finite": lambda a, _: a.update(
        {"0.bias": np.array([1, np.nan, 0], "f")}
    ),
    r"0\.weight is float16; all arrays must": lambda a, _: a.update(
        {k: v.astype("float16") for k, v in a.items()}
    ),
    r"2\.bias is float64; all arrays must": lambda a, _: a.update({"2.bias": np.ones(2)}),
    r"0\.weight is int64": lambda a, _: a.update({k: v.astype("int64") for k, v in a.items()}),
    r"is of version 3; this version of alexnet reads up to 2": lambda _, about: about.update(
        version=3
    ),
    "lacks the checksum of its metadata": lambda _, about: about.update(version=2),
    r"is of version None": lambda _, about: about.pop("version"),
    r"small, layer 1: there is no layer 'Relu'": lambda _, about: nest(
        about, "net", "layers", 1, "layer", value="Relu"
    ),
    r"small, layer 0: Dense\(0\): out_features must be": lambda _, about: nest(
        about, "net", "layers", 0, "out_features", value=0
    ),
    r"small, layer 0: Dense: .*'units'": lambda _, about: nest(
        about, "net", "layers", 0, "units", value=3
    ),
    r"input shape must be": lambda _, about: nest(about, "net", "input_shape", value=[4, 4]),
    r"a net is written as name, input_shape and layers": lambda _, about: about.pop("net"),
    r"a training is written as history and velocity_scale": lambda _, about: about.update(
        training=[1]
    ),
    r"a history of format 9": lambda _, about: about.update(trained({"format": 9})),
    r"a history is a table of names and values": lambda _, about: about.update(trained([])),
    r"wrong or missing: lr": lambda _, about: about.update(trained(HISTORY | {"lr": 1})),
    r"a history's settings cannot be 'abc'": lambda _, about: about.update(
        trained(HISTORY | {"settings": "abc"})
    ),
    r"a history's epochs have loss, train_accuracy": lambda _, about: about.update(
        trained(HISTORY | {"epochs": [1]})
    ),
    r"a history's steps are numbers, not": lambda _, about: about.update(
        trained(HISTORY | {"steps": [{"examples": 1, "loss": "a", "accuracy": 0.5, "seconds": 1}]})
    ),
    r"velocity_scale must be a finite number other than zero, not 0.0": lambda _, about: (
        about.update(trained(HISTORY, 0.0))
    ),
    r"velocity_scale must be a finite number other than zero, not nan": lambda _, about: (
        about.update(trained(HISTORY, float("nan")))
    ),
    r"velocity_scale must be a finite number other than zero, not 1000": lambda _, about: (
        about.update(trained(HISTORY, 10**400))
    ),
    r"small, layer 0: .*'self'": lambda _, about: nest(about, "net", "layers", 0, "self", value=1),
    r"small, layer 1: LocalResponseNorm\(.*: alpha must be a finite number": lambda _, about: nest(
        about, "net", "layers", 1, value={"layer": "LocalResponseNorm", "alpha": 10**400}
    ),
    r"is of version True": lambda _, about: about.update(version=True),
    r"3\.weight, .* and 2,992 more$": lambda a, _: a.update(
        {f"{n}.weight": np.ones(1, "f") for n in range(3, 3003)}
    ),
    r"velocity: missing 0\.weight": lambda a, _: a.update({"velocity.0.bias": np.ones(3, "f")}),
}


def test_the_history_that_is_changed_below_is_itself_in_order(tmp_path):
    path = tmp_path / "net.safetensors"
    saved(path)
    rewritten(path, lambda _, about: about.update(trained(HISTORY)))
    assert Checkpoint.read(path).history.model == "small"


@pytest.mark.parametrize("message", CHANGES)
def test_a_file_that_is_not_in_order_is_refused_in_one_sentence(message, tmp_path):
    path = tmp_path / "net.safetensors"
    saved(path)
    rewritten(path, CHANGES[message])
    with pytest.raises(CheckpointError, match=message) as error:
        alexnet.load(path, backend="numpy")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def other_files():
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    return {
        "is a pickle or a zip file": [pickle.dumps({"0.weight": [1.0]}), archive.getvalue()],
        "is truncated or is not a safetensors file": [b"", b"abc", bytes(100), b"{}" * 50],
    }


@pytest.mark.parametrize(
    ("message", "content"), [(m, c) for m, cs in other_files().items() for c in cs]
)
def test_a_file_of_another_kind_is_refused(message, content, tmp_path):
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path))}: {message}"):
        alexnet.load(path, backend="numpy")


def test_metadata_without_end_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a": np.ones(1)}, path, {"alexnet": "[" * 200_000})
    with pytest.raises(CheckpointError, match="its metadata is not JSON"):
        alexnet.load(path, backend="numpy")


@pytest.mark.parametrize("length", [128, 640, 1408, 65_664, 66_176])
def test_a_truncated_file_is_not_called_a_pickle(length, tmp_path):
    """Even if the length of its header begins as a pickle does."""
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":')
    with pytest.raises(CheckpointError, match="is truncated or is not a safetensors file"):
        alexnet.load(path, backend="numpy")


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "net.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="is a pickle"):
        alexnet.load(tmp_path / "net.safetensors", backend="numpy")
    assert not (tmp_path / "sprung").exists()


def test_tensors_of_someone_else_hold_no_net(tmp_path):
    save_file({"features.0.weight": np.ones(3)}, tmp_path / "net.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="holds tensors, but no net"):
        alexnet.load(tmp_path / "net.safetensors", backend="numpy")


@pytest.mark.needs("torch")
def test_a_dtype_that_numpy_does_not_have_is_refused(tmp_path):
    import torch
    from safetensors.torch import save_file as save_torch

    saved(tmp_path / "net.safetensors")
    whole = {k: torch.from_numpy(v) for k, v in load_file(tmp_path / "net.safetensors").items()}
    about = {"version": 1, "net": SMALL.to_dict(), "training": None}
    save_torch(
        {k: v.bfloat16() for k, v in whole.items()},
        tmp_path / "net.safetensors",
        {"alexnet": json.dumps(about)},
    )
    with pytest.raises(CheckpointError, match=r"net\.safetensors: .*bfloat16"):
        alexnet.load(tmp_path / "net.safetensors", backend="numpy")


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


def test_a_file_of_before_there_were_checksums_still_loads(tmp_path):
    path = tmp_path / "net.safetensors"
    weights, _ = saved(path)
    rewritten(path, lambda arrays, about: None)
    for key, w in Checkpoint.read(path).weights.items():
        np.testing.assert_array_equal(w, weights[key])


def damaged(content, source):
    """A copy that differs: cut short, with flipped bits, with bytes swapped, or with others."""
    while True:
        copy = bytearray(content)
        match source.choice(["cut", "flip", "swap", "other"]):
            case "cut":
                del copy[source.randrange(len(copy)) :]
            case "flip":
                for _ in range(source.randint(1, 3)):
                    copy[source.randrange(len(copy))] ^= 1 << source.randrange(8)
            case "swap":
                a, b = source.randrange(len(copy)), source.randrange(len(copy))
                copy[a], copy[b] = copy[b], copy[a]
            case _:
                copy[source.randrange(len(copy))] = source.randrange(256)
        if copy != content:
            return bytes(copy)


def test_a_thousand_damaged_files_are_refused(tmp_path):
    """Each in one sentence; none is read as if it were whole."""
    path, source = tmp_path / "net.safetensors", random.Random(0)
    train_iter, test_iter = alexnet.load_fashion_mnist(16, None, source="sample", subset=(32, 16))
    alexnet.train_ch6(
        "lenet", train_iter, test_iter, 1, 0.1, backend="numpy", momentum=0.9, checkpoint=path
    )
    saved(tmp_path / "small.safetensors")
    for whole in (path.read_bytes(), (tmp_path / "small.safetensors").read_bytes()):
        for _ in range(500):
            path.write_bytes(damaged(whole, source))
            with pytest.raises(CheckpointError) as error:
                Checkpoint.read(path)
            assert str(error.value).startswith(f"{path}: ")
            assert "\n" not in str(error.value)


def test_values_that_are_not_finite_are_not_saved(name, tmp_path):
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


# --- the frameworks' own formats ------------------------------------------------------------------

LENET_IN = {
    "torch": """
import safetensors.torch, torch
from torch import nn
net = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2),
    nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
net.load_state_dict(safetensors.torch.load_file(path))
found = net(torch.from_numpy(images)).detach().numpy()
""",
    "mxnet": """
import numpy
numpy.__dict__.setdefault("bool", bool)
from mxnet import np as mnp, npx
from mxnet.gluon import nn
npx.set_np()
net = nn.HybridSequential()
net.add(
    nn.Conv2D(6, 5, padding=2), nn.Activation("sigmoid"), nn.AvgPool2D(2, 2),
    nn.Conv2D(16, 5), nn.Activation("sigmoid"), nn.AvgPool2D(2, 2), nn.Flatten(),
    nn.Dense(120), nn.Activation("sigmoid"), nn.Dense(84), nn.Activation("sigmoid"), nn.Dense(10))
net.load_parameters(path)
found = net(mnp.array(images)).asnumpy()
""",
    "paddle": """
import paddle
from paddle import nn
net = nn.Sequential(
    nn.Conv2D(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2D(2, 2),
    nn.Conv2D(6, 16, 5), nn.Sigmoid(), nn.AvgPool2D(2, 2), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
net.set_state_dict(paddle.load(path))
found = net(paddle.to_tensor(images)).numpy()
""",
    "tensorflow": """
import keras
found = keras.models.load_model(path)(images.transpose(0, 2, 3, 1)).numpy()
""",
}


def read_without_us(program, path, images, folder):
    """The logits that a program gives in which this library cannot be imported."""
    np.save(folder / "images.npy", images)
    found = python(
        "import sys\nsys.modules['alexnet'] = None\nimport numpy as np\n"
        f"path, images = {str(path)!r}, np.load({str(folder / 'images.npy')!r})\n"
        f"{program}\nnp.save({str(folder / 'found.npy')!r}, found)\n"
    )
    assert found.returncode == 0, found.stderr
    return np.load(folder / "found.npy")


@pytest.mark.slow
def test_a_framework_reads_what_is_converted_without_this_library(framework, tmp_path, real_images):
    weights, _ = saved(tmp_path / "lenet.safetensors", zoo.LENET)
    images = real_images[:, None] / np.float32(255)
    done = command("convert", str(tmp_path / "lenet.safetensors"), "--to", framework)
    assert done.returncode == 0, done.stderr
    path = done.stdout.strip()
    expected = logits("numpy", rendered("numpy", zoo.LENET, weights), images)
    found = read_without_us(LENET_IN[framework], path, images, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_keras_reads_layers_that_it_does_not_have(tmp_path):
    net = EVERY_LAYER[0]  # local response normalisation, and a maximum over padding
    weights, images = saved(tmp_path / "net.safetensors", net)
    path = convert(tmp_path / "net.safetensors", "tensorflow")
    found = read_without_us(LENET_IN["tensorflow"], path, images, tmp_path)
    expected = logits("numpy", rendered("numpy", net, weights), images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_numpys_format_is_an_archive_of_the_arrays(tmp_path):
    weights, _ = saved(tmp_path / "net.safetensors")
    with np.load(convert(tmp_path / "net.safetensors", "numpy")) as found:
        assert set(found) == set(weights)
        for key, w in weights.items():
            np.testing.assert_array_equal(found[key], w)


def test_a_norms_arrays_are_converted_too(framework, tmp_path):
    """Read back by the framework into a net of the same layers: its running statistics too."""
    net = Net("norm", (1, 9, 14), EVERY_LAYER[3].layers)
    weights, images = saved(tmp_path / "net.safetensors", net)
    path = str(convert(tmp_path / "net.safetensors", framework))
    model = render(framework, net)
    match framework:
        case "torch":
            from safetensors.torch import load_file as load_torch

            model.load_state_dict(load_torch(path))
        case "mxnet":
            model.load_parameters(path)
        case "paddle":
            import paddle

            model.set_state_dict(paddle.load(path))
        case "tensorflow":
            import keras

            model = keras.models.load_model(path)
    expected = logits("numpy", rendered("numpy", net, weights), images)
    np.testing.assert_allclose(logits(framework, model, images), expected, rtol=0, atol=2e-5)


def test_a_conversion_that_cannot_be_is_one_sentence(tmp_path):
    saved(tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match=r"must end in \.npz"):
        convert(tmp_path / "net.safetensors", "numpy", tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="No such file"):
        convert(tmp_path / "none.safetensors", "numpy")
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert(tmp_path / "net.safetensors", "numpy", tmp_path / "net.safetensors" / "a.npz")
    refused = command("convert", str(tmp_path / "none.safetensors"), "--to", "numpy")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


@pytest.mark.slow
def test_a_conversion_that_finds_no_room_leaves_nothing(name, tmp_path):
    """In a process whose files may be of 2,000 bytes at most, as on a disk that is nearly full."""
    saved(tmp_path / "net.safetensors", zoo.LENET)
    found = python(
        "import resource, signal, sys\n"
        "from alexnet import backends\n"
        "from alexnet.training.checkpoint import convert\n"
        f"backends.load({name!r})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"convert({str(tmp_path / 'net.safetensors')!r}, {name!r})\n"
    )
    assert "\nalexnet.errors.CheckpointError: " in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.needs("torch")
def test_a_conversion_does_not_replace_its_checkpoint(tmp_path):
    saved(tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match="is the checkpoint itself"):
        convert(tmp_path / "net.safetensors", "torch", tmp_path / "net.safetensors")


@pytest.mark.needs("mxnet")
def test_a_gluon_net_that_was_not_initialized_is_refused(tmp_path):
    from mxnet.gluon import nn

    with pytest.raises(CheckpointError, match="does not give its arrays"):
        alexnet.save(nn.Dense(3, in_units=2), tmp_path / "net.safetensors", SMALL)
