"""Nesterov momentum: by value, in every backend, with both schedules, and in a resumed run."""

from __future__ import annotations

import numpy as np
import pytest
from fits import TINY, fit, load
from nets import DROPOUT_EVERYWHERE
from resumable import assert_same_run, interrupt, train

from alexnet import backends, build
from alexnet.backends import BoundNet
from alexnet.backends.schedules import SCHEDULES, Schedule
from alexnet.backends.steps import Steps
from alexnet.errors import CheckpointError, RunError
from alexnet.parity.check import Settings, parity
from alexnet.spec import Dense, Net
from alexnet.training.checkpoint_file import Checkpoint

NESTEROV = {"nesterov": True, "schedule": "one-cycle", "shared_dropout": True}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_step_is_the_formula(name, schedule):
    """Namely v = momentum * v + g; w -= lr * (g + momentum * v), with gradients taken from the backend."""
    net = BoundNet.of(build(Net("line", (3,), (Dense(2),)), backend=name, device="cpu"))
    backend, rates = net.backend, Schedule(schedule, 0.2, 1, 25)
    steps = Steps(net, rates, momentum=0.75, nesterov=True)
    rng = np.random.default_rng(0)
    weights = backend.get_weights(net.native)
    velocity = {key: np.zeros_like(w) for key, w in weights.items()}
    for number in range(6):
        X = backend.to_tensor(rng.standard_normal((5, 3)).astype("float32"), net.device)
        y = backend.to_tensor(rng.integers(0, 2, 5), net.device)
        _, gradients = backend.gradients(net.native, X, y)
        steps.step(X, y)
        for key, g in gradients.items():
            velocity[key] = 0.75 * velocity[key] + g
            weights[key] = weights[key] - rates.at(0, number) * (g + 0.75 * velocity[key])
        for key, w in backend.get_weights(net.native).items():
            np.testing.assert_allclose(w, weights[key], rtol=1e-5, atol=1e-7, err_msg=key)
    scale = steps.trainer.velocity_scale
    for key, v in steps.trainer.get_velocity().items():
        np.testing.assert_allclose(v / scale, velocity[key], rtol=1e-5, atol=1e-7, err_msg=key)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_agrees_with_the_reference(covered, schedule, dtype):
    run = Settings(6, 2, momentum=0.9, nesterov=True, schedule=schedule, dropout=True, dtype=dtype)
    for found in parity(DROPOUT_EVERYWHERE, covered, run):
        assert found.agrees(dtype), found


def test_it_differs_from_plain_momentum(name):
    plain, ahead = (fit(TINY, backend=name, momentum=0.9, nesterov=n) for n in (False, True))
    assert plain.settings["nesterov"] is False
    assert ahead.settings["nesterov"] is True
    assert plain.steps[0]["loss"] == ahead.steps[0]["loss"]
    assert plain.steps[1]["loss"] != ahead.steps[1]["loss"]


def test_a_run_in_two_parts_is_the_same_run(name, tmp_path):
    whole = train(name, None, **NESTEROV)
    path = tmp_path / "run.safetensors"
    interrupt(name, path, **NESTEROV)
    assert_same_run(train(name, path, resume=True, **NESTEROV), whole)


@pytest.mark.slow
def test_another_framework_resumes_a_run(name, covered, tmp_path):
    """It ends within the rounding of float32 of the uninterrupted run."""
    whole = train(name, None, **NESTEROV)
    for other in covered:
        path = tmp_path / f"{other}.safetensors"
        interrupt(name, path, **NESTEROV)
        found = train(other, path, resume=True, **NESTEROV)
        losses = [[s["loss"] for s in history.steps] for history in (found, whole)]
        assert losses[0] == pytest.approx(losses[1], rel=2e-5)


def test_a_resumed_run_keeps_its_momentum(tmp_path):
    """Checkpoints of before this setting had plain momentum."""
    path = tmp_path / "run.safetensors"
    train("numpy", path, 2)
    old = Checkpoint.read(path)
    del old.history.settings["nesterov"]
    old.write(path)
    with pytest.raises(CheckpointError, match="nesterov False; this run has nesterov True"):
        train("numpy", path, resume=True, nesterov=True)
    assert_same_run(train("numpy", path, resume=True), train("numpy", None))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nesterov=True needs a momentum above 0, got 0.0"),
        ({"momentum": 0}, "nesterov=True needs a momentum above 0, got 0"),
        ({"momentum": 0.9, "nesterov": 1}, "nesterov must be True or False, got 1"),
    ],
)
def test_a_wrong_setting_is_refused(settings, message):
    with pytest.raises(RunError, match=message):
        fit(TINY, load(), backend="numpy", **{"nesterov": True, **settings})
    with pytest.raises(RunError, match=message):
        Settings(**{"nesterov": True, **settings})


@pytest.mark.needs("tensorflow")
def test_tensorflow_traces_one_graph_for_all_learning_rates(monkeypatch):
    trainer, traced = backends.load("tensorflow").Trainer, []
    step = trainer._step
    monkeypatch.setattr(trainer, "_step", lambda *batch: traced.append(1) or step(*batch))
    fit(TINY, backend="tensorflow", momentum=0.9, nesterov=True, schedule="one-cycle")
    assert len(traced) == 1
