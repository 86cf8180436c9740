"""Runs that are not resumed, and nets for which no checkpoint is kept."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import alexnet_here, by_backend
from loops import Silent
from resumable import NET, WITHOUT_DROPOUT, images, train

import alexnet
from alexnet.errors import CheckpointError, RunError
from alexnet.spec import Dense, Dropout, Flatten, Net, ReLU
from alexnet.training.checkpoint_file import Checkpoint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "was trained with seed 5; this run has seed 6"),
        ({"momentum": 0.5}, "was trained with momentum 0.9; this run has momentum 0.5"),
        ({"num_epochs": 1}, "has 2 epochs; num_epochs must be at least 2, got 1"),
        ({"net": WITHOUT_DROPOUT}, "has the net dropping for .* this run has steady for"),
        (
            {"data": lambda: images(seed=1)},
            "was trained with order_seed 0; this run has order_seed 1",
        ),
        (
            {"data": lambda: images(normalize=True)},
            "was trained with pixel_mean 0.0, pixel_std 1.0;",
        ),
        (
            {"data": lambda: images(subset=(90, 40))},
            "was trained with train_examples 100, train_crc32",
        ),
        (
            {"data": lambda: images(subset=(100, 30))},
            "was trained with test_examples 40, test_crc32",
        ),
        (
            {"net": Net("dropping", (1, 28, 28), (*NET.layers[:5], Dropout(0.3), *NET.layers[6:]))},
            r"layer 5 of dropping is .*0\.4.* in the checkpoint and .*0\.3.* in this run",
        ),
    ],
)
def test_the_checkpoint_of_another_run_is_not_resumed(change, message, tmp_path):
    path = tmp_path / "run.safetensors"
    train("numpy", path, 2)
    before = path.read_bytes()
    if "data" in change:
        change = {"data": change["data"]()}
    with pytest.raises(CheckpointError, match=message) as error:
        train("numpy", path, resume=True, **change)
    assert str(error.value).startswith(f"{path}: ")
    assert path.read_bytes() == before


def test_a_checkpoint_without_training_is_not_resumed(tmp_path):
    path = tmp_path / "net.safetensors"
    alexnet.save(alexnet.build(NET, backend="numpy"), path)
    with pytest.raises(CheckpointError, match="has a net but no training run to resume"):
        train("numpy", path, resume=True)
    with pytest.raises(CheckpointError, match="No such file"):
        train("numpy", tmp_path / "none.safetensors", resume=True)
    with pytest.raises(RunError, match="resume=True needs checkpoint="):
        train("numpy", None, resume=True)


def test_the_command_refuses_another_run_in_one_sentence(tmp_path):
    path = tmp_path / "run.safetensors"
    shared = [
        "lenet", "--backend", "numpy", "--data", "sample", "--examples", "64", "--epochs", "1",
        "--checkpoint", str(path),
    ]  # fmt: skip
    assert alexnet_here("train", *shared).returncode == 0
    refused = alexnet_here("train", *shared, "--resume", "--lr", "0.25")
    assert refused.returncode == 1
    assert refused.stderr == f"error: {path}: was trained with lr 0.5; this run has lr 0.25\n"


def test_no_checkpoint_is_kept_of_a_net_changed_after_it_was_built(framework, tmp_path):
    net = alexnet.build(WITHOUT_DROPOUT, backend=framework)
    match framework:
        case "torch" | "paddle":
            net[1] = type(net[2])()  # a second Flatten replaces the rectifier
        case "mxnet":
            net[1]._act_type = "tanh"
        case "tensorflow":
            import keras

            net.add(keras.layers.Softmax())
        case _:
            by_backend(framework, {})
    with pytest.raises(CheckpointError, match=r"steady: this .* computes something else"):
        train(None, tmp_path / "run.safetensors", net=net)
    assert not list(tmp_path.iterdir())


@pytest.mark.needs("torch")
def test_no_checkpoint_is_kept_of_a_net_without_a_table(tmp_path):
    from torch import nn

    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with pytest.raises(CheckpointError, match="this Sequential was not built by alexnet"):
        train(None, tmp_path / "run.safetensors", net=net)
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_diverging_run_stops_and_keeps_its_last_finite_epoch(name, tmp_path):
    path = tmp_path / "run.safetensors"
    net = Net("wild", (1, 28, 28), (Flatten(), Dense(30), ReLU(), Dense(30), ReLU(), Dense(10)))
    with pytest.raises(RunError, match=r"wild: \d\.\w+ is not finite after epoch \d, so the train"):
        alexnet.train_ch6(
            net, *images(), 9, 1e12, "cpu", backend=name, callback=Silent(), checkpoint=path
        )
    assert all(np.isfinite(w).all() for w in Checkpoint.read(path).weights.values())
