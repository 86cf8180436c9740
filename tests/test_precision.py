"""Precisions: what each backend has, what a run says, and how exact bfloat16 is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fits import fit, load
from nets import DROPOUT_EVERYWHERE

from alexnet import BackendError, CheckpointError, RunError, backends, build, get_weights
from alexnet.backends import BoundNet, precision
from alexnet.backends.precision import choose_precision
from alexnet.spec import Dropout, zoo
from alexnet.spec.weights import initial_weights

WITH_BFLOAT16 = ("torch", "tensorflow")  # on a CPU
BFLOAT16 = {"lenet": 0.01, "alexnet-mnist": 0.1}
"""The largest accepted error of a step in bfloat16: the norm of the difference of all gradients, over
the norm of the gradients. AlexNet's ReLU and max-pooling take another branch where bfloat16 rounds across
a kink; LeNet has neither."""


@pytest.mark.parametrize("model", BFLOAT16)
def test_a_step_in_bfloat16_is_close_to_the_reference(model, framework):
    if framework not in WITH_BFLOAT16:
        return  # test_a_missing_precision_is_refused covers it
    table = zoo.get(model).resolve()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, *table.input_shape), np.float32)
    y = np.array([3, 0, 9, 3])
    (loss, found), (expected_loss, expected) = (
        gradients(table, b, X, y, p) for b, p in ((framework, "bfloat16"), ("numpy", "float32"))
    )
    assert all(array.dtype == np.float32 for array in found.values())
    assert loss == pytest.approx(expected_loss, rel=2e-3)
    difference = norm({key: found[key] - expected[key] for key in expected})
    assert 1e-4 * norm(expected) < difference < BFLOAT16[model] * norm(expected)


def gradients(table, name, X, y, in_precision, device="cpu"):
    """Loss and gradients of the first step, without dropout, from the same weights in every backend."""
    backend = backends.load(name)
    net = build(without_dropout(table), backend=name, device=device)
    backend.set_weights(net, initial_weights(table.parameters, 1))
    bound = BoundNet.of(net)
    with backend.computing_in(net, in_precision):
        return backend.gradients(net, bound.to_tensor(X), backend.to_tensor(y, bound.device))


def without_dropout(table):
    layers = [replace(k, rate=0.0) if isinstance(k, Dropout) else k for k in table.net.layers]
    return replace(table.net, layers=tuple(layers))


def norm(arrays):
    return np.sqrt(sum(float((a.astype(np.float64) ** 2).sum()) for a in arrays.values()))


def test_a_run_in_bfloat16_says_so_and_keeps_float32_weights(framework):
    if framework not in WITH_BFLOAT16:
        return
    settings = {"backend": framework, "momentum": 0.9, "shared_dropout": True, "lr": 0.01}
    low, full = (
        fit(DROPOUT_EVERYWHERE, load(), precision=p, **settings) for p in ("bfloat16", "float32")
    )
    assert (low.settings["precision"], full.settings["precision"]) == ("bfloat16", "float32")
    losses = [[s["loss"] for s in history.steps] for history in (low, full)]
    np.testing.assert_allclose(*losses, rtol=0.02)
    assert losses[0] != losses[1]
    assert all(w.dtype == np.float32 for w in get_weights(low.net).values())
    # The run has left no trace: the trained net computes in float32 again.
    bound = BoundNet.of(low.net)
    X = np.random.default_rng(1).standard_normal((2, *bound.table.input_shape), np.float32)
    copy = build(DROPOUT_EVERYWHERE, backend=framework, device="cpu")
    bound.backend.set_weights(copy, get_weights(low.net))
    logits = [
        bound.backend.to_numpy(bound.backend.predict(n, bound.to_tensor(X)))
        for n in (low.net, copy)
    ]
    np.testing.assert_array_equal(*logits)


def test_a_missing_precision_is_refused(name):
    backend = backends.load(name)
    possible = ("float32", *backend.precisions(backend.cpu()))
    assert ("bfloat16" in possible) == (name in WITH_BFLOAT16)
    with pytest.raises(BackendError) as error:
        fit("lenet", backend=name, precision="tf32")
    assert str(error.value) == (
        f"{backend.ENTRY.title} cannot train in tf32 on {backend.cpu()}; "
        f"possible here: {', '.join(possible)}"
    )


@pytest.mark.parametrize("wrong", ["float16", "", None, 32, ["bfloat16"]])
def test_an_unknown_precision_is_refused_before_anything_else(wrong):
    with pytest.raises(
        RunError, match="precision must be one of float32, bfloat16, tf32, auto, got"
    ):
        fit("no such net", backend="numpy", precision=wrong)


@pytest.mark.parametrize("fast", [False, True])
def test_auto_is_bfloat16_where_it_is_faster(name, fast, monkeypatch):
    monkeypatch.setattr(precision, "_processor_has_bfloat16", lambda: fast)
    backend = backends.load(name)
    expected = "bfloat16" if fast and name in WITH_BFLOAT16 else "float32"
    assert choose_precision(backend, backend.cpu(), "auto") == expected


@pytest.mark.needs("torch")
def test_a_run_is_not_resumed_in_another_precision(tmp_path):
    path = tmp_path / "run.safetensors"
    fit("lenet", backend="torch", checkpoint=path)
    why = "trained with precision float32; this run has precision bfloat16"
    with pytest.raises(CheckpointError, match=why):
        fit(
            "lenet",
            num_epochs=2,
            backend="torch",
            checkpoint=path,
            resume=True,
            precision="bfloat16",
        )
