"""The plan of a comparison: recipes, backends, images."""

from __future__ import annotations

import sys

import pytest

from alexnet import backends
from alexnet.backends import loading
from alexnet.comparison import plan as planning
from alexnet.comparison.plan import plan
from alexnet.errors import MissingBackendError, RunError, SpecError
from alexnet.spec import Conv, Dense, Flatten, Net, ReLU
from alexnet.spec.zoo import LENET
from alexnet.training.recipes import QUICK


def test_without_a_gpu_the_quick_recipe_is_taken(monkeypatch):
    monkeypatch.setattr(backends, "gpu_hardware", lambda: False)
    assert plan(["alexnet"], data="sample").recipes["alexnet"] == QUICK["alexnet"]
    assert plan(["alexnet"], full=True, data="sample").recipes["alexnet"].num_epochs == 10


@pytest.mark.parametrize("on_gpu", [True, False])
def test_with_a_gpu_the_books_recipe_is_taken_if_every_framework_sees_it(monkeypatch, on_gpu):
    monkeypatch.setattr(backends, "installed", lambda name: True)
    monkeypatch.setattr(backends, "gpu_hardware", lambda: True)
    monkeypatch.setattr(planning, "_uses_gpu", lambda model, b, python: on_gpu or b != "paddle")
    assert (plan(["alexnet"], data="sample").recipes["alexnet"].num_epochs == 10) == on_gpu


def test_the_sample_limits_the_number_of_images():
    found = plan(["alexnet", "lenet"], full=True, data="sample").recipes.values()
    assert {(r.train_examples, r.test_examples) for r in found} == {(5_000, 1_000)}


def test_a_net_without_its_own_recipe_is_trained_at_its_own_size():
    found = plan(["alexnet-mnist", "alexnet-2012"], full=False, data="sample").recipes
    assert [recipe.resize for recipe in found.values()] == [96, 224]
    assert found["alexnet-mnist"].lr == QUICK["alexnet"].lr


def test_numpy_alone_trains_on_all_batches(monkeypatch):
    assert plan(["alexnet"], full=False, data="sample").recipes["alexnet"].numpy_batches
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    assert plan(["alexnet"], full=False, data="sample").recipes["alexnet"].numpy_batches is None


def test_only_the_backends_that_run_decide_the_recipe(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: True)
    monkeypatch.setattr(backends, "gpu_hardware", lambda: True)
    monkeypatch.setattr(planning, "_uses_gpu", lambda model, b, python: b == "torch")
    for names, device, full in (
        (["torch"], None, True),
        (["torch"], "cpu", False),
        (["torch", "paddle"], None, False),
        (["numpy"], None, False),
    ):
        found = plan(["alexnet"], names, data="sample", device=device)
        assert (found.recipes["alexnet"].num_epochs == 10) == full


def test_a_named_backend_that_is_missing_is_refused_unless_another_python_has_it(monkeypatch):
    monkeypatch.setattr(loading, "has_module", lambda module: module != "paddle")
    with pytest.raises(MissingBackendError, match="Paddle is not installed; run pip install"):
        plan(["lenet"], ["numpy", "paddle"], data="sample")
    pythons = {"paddle": sys.executable}
    assert "paddle" in plan(["lenet"], ["numpy", "paddle"], data="sample", pythons=pythons).names
    assert "paddle" in plan(["lenet"], data="sample").names


def test_numpy_is_left_out_of_a_full_run_unless_it_is_named():
    assert plan(["alexnet"], full=True, data="sample").names == tuple(backends.FRAMEWORKS)[1:]
    assert plan(["alexnet"], ["numpy"], full=True, data="sample").names == ("numpy",)
    assert plan(["alexnet"], full=False, data="sample").names == tuple(backends.FRAMEWORKS)


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_a_worker_reports_its_device_without_training():
    """A real process; this machine has only a CPU."""
    assert planning._uses_gpu("lenet", "torch", sys.executable) is False


def test_a_quick_run_without_other_data_uses_the_sample(monkeypatch):
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    monkeypatch.setattr(planning, "find", lambda dataset: None)
    assert plan(["alexnet"], full=False).root is None


# --- nets outside the zoo -------------------------------------------------------------------------

MINE = Net("mine", (1, 28, 28), (Conv(4, 5), ReLU(), Flatten(), Dense(10)))


def test_a_net_of_your_own_stands_beside_one_of_the_zoo():
    found = plan([MINE, LENET], ["numpy"], full=False, data="sample")
    assert list(found.recipes) == ["mine", "lenet"]
    assert (found.net("mine"), found.net("lenet")) == (MINE, LENET)
    assert found.nets == {"mine": MINE}
    assert found.recipes["mine"].resize == 28


class OwnReLU(ReLU):
    """No worker can get a layer that this library does not know."""


@pytest.mark.parametrize(
    ("models", "error", "message"),
    [
        ([MINE, MINE], RunError, "models must be distinct, got mine more than once"),
        ([Net("lenet", MINE.input_shape, MINE.layers)], RunError, "a net of the zoo has this name"),
        ([Net("a/b", MINE.input_shape, MINE.layers)], RunError, "'a/b': the files of a run have"),
        ([Net("mine", (4,), (OwnReLU(),))], SpecError, "layer 0: a OwnReLU cannot be saved"),
    ],
)
def test_a_net_that_cannot_be_compared_is_refused(models, error, message):
    with pytest.raises(error, match=message):
        plan(models, ["numpy"], data="sample")
