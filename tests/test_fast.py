"""The fast nets and their recipes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from helpers import alexnet_here, run

from alexnet.comparison.plan import plan
from alexnet.spec import zoo
from alexnet.training.recipes import FAST, net_for, recipe_for

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "time_to_accuracy.py"


@pytest.mark.parametrize("model", FAST)
def test_a_fast_net_has_one_recipe_on_all_images(model):
    recipe = recipe_for(model, full=False)
    assert recipe == recipe_for(model, full=True)
    assert (recipe.train_examples, recipe.test_examples) == (60_000, 10_000)
    assert recipe.nesterov and recipe.normalize and recipe.schedule == "one-cycle"
    assert net_for(model, recipe).output_shape == (10,)


def test_other_nets_keep_their_recipes():
    for model in zoo.ZOO.keys() - FAST:
        book, quick = recipe_for(model, full=True), recipe_for(model, full=False)
        assert not (book.nesterov or book.flip or quick.flip)


def test_the_sample_is_enough():
    found = plan(["alexnet-28-wide"], ["numpy"], data="sample").recipes["alexnet-28-wide"]
    assert (found.train_examples, found.test_examples, found.flip) == (5_000, 1_000, True)


def test_the_command_line_uses_the_recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "256:64")
    path = tmp_path / "history.json"
    arguments = ["--backend", "numpy", "--data", "sample", "--save", str(path)]
    done = alexnet_here("train", "alexnet-28-wide", "--epochs", "1", *arguments)
    assert done.returncode == 0, done.stderr
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    expected = {"momentum": 0.9, "nesterov": True, "flip": True, "crop": 1, "batch_size": 128}
    assert {key: settings[key] for key in expected} == expected
    done = alexnet_here("train", "alexnet-28", "--momentum", "0", *arguments)
    assert "nesterov=True needs a momentum above 0, got 0.0" in done.stderr
    done = alexnet_here("train", "alexnet-28", "--momentum", "0", "--no-nesterov", *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_comparison_of_a_fast_net_agrees(covered, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "512:64")
    folder = tmp_path / "run"
    found = alexnet_here(
        "compare", "alexnet-28", "--backends", ",".join(covered), "--data", "sample",
        "--out", str(folder),
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "momentum 0.9 (Nesterov), normalised, seed 0" in " ".join(found.stdout.split())
    saved = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    for row in saved["rows"]:
        assert max(row["parity"][key] for key in ("logits", "gradients", "weights")) < 1e-4
    losses = [[step["loss"] for step in row["history"]["steps"]] for row in saved["rows"]]
    for other in losses:
        # The second step has the full learning rate. Then the loss doubles, and rounding grows with it.
        assert other[:2] == pytest.approx(losses[0][:2], rel=1e-4)


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_the_benchmark_prints_accuracy_and_seconds():
    done = run(
        sys.executable, str(BENCHMARK), "--backends", "torch", "--seeds", "1",
        ALEXNET_SUBSET="256:64", ALEXNET_DATA="sample",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"torch +0 +0\.\d{4} +\d+\.\d +\d+\.\d\n", done.stdout)
