"""Learning-rate schedules: the same learning rates in every backend, and in a resumed run."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from fits import TINY, fit, load
from nets import DROPOUT_EVERYWHERE
from resumable import assert_same_run, interrupt, train

from alexnet.backends.schedules import SCHEDULES, Schedule
from alexnet.errors import CheckpointError, RunError
from alexnet.parity.check import Settings, parity
from alexnet.training.checkpoint_file import Checkpoint


def test_one_cycle_rises_for_a_tenth_of_the_steps_and_then_falls():
    schedule = Schedule("one-cycle", 0.5, num_epochs=4, steps_per_epoch=25)
    rates = [schedule.at(epoch, step) for epoch in range(4) for step in range(25)]
    assert rates[:10] == pytest.approx([0.5 * (n + 1) / 10 for n in range(10)])
    assert max(rates) == rates[9] == 0.5
    falls = [a - b for a, b in pairwise(rates[9:])]
    assert falls == pytest.approx([0.5 / 91] * 90)
    assert rates[-1] == pytest.approx(0.5 / 91)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_few_steps_has_no_rate_of_zero(steps):
    schedule = Schedule("one-cycle", 0.5, steps_per_epoch=steps)
    rates = [
        schedule.at(0, step) for step in range(steps + 1)
    ]  # a loader may give more than it says
    assert max(rates) == 0.5
    assert min(rates) > 0


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_schedule_agrees_with_the_reference(covered, schedule, dtype):
    """With momentum, whose buffers some frameworks scale by the learning rate, and with dropout."""
    run = Settings(
        steps=6, batch_size=2, momentum=0.9, schedule=schedule, dropout=True, dtype=dtype
    )
    for found in parity(DROPOUT_EVERYWHERE, covered, run):
        assert found.agrees(dtype), found


def test_a_schedule_decides_the_weights(name):
    """One step of one-cycle has the full learning rate; of twenty steps, the first has half of it."""
    one = fit(TINY, load(train=16, batch_size=16), backend=name, schedule="one-cycle", lr=0.05)
    same = fit(TINY, load(train=16, batch_size=16), backend=name, lr=0.05)
    assert_same_run(one, same)
    rising = fit(TINY, load(train=320, batch_size=16), backend=name, schedule="one-cycle", lr=0.1)
    constant = fit(TINY, load(train=320, batch_size=16), backend=name, lr=0.05)
    assert rising.steps[1]["loss"] == constant.steps[1]["loss"]
    assert rising.steps[2]["loss"] != constant.steps[2]["loss"]


def test_a_loader_that_stops_early_follows_the_whole_schedule():
    """So NumPy's first steps of a comparison have the learning rates of the other frameworks."""
    train_iter, test_iter = load(train=160, batch_size=16)
    short = replace(train_iter, max_batches=3), test_iter
    settings = {"backend": "numpy", "schedule": "one-cycle"}
    losses = [
        [s["loss"] for s in fit(TINY, loaders, **settings).steps][:3]
        for loaders in (short, (train_iter, test_iter))
    ]
    assert losses[0] == losses[1]


def test_one_cycle_needs_the_number_of_steps():
    batches = load()
    endless = (iter(()), batches[1])
    with pytest.raises(RunError, match="one-cycle needs the number of steps in an epoch"):
        fit(TINY, endless, backend="numpy", schedule="one-cycle")


def test_an_unknown_schedule_is_refused():
    with pytest.raises(RunError, match="schedule must be constant or one-cycle, got 'cosine'"):
        fit(TINY, backend="numpy", schedule="cosine")


CYCLE = {"schedule": "one-cycle", "shared_dropout": True}


def test_a_run_in_two_parts_follows_one_schedule(name, tmp_path):
    """Bit for bit, with the momentum buffers, whose scale changes with the learning rate."""
    whole = train(name, None, **CYCLE)
    path = tmp_path / "run.safetensors"
    interrupt(name, path, **CYCLE)
    assert_same_run(train(name, path, resume=True, **CYCLE), whole)


@pytest.mark.slow
def test_another_framework_resumes_a_scheduled_run_with_dropout(name, covered, tmp_path):
    """It ends within the rounding of float32 of the uninterrupted run."""
    whole = train(name, None, **CYCLE)
    for other in covered:
        path = tmp_path / f"{other}.safetensors"
        interrupt(name, path, **CYCLE)
        found = train(other, path, resume=True, **CYCLE)
        losses = [[s["loss"] for s in history.steps] for history in (found, whole)]
        assert losses[0] == pytest.approx(losses[1], rel=2e-5)


def test_one_cycle_is_not_resumed_with_other_epochs(tmp_path):
    path = tmp_path / "run.safetensors"
    interrupt("numpy", path, **CYCLE)
    with pytest.raises(
        CheckpointError, match="was trained with num_epochs 3; this run has num_epochs 4"
    ):
        train("numpy", path, 4, resume=True, **CYCLE)


def test_a_checkpoint_without_a_schedule_resumes(tmp_path):
    """Checkpoints of before 0.1.0 name neither schedule nor dropout."""
    path = tmp_path / "run.safetensors"
    train("numpy", path, 2)
    old = Checkpoint.read(path)
    for setting in ("schedule", "shared_dropout"):
        del old.history.settings[setting]
    old.write(path)
    assert_same_run(train("numpy", path, resume=True), train("numpy", None))
    with pytest.raises(
        CheckpointError, match="schedule constant, shared_dropout False; this run has"
    ):
        train("numpy", path, resume=True, **CYCLE)
