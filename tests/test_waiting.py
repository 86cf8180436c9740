"""A device never waits for Python: losses stay on it, and so do the images on a GPU."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from fits import TINY, fit, load
from helpers import is_numpy
from loops import Silent
from nets import DROPOUT_EVERYWHERE

from alexnet import backends, build, load_fashion_mnist
from alexnet.backends import BoundNet
from alexnet.backends.steps import Steps
from alexnet.training import loop
from alexnet.training.history import History


class Recorder:
    """A backend and its steps, which record every call in order."""

    def __init__(self):
        self.calls = []

    def synchronize(self, device):
        self.calls.append("synchronize")

    def step(self, X, y):
        self.calls.append("step")
        return 2.0 * X, 1

    def read(self, scalars):
        self.calls.append(f"read {len(scalars)}")
        return list(scalars)


def batches(count):
    return ((number, [0] * 4) for number in range(count))


def run_of(recorder, read_every):
    net = BoundNet(SimpleNamespace(), recorder, "device")
    history = History("net", "recorder", "1", "device", {}, {})
    run = loop.Run(net, recorder, history)
    run.READ_EVERY = read_every
    return run


def test_nothing_is_read_between_the_first_step_and_the_last():
    recorder, silent = Recorder(), Silent()
    run = run_of(recorder, math.inf)
    run.train_on(batches(50), silent)
    first = ["step", "synchronize", "read 1", "read 1"]
    assert recorder.calls == [*first, *["step"] * 49, "synchronize", "read 49", "read 49"]
    assert silent.calls == ["step", "step"]  # after each read


def test_a_read_takes_all_steps_since_the_last_one():
    recorder = Recorder()
    run_of(recorder, 0.0).train_on(batches(3))
    assert recorder.calls == ["step", "synchronize", "read 1", "read 1"] * 3


@pytest.mark.parametrize("read_every", [0.0, math.inf])
def test_every_step_is_in_the_history(read_every):
    run = run_of(Recorder(), read_every)
    loss, accuracy = run.train_on(batches(5))
    history = run.history
    assert [s["loss"] for s in history.steps] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert [s["accuracy"] for s in history.steps] == [0.25] * 5
    assert (loss, accuracy) == (1.0, 0.25)
    assert history.timed_examples == 16  # without the first step
    assert sum(s["seconds"] for s in history.steps) == pytest.approx(run.seconds)
    assert history.timed_seconds == pytest.approx(run.seconds - history.warmup_seconds)


def test_a_history_does_not_depend_on_when_losses_are_read(name, monkeypatch):
    found = []
    for read_every in (0.0, math.inf):
        monkeypatch.setattr(loop.Run, "READ_EVERY", read_every)
        history = fit("lenet", load(), num_epochs=2, backend=name, momentum=0.9)
        found.append([(s["loss"], s["accuracy"]) for s in history.steps])
    assert found[0] == found[1]


READING = ("__float__", "__int__", "__bool__", "item", "tolist", "numpy", "asnumpy", "cpu")


@pytest.mark.parametrize("settings", [{}, {"shared_dropout": True}, {"precision": "auto"}])
def test_a_training_step_reads_nothing(settings, framework, monkeypatch):
    """Not one value leaves the device in a step: its masks and its learning rate are only written."""
    if is_numpy(framework):
        pytest.skip("NumPy's arrays are on no device")
    reads = []
    real_step = Steps.step

    def step(self, X, y):
        with monkeypatch.context() as during:
            for method in READING:
                if hasattr(type(X), method):
                    real = getattr(type(X), method)
                    during.setattr(type(X), method, recording(real, method, reads))
            return real_step(self, X, y)

    monkeypatch.setattr(Steps, "step", step)
    fit(
        DROPOUT_EVERYWHERE,
        load(),
        backend=framework,
        momentum=0.9,
        schedule="one-cycle",
        **settings,
    )
    assert reads == []


def recording(real, name, calls):
    def recorded(*arguments, **options):
        calls.append(name)
        return real(*arguments, **options)

    return recorded


def test_images_that_stay_on_a_device_are_the_same(name, monkeypatch):
    """The path for GPUs, run on the CPU: one copy of all images, then rows by their numbers."""
    backend = backends.load(name)
    options = {"source": "sample", "subset": (50, 20), "normalize": True, "seed": 3}
    copied, real = [], backend.to_tensor
    expected = [
        (backend.to_numpy(X), backend.to_numpy(y))
        for X, y in load_fashion_mnist(16, 40, backend=name, device="cpu", **options)[0]
    ]

    def to_tensor(array, device):
        if isinstance(array, np.ndarray):
            copied.append(array.shape)
        return real(array, device)

    monkeypatch.setattr(backends, "is_gpu", lambda backend, device: True)
    monkeypatch.setattr(backend, "to_tensor", to_tensor)
    train_iter, _ = load_fashion_mnist(16, 40, backend=name, device="cpu", **options)
    for epoch in (0, 0, 1):
        found = list(train_iter.epoch(epoch))
        if epoch == 0:
            for batch, other in zip(found, expected, strict=True):
                for tensor, array in zip(batch, other, strict=True):
                    np.testing.assert_array_equal(backend.to_numpy(tensor), array)
    assert copied.count((50, 28, 28)) == 1
    assert (16, 28, 28) not in copied


def test_evaluation_gives_the_device_the_next_batch_before_it_reads(monkeypatch):
    calls = []

    def predict(X):
        calls.append(f"predict {X}")
        return np.eye(2)[[X % 2] * 3]  # (3, 2)

    def seen(logits):
        calls.append(f"read {int(logits[0].argmax())}")

    labels = np.array([0, 0, 1])
    right = loop.fraction_right(predict, [(0, labels), (1, labels), (2, labels)], seen)
    assert right == pytest.approx(5 / 9)
    assert calls == ["predict 0", "predict 1", "read 0", "predict 2", "read 1", "read 0"]


def test_scalars_are_read_in_one_transfer(backend):
    net = build(TINY, backend=backend.ENTRY.name, device="cpu")
    trainer = backend.Trainer(net, 0.1, 0.0)
    bound = BoundNet.of(net)
    X, y = np.ones((4, 1, 28, 28), np.float32), np.arange(4)
    steps = [trainer.step(bound.to_tensor(X), backend.to_tensor(y, bound.device)) for _ in range(3)]
    for scalars in zip(*steps, strict=True):
        values = backend.read(scalars)
        assert [type(value) for value in values] in ([float] * 3, [int] * 3)
        assert values == [float(scalar) for scalar in scalars]
