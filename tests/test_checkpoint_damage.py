"""Damaged checkpoints, older ones, and files of other kinds."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import struct

import numpy as np
import pytest
from checkpoints import SMALL, saved
from safetensors.numpy import load_file, save_file

import alexnet
from alexnet.errors import CheckpointError
from alexnet.training.checkpoint_file import Checkpoint


def rewritten(path, change):
    """Change a checkpoint's arrays or metadata with ``change(arrays, about)``.

    The new file has version 1 and no checksums.
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
    r"missing arrays: 2\.bias": lambda a, _: a.pop("2.bias"),
    r"not in the net: 3\.weight": lambda a, _: a.update({"3.weight": np.ones(3, "f")}),
    r"0\.weight must have shape \(3, 4\), got \(4, 3\)": lambda a, _: a.update(
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
    r"has format version 3; this alexnet reads versions up to 2": lambda _, about: about.update(
        version=3
    ),
    "the checksum of its metadata is missing": lambda _, about: about.update(version=2),
    r"has format version None": lambda _, about: about.pop("version"),
    r"small, layer 1: unknown layer 'Relu'": lambda _, about: nest(
        about, "net", "layers", 1, "layer", value="Relu"
    ),
    r"small, layer 0: Dense\(0\): out_features must be": lambda _, about: nest(
        about, "net", "layers", 0, "out_features", value=0
    ),
    r"small, layer 0: Dense: .*'units'": lambda _, about: nest(
        about, "net", "layers", 0, "units", value=3
    ),
    r"input shape must be": lambda _, about: nest(about, "net", "input_shape", value=[4, 4]),
    r"a net must be a dict of name, input_shape and layers": lambda _, about: about.pop("net"),
    r"training must be a dict with the keys history and velocity_scale": lambda _, about: (
        about.update(training=[1])
    ),
    r"a history must have format 2, got format 9": lambda _, about: about.update(
        trained({"format": 9})
    ),
    r"a history must be a dict": lambda _, about: about.update(trained([])),
    r"wrong or missing: lr": lambda _, about: about.update(trained(HISTORY | {"lr": 1})),
    r"a history's settings cannot be 'abc'": lambda _, about: about.update(
        trained(HISTORY | {"settings": "abc"})
    ),
    r"a history's epochs must each have loss, train_accuracy": lambda _, about: about.update(
        trained(HISTORY | {"epochs": [1]})
    ),
    r"a history's steps must be numbers, got": lambda _, about: about.update(
        trained(HISTORY | {"steps": [{"examples": 1, "loss": "a", "accuracy": 0.5, "seconds": 1}]})
    ),
    r"velocity_scale must be a finite float other than zero, got 0.0": lambda _, about: (
        about.update(trained(HISTORY, 0.0))
    ),
    r"velocity_scale must be a finite float other than zero, got nan": lambda _, about: (
        about.update(trained(HISTORY, float("nan")))
    ),
    r"velocity_scale must be a finite float other than zero, got 1000": lambda _, about: (
        about.update(trained(HISTORY, 10**400))
    ),
    r"small, layer 0: .*'self'": lambda _, about: nest(about, "net", "layers", 0, "self", value=1),
    r"small, layer 1: LocalResponseNorm\(.*: alpha must be a finite number": lambda _, about: nest(
        about, "net", "layers", 1, value={"layer": "LocalResponseNorm", "alpha": 10**400}
    ),
    r"has format version True": lambda _, about: about.update(version=True),
    r"3\.weight, .* and 2,992 more$": lambda a, _: a.update(
        {f"{n}.weight": np.ones(1, "f") for n in range(3, 3003)}
    ),
    r"velocity: missing arrays: 0\.weight": lambda a, _: a.update(
        {"velocity.0.bias": np.ones(3, "f")}
    ),
}


def test_the_history_that_is_changed_below_is_valid(tmp_path):
    path = tmp_path / "net.safetensors"
    saved(path)
    rewritten(path, lambda _, about: about.update(trained(HISTORY)))
    assert Checkpoint.read(path).history.model == "small"


@pytest.mark.parametrize("message", CHANGES)
def test_an_inconsistent_file_is_refused_in_one_sentence(message, tmp_path):
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
        # A file name alone would put the time into the archive, and so into the test's name.
        file.writestr(zipfile.ZipInfo("archive/data.pkl"), pickle.dumps({}))
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


def test_deeply_nested_metadata_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save_file({"a": np.ones(1)}, path, {"alexnet": "[" * 200_000})
    with pytest.raises(CheckpointError, match="its metadata is not JSON"):
        alexnet.load(path, backend="numpy")


@pytest.mark.parametrize("length", [128, 640, 1408, 65_664, 66_176])
def test_a_truncated_file_is_not_called_a_pickle(length, tmp_path):
    """Even if the length of its header has the first byte of a pickle."""
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":')
    with pytest.raises(CheckpointError, match="is truncated or is not a safetensors file"):
        alexnet.load(path, backend="numpy")


def test_a_pickle_is_refused_without_being_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "net.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="is a pickle"):
        alexnet.load(tmp_path / "net.safetensors", backend="numpy")
    assert not (tmp_path / "sprung").exists()


def test_a_file_of_tensors_without_a_net_is_refused(tmp_path):
    save_file({"features.0.weight": np.ones(3)}, tmp_path / "net.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="has tensors, but no net"):
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


def test_a_file_without_checksums_still_loads(tmp_path):
    path = tmp_path / "net.safetensors"
    weights, _ = saved(path)
    rewritten(path, lambda arrays, about: None)
    for key, w in Checkpoint.read(path).weights.items():
        np.testing.assert_array_equal(w, weights[key])


def damaged(content, source):
    """A different copy: truncated, or with flipped bits, swapped bytes or other bytes."""
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
    """Each in one sentence."""
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
