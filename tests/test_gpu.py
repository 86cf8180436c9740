"""What must be true on a real GPU: values, precisions, and that the GPU never waits for Python.

    pytest -m gpu --backends numpy,torch

A framework of the run that sees no GPU fails these tests.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from fits import fit, load
from loops import Silent
from nets import DROPOUT_EVERYWHERE
from test_precision import BFLOAT16, gradients, norm

from alexnet import backends, cost, evaluate, get_weights, load_fashion_mnist
from alexnet.parity.check import Settings, parity
from alexnet.spec import zoo
from alexnet.training import loop

pytestmark = pytest.mark.gpu

TF32 = {"lenet": 2e-3, "alexnet-mnist": 3e-2}
"""The largest accepted error of a step in TF32, as in `test_precision.BFLOAT16`: TF32 has 3 more bits."""

PARITY = {
    "lenet": {"momentum": 0.9, "schedule": "one-cycle"},
    "alexnet": {"dropout": True},
    "alexnet-2012": {},
    "alexnet-28": {"momentum": 0.9, "nesterov": True},
}


@pytest.mark.parametrize("model", PARITY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gpu_agrees_with_the_reference(framework, model, dtype):
    run = Settings(steps=2, batch_size=2, dtype=dtype, device="gpu", **PARITY[model])
    (found,) = parity(model, [framework], run)
    assert found.agrees(dtype), found


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", BFLOAT16), ("tf32", TF32)])
@pytest.mark.parametrize("model", BFLOAT16)
def test_a_step_in_low_precision_is_close_to_the_reference(framework, model, precision, tolerance):
    backend = backends.load(framework)
    assert precision in backend.precisions(backends.resolve_device(backend, "gpu"))
    table = zoo.get(model).resolve()
    X = np.random.default_rng(0).standard_normal((4, *table.input_shape), np.float32)
    y = np.array([3, 0, 9, 3])
    loss, found = gradients(table, framework, X, y, precision, "gpu")
    expected_loss, expected = gradients(table, "numpy", X, y, "float32")
    assert loss == pytest.approx(expected_loss, rel=2e-3)
    difference = norm({key: found[key] - expected[key] for key in expected})
    assert 1e-5 * norm(expected) < difference < tolerance[model] * norm(expected)


def test_a_run_on_a_gpu_is_the_run_on_the_cpu(framework):
    """All steps of two epochs: order of the images, masks, learning rates, momentum, evaluation."""
    settings = {"momentum": 0.9, "schedule": "one-cycle", "shared_dropout": True}
    settings |= {"num_epochs": 2, "backend": framework}
    here, there = (fit(DROPOUT_EVERYWHERE, load(), device=d, **settings) for d in ("cpu", "gpu"))
    losses = [[step["loss"] for step in history.steps] for history in (here, there)]
    np.testing.assert_allclose(*losses, rtol=1e-3)
    assert here.last.test_accuracy == pytest.approx(there.last.test_accuracy, abs=0.05)
    test_iter = load()[1]
    assert evaluate(there.net, test_iter) == there.last.test_accuracy
    assert all(isinstance(w, np.ndarray) for w in get_weights(there.net).values())


def test_a_run_moves_between_the_gpu_and_the_cpu(framework, tmp_path):
    settings = {"momentum": 0.9, "shared_dropout": True, "backend": framework}
    whole = fit(DROPOUT_EVERYWHERE, load(), num_epochs=2, **settings)
    for first, second in (("gpu", "cpu"), ("cpu", "gpu")):
        path = tmp_path / f"{first}.safetensors"
        fit(DROPOUT_EVERYWHERE, load(), device=first, checkpoint=path, **settings)
        resumed = fit(
            DROPOUT_EVERYWHERE,
            load(),
            num_epochs=2,
            device=second,
            checkpoint=path,
            resume=True,
            **settings,
        )
        losses = [[step["loss"] for step in history.steps] for history in (whole, resumed)]
        np.testing.assert_allclose(*losses, rtol=1e-3)


def test_the_loader_gives_the_same_batches_from_the_gpu(framework):
    options = {"source": "sample", "subset": (50, 20), "normalize": True, "seed": 3}
    here, there = (
        load_fashion_mnist(16, 40, backend=framework, device=device, **options)[0]
        for device in ("cpu", "gpu")
    )
    backend = backends.load(framework)
    assert there.on_device is None
    for (X, y), (gpu_X, gpu_y) in zip(here, there, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(y), backend.to_numpy(gpu_y))
        np.testing.assert_allclose(backend.to_numpy(X), backend.to_numpy(gpu_X), rtol=0, atol=2e-6)
    assert there.on_device is not None


@pytest.mark.needs("torch")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("augment", [{}, {"flip": True, "crop": 1}])
def test_no_step_waits_for_the_gpu(precision, augment, monkeypatch):
    """PyTorch raises an error for any call that waits, from the end of the first step to the last."""
    import torch

    backend, mode = backends.load("torch"), torch.cuda.set_sync_debug_mode
    real = backend.synchronize

    class Strict(Silent):
        def step(self, history):
            super().step(history)
            if len(history.steps) == 1:
                mode("error")

    def synchronize(device):
        mode("default")
        real(device)

    monkeypatch.setattr(loop.Run, "READ_EVERY", math.inf)
    monkeypatch.setattr(backend, "synchronize", synchronize)
    callback = Strict()
    try:
        history = fit(
            DROPOUT_EVERYWHERE,
            load(**augment),
            device="gpu",
            backend="torch",
            momentum=0.9,
            schedule="one-cycle",
            shared_dropout=True,
            precision=precision,
            callback=callback,
        )
    finally:
        mode("default")
    assert callback.calls.count("step") == 2
    assert len(history.steps) > 2


def test_peak_memory_is_that_of_the_gpu(framework):
    backend = backends.load(framework)
    device = backends.resolve_device(backend, "gpu")
    weights = 4 * zoo.get("alexnet-28").resolve().parameter_count
    fit("alexnet-28", load(), device="gpu", backend=framework)
    assert backend.peak_gpu_memory(device) > weights


def test_each_layer_is_measured_on_a_gpu(framework):
    """The cost of the paper's AlexNet, and the limits of the GPU itself."""
    found = cost("alexnet-2012", 4, backend=framework, device="gpu").measured
    assert found.problems == {}
    assert found.place == "gpu"
    assert sorted(found.seconds) == list(range(len(zoo.get("alexnet-2012").layers)))
    assert found.ridge > 0
