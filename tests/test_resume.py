"""A run that is interrupted and resumed ends like an uninterrupted run."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import alexnet_here
from loops import Silent
from resumable import NET, STEPS, WITHOUT_DROPOUT, assert_same_run, images, train

import alexnet
from alexnet.spec import Dense, Dropout, Flatten, Net
from alexnet.training.checkpoint_file import Checkpoint


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_run_in_two_parts_is_the_same_run(name, momentum, tmp_path):
    """The same losses and weights, bit for bit, with dropout, norms and velocities."""
    whole = train(name, None, momentum=momentum)
    path = tmp_path / "run.safetensors"
    train(name, path, 2, momentum=momentum)
    assert len(Checkpoint.read(path).history.epochs) == 2
    assert_same_run(train(name, path, momentum=momentum, resume=True), whole)


def test_a_checkpoint_changes_nothing(name, tmp_path):
    assert_same_run(train(name, tmp_path / "run.safetensors"), train(name, None))


def test_dropout_differs_in_every_epoch(name):
    """With one batch and a learning rate of nearly zero, only dropout differs."""
    net = Net("drop", (1, 28, 28), (Flatten(), Dropout(0.5), Dense(10)))
    data = images(subset=(32, 32))
    settings = {"backend": name, "callback": Silent()}
    losses = [s["loss"] for s in alexnet.train_ch6(net, *data, 3, 1e-30, "cpu", **settings).steps]
    assert len(set(losses)) == 3


@pytest.mark.slow
def test_another_framework_resumes_a_run(name, covered, tmp_path):
    """Without dropout the losses are the same but for rounding, so the velocities come along."""
    path = tmp_path / "run.safetensors"
    train(name, path, 1, WITHOUT_DROPOUT)
    for other in covered:
        copy = tmp_path / f"{other}.safetensors"
        shutil.copy(path, copy)
        found = train(other, copy, net=WITHOUT_DROPOUT, resume=True)
        expected = train(name, None, net=WITHOUT_DROPOUT)
        assert found.backend == other
        assert set(found.versions) >= {name, other}
        np.testing.assert_allclose(
            [s["loss"] for s in found.steps], [s["loss"] for s in expected.steps], rtol=2e-5
        )


def test_a_checkpoint_keeps_the_velocities(name, tmp_path):
    path = tmp_path / "run.safetensors"
    history = train(name, path, 1)
    kept = Checkpoint.read(path)
    learned = {k for k in kept.weights if not k.endswith(("running_mean", "running_var"))}
    assert set(kept.velocity) == learned
    reference = train("numpy", tmp_path / "numpy.safetensors", 1, WITHOUT_DROPOUT)
    other = train(name, path, 1, WITHOUT_DROPOUT)
    a, b = (Checkpoint.read(p) for p in (tmp_path / "numpy.safetensors", path))
    for key, v in a.velocity.items():
        scaled = b.velocity[key] / b.velocity_scale
        np.testing.assert_allclose(scaled, v, rtol=0, atol=1e-4 * np.abs(v).max())
    assert history.settings["momentum"] == reference.settings["momentum"] == 0.9
    assert len(other.epochs) == 1


def test_an_interrupted_net_object_resumes(name, tmp_path):
    """As in a notebook: a second run, with a second optimizer, on the same object."""

    class Stop(Silent):
        def step(self, history):
            if len(history.steps) >= 6:
                raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    net = alexnet.build(NET, backend=name)
    with pytest.raises(KeyboardInterrupt):
        train(None, path, net=net, callback=Stop())
    assert_same_run(train(None, path, net=net, resume=True), train(name, None))


def freeze(name, net):
    """Freeze the net's first layer in the framework's own way."""
    match name:
        case "torch":
            for p in net[0].parameters():
                p.requires_grad = False
        case "mxnet":
            net[0].collect_params().setattr("grad_req", "null")
        case "paddle":
            for p in net[0].parameters():
                p.stop_gradient = True
        case "tensorflow":
            net.layers[0].trainable = False


@pytest.mark.slow
def test_frozen_layers_stay_frozen_in_a_resumed_run(framework, tmp_path):
    path = tmp_path / "run.safetensors"

    def part(num_epochs, **more):
        net = alexnet.build(NET, backend=framework, seed=5)
        freeze(framework, net)
        return net, train(None, path, num_epochs, net=net, **more)

    before = alexnet.get_weights(alexnet.build(NET, backend="numpy", seed=5))["0.weight"]
    whole, unbroken = part(3)
    part(2)
    resumed, found = part(3, resume=True)
    np.testing.assert_array_equal(alexnet.get_weights(resumed)["0.weight"], before)
    assert_same_run(found, unbroken)
    assert alexnet.get_weights(whole)["6.weight"].std() > 0


def test_a_finished_run_resumes_with_more_epochs(tmp_path):
    path = tmp_path / "run.safetensors"
    train("numpy", path, 1)
    assert_same_run(train("numpy", path, 3, resume=True), train("numpy", None))
    callback = Silent()
    finished = train("numpy", path, 3, resume=True, callback=callback)
    assert "step" not in callback.calls
    assert_same_run(finished, train("numpy", None))


def test_the_checkpoint_exists_before_the_first_step(tmp_path):
    class Stop(Silent):
        def step(self, history):
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train("numpy", path, callback=Stop())
    begun = Checkpoint.read(path)
    assert begun.history.epochs == begun.history.steps == []
    assert_same_run(train("numpy", path, resume=True), train("numpy", None))


def test_a_loaded_net_has_the_accuracy_of_its_run(name, covered, tmp_path):
    path = tmp_path / "run.safetensors"
    history = train(name, path)
    _, test_iter = images()
    accuracies = {alexnet.evaluate(alexnet.load(path, backend=n), test_iter) for n in covered}
    assert accuracies == {history.last.test_accuracy}


def test_speed_counts_the_second_part_only(tmp_path):
    path = tmp_path / "run.safetensors"
    train("numpy", path, 2)
    assert train("numpy", path, 3, resume=True).timed_examples == 100 - 32


# --- killed processes, and the command ------------------------------------------------------------


PROGRAM = """
import sys
sys.path[:0] = sys.argv[3:]
from loops import Silent
from resumable import train
from alexnet.training.loop import Run

Run.READ_EVERY = 0.0  # so the callback hears every step

class Telling(Silent):
    def step(self, history):
        print("step", flush=True)

train(sys.argv[1], sys.argv[2], callback=Telling())
"""


@pytest.mark.slow
def test_a_run_killed_at_a_random_step_and_resumed_is_the_same_run(name, tmp_path):
    path = tmp_path / "run.safetensors"
    last = random.randrange(STEPS)
    print(f"killed in step {last}")
    arguments = [sys.executable, "-c", PROGRAM, name, str(path), str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(last + 1):
            assert process.stdout.readline() == "step\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert_same_run(train(name, path, resume=True), train(name, None))


@pytest.mark.slow
def test_the_command_resumes_from_its_checkpoint(name, tmp_path):
    """`alexnet train` in two parts ends with the weights of one run."""

    def run(path, epochs, *more):
        done = alexnet_here(
            "train", "alexnet-mnist", "--backend", name, "--data", "sample", "--examples", "96",
            "--epochs", str(epochs), "--resize", "96", "--batch-size", "32", "--momentum", "0.9",
            "--schedule", "constant", "--device", "cpu", "--checkpoint", str(path), *more,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    run(whole, 2)
    run(parts, 1)
    run(parts, 2, "--resume")
    a, b = Checkpoint.read(whole), Checkpoint.read(parts)
    assert [s["loss"] for s in a.history.steps] == [s["loss"] for s in b.history.steps]
    for key, w in a.weights.items():
        np.testing.assert_array_equal(w, b.weights[key], err_msg=key)
