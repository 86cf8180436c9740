"""compare: real worker processes, a row for each backend."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import alexnet
from matplotlib.image import imread
from small_runs import SMALL, SMALL_ALEXNET, Watcher

from alexnet import History, backends, load_fashion_mnist
from alexnet import compare as alexnet_compare
from alexnet.comparison.agreement import agreements
from alexnet.comparison.plan import Plan
from alexnet.comparison.results import Comparison
from alexnet.comparison.run import run_plan as compare
from alexnet.spec import Conv, Dense, Dropout, Flatten, Net, ReLU
from alexnet.workers import processes


@pytest.mark.needs("torch")
def test_two_backends_get_the_same_run(tmp_path):
    watcher = Watcher()
    found = compare(
        Plan({"lenet": SMALL}, None, ("numpy", "torch")), out=tmp_path / "run", watcher=watcher
    )
    numpy_row, torch_row = found.rows
    losses = [[s["loss"] for s in row.history.steps] for row in (numpy_row, torch_row)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    test_labels = load_fashion_mnist(source="sample")[1].labels[:32]
    for row in found.rows:
        assert row.problem == ""
        assert row.logits_difference < 1e-5
        assert row.peak_memory > 10_000_000
        assert row.history.settings["train_examples"] == 96
        assert row.parity.agrees("float32")
        right = np.equal(row.answers.classes, test_labels)
        assert right.mean() == row.history.last.test_accuracy
    kinds = [kind for name, kind in watcher.events if name == "torch"]
    assert kinds[:4] == ["start", "ready", "initial_logits", "begin"]
    after = [kind for kind in kinds[4:] if kind not in ("step", "test")]
    assert after == ["epoch", "result", "answers", "parity", "end"]


def test_the_run_folder_holds_everything(tmp_path):
    compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names - {".lock"} == {"comparison.json", "table.txt", "curves.png", "lenet-numpy.log"}
    saved = json.loads(
        (tmp_path / "run" / "comparison.json").read_text(), parse_constant=pytest.fail
    )
    assert saved["plan"]["recipes"]["lenet"]["lr"] == 0.5
    (row,) = saved["rows"]
    assert History.from_dict(row["history"]).backend == "numpy"
    assert "numpy" in (tmp_path / "run" / "table.txt").read_text()
    picture = imread(tmp_path / "run" / "curves.png")
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.01  # not blank


def test_a_diverging_run_has_a_row_that_says_so(tmp_path):
    """NaN losses do not end the run; weights that are not finite do."""
    plan = Plan({"alexnet-mnist": replace(SMALL_ALEXNET, lr=1e30)}, None, ("numpy",))
    (row,) = compare(plan, out=tmp_path / "run").rows
    assert re.search("is not finite after epoch 1, so the training stops", row.problem)


def test_a_step_that_differs_from_the_reference_is_noted(tmp_path, monkeypatch):
    wrong = "import alexnet.workers.worker as w\nfrom alexnet.parity.check import Differences\n"
    wrong += "w.parity = lambda *a: iter([Differences('numpy', 0.0, 0.0, 0.5, 0.0, '3.weight')])\n"
    launch = processes.LAUNCH.replace(
        "from alexnet.workers.worker import main\n", f"{wrong}main = w.main\n"
    )
    assert launch != processes.LAUNCH
    monkeypatch.setattr(processes, "LAUNCH", launch)
    (row,) = compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run").rows
    assert row.note == "one training step differs from the reference: 3.weight by 5.0e-01"
    assert "one training step" in (tmp_path / "run" / "table.txt").read_text()


@pytest.mark.slow
def test_several_nets_share_one_table(tmp_path):
    """Each has its name, its own recipe, logs and curves."""
    folder = tmp_path / "run"
    done = alexnet(
        "compare", "lenet", "alexnet-mnist", "--backends", "numpy", "--data", "sample",
        "--examples", "32", "--epochs", "1", "--resize", "64", "--out", str(folder),
        ALEXNET_SUBSET="32:16",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lenet, alexnet_mnist = Comparison.load(folder).rows
    assert (lenet.model, alexnet_mnist.model) == ("lenet", "alexnet-mnist")
    assert lenet.history.settings["momentum"] != alexnet_mnist.history.settings["momentum"]
    for row in (lenet, alexnet_mnist):
        assert row.history.model == row.model
        assert row.logits_difference < 1e-5
        assert row.parity.agrees("float32")
    table = (folder / "table.txt").read_text()
    assert re.search(r"^lenet +\nnumpy .*\n\s*\nalexnet-mnist +\nnumpy ", table, re.MULTILINE)
    assert "lenet at 64×64" in table and "alexnet-mnist at 64×64" in table
    names = {path.name for path in folder.iterdir()}
    assert {"lenet-numpy.log", "alexnet-mnist-numpy.log", "report.html"} <= names
    figure = Comparison.load(folder).plot()
    assert [axes.get_title() for axes in figure.axes] == [
        f"{model}: {what}"
        for model in ("lenet", "alexnet-mnist")
        for what in ("training loss", "accuracy")
    ]


@pytest.mark.needs("torch")
def test_a_net_of_your_own_is_compared(tmp_path):
    """Its dropout masks are shared, the saved run can be read again, and the report shows its layers."""
    layers = (Conv(4, 5, stride=2), ReLU(), Flatten(), Dropout(0.5), Dense(10))
    mine = Net("mine, small", (1, 28, 28), layers)
    small = {"data": "sample", "train_examples": 96, "test_examples": 32, "num_epochs": 1}
    found = alexnet_compare(mine, ["numpy", "torch"], out=tmp_path / "run", **small)
    losses = [[step["loss"] for step in row.history.steps] for row in found.rows]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert all(row.parity.agrees("float32") for row in found.rows)
    assert "All used the same dropout masks." in str(found)
    assert Comparison.load(tmp_path / "run").plan.net("mine, small") == mine
    assert "Conv(4, 5, stride=2)" in (tmp_path / "run" / "report.html").read_text()


def test_a_missing_framework_has_a_row_with_its_install_command(tmp_path, monkeypatch):
    real = backends.installed
    monkeypatch.setattr(backends, "installed", lambda name: name != "mxnet" and real(name))
    found = compare(Plan({"lenet": SMALL}, None, ("mxnet", "numpy")), out=tmp_path / "run")
    missing, present = found.rows
    assert missing.problem == backends.framework("mxnet").missing
    assert missing.missing
    assert f"MXNet: {missing.problem}" in (tmp_path / "run" / "table.txt").read_text()
    assert present.history is not None


@pytest.mark.slow
@pytest.mark.needs("torch", "mxnet", "tensorflow", "paddle")
def test_compare_runs_alexnet_in_every_backend_on_few_images(tmp_path):
    """The README's `alexnet compare`, on 48 small images, two backends at a time."""
    arguments = ["--resize", "96", "--parallel", "2", "--out", str(tmp_path / "run")]
    found = alexnet("compare", *arguments, ALEXNET_SUBSET="48:16")
    assert found.returncode == 0, found.stdout + found.stderr
    saved = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert [row["backend"] for row in saved["rows"]] == list(backends.FRAMEWORKS)
    for row in saved["rows"]:
        history = History.from_dict(row["history"])
        assert history.settings["image_shape"] == [1, 96, 96]
        assert len(history.steps) == 3
        assert row["logits_difference"] < 1e-4
        assert row["note"] == ""


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.needs("torch", "mxnet", "tensorflow", "paddle")
def test_compare_trains_alexnet_in_every_backend(tmp_path):
    """The README's command: every backend learns, at 224, and every two of them agree."""
    found = alexnet("compare", "--data", "sample", "--out", str(tmp_path / "run"))
    assert found.returncode == 0, found.stdout + found.stderr
    (agreed,) = agreements(Comparison.load(tmp_path / "run").rows)
    assert len(agreed.rows) == 4
    assert agreed.least >= 0.85 * agreed.images
    saved = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert [row["backend"] for row in saved["rows"]] == list(backends.FRAMEWORKS)
    for row in saved["rows"]:
        history = History.from_dict(row["history"])
        assert history.settings["image_shape"] == [1, 224, 224]
        if row["backend"] == "numpy":
            assert len(history.steps) == 8
        else:  # chance is 0.1
            losses = [step["loss"] for step in history.steps]
            assert np.mean(losses[-16:]) < np.mean(losses[:16]) - 0.4, row["backend"]
            assert history.last.test_accuracy > 0.5, row["backend"]
        assert row["logits_difference"] < 1e-4
        assert history.examples_per_sec > 0
        assert np.isfinite(history.last.loss)
