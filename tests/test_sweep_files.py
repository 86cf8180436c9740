"""The folder of a sweep: its files, what damages them, resuming it, adding to it, and its lock."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from small_runs import Watcher
from sweeps import TINY, contents, planned

from alexnet import RunError, Sweep, backends
from alexnet.sweeps import run as running
from alexnet.sweeps.results import FILE, RUNS
from alexnet.sweeps.run import resume, run_plan
from alexnet.workers.folders import locked

SETTINGS = {"activation": ["relu", "tanh"], "lr": 0.1, **TINY}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    return run_plan(planned(SETTINGS), folder)


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of a finished sweep."""
    return shutil.copytree(finished.folder, tmp_path / "sweep")


def started(watcher):
    return [kind for _, kind in watcher.events].count("start")


def test_the_folder_holds_everything(finished):
    names = {path.name for path in finished.folder.iterdir()} - {".lock"}
    assert names == {FILE, RUNS, "table.txt", "sweep.csv", "sweep.png", "sweep.html"}
    runs = {path.name for path in (finished.folder / RUNS).iterdir()}
    assert (
        "activation=tanh,lr=0.1,num_epochs=1,train_examples=48,test_examples=16-numpy-seed0.json"
        in runs
    )
    assert len(runs) == 4  # a file and a log of each
    for row in finished.rows:
        assert row.problem == row.note == ""
        assert row.finished
        assert row.logits_difference < 1e-5
        assert row.history.settings["train_examples"] == 48
        assert finished.seconds[row.name] > 0
    relu, tanh = finished.rows
    assert relu.history.model == "lenet, activation=relu"
    assert relu.history.steps != tanh.history.steps


def test_a_sweep_is_read_back(finished):
    found = Sweep.load(str(finished.folder))
    assert found.rows == finished.rows
    assert found.plan == finished.plan
    assert found.records() == finished.records()
    assert repr(found) == repr(finished)


def test_a_finished_sweep_has_nothing_to_resume(folder):
    before, watcher = contents(folder), Watcher()
    resume(folder, watcher)
    assert watcher.events == []
    assert contents(folder) == before


def test_added_values_and_seeds_run_and_the_old_runs_stay(folder):
    before, watcher = contents(folder), Watcher()
    found = resume(folder, watcher, settings={"lr": [0.5, 0.1]}, seeds=2)
    assert len(found.rows) == 2 * 2 * 2
    assert started(watcher) == 6
    assert all(row.finished for row in found.rows)
    assert before.items() <= contents(folder).items()
    assert Sweep.load(folder).plan.settings["lr"] == (0.1, 0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"width": [2.0]}}, "width is not a setting of the sweep .*begin a new sweep"),
        ({"settings": {"lr": [0]}}, "lr=0.0: must be a finite number above 0"),
        ({"model": "alexnet"}, "net must be 'lenet' as in the sweep, got 'alexnet'"),
        ({"seed": 1}, "seed must be 0 as in the sweep, got 1"),
        ({"full": True}, "full must be False as in the sweep, got True"),
        ({"device": "gpu"}, "device must be None as in the sweep, got 'gpu'"),
        ({"shared_dropout": False}, "shared_dropout must be True as in the sweep, got False"),
        ({"data": "/elsewhere"}, "--data cannot be used with --resume"),
    ],
)
def test_changes_that_would_spoil_finished_runs_are_refused(folder, change, message):
    before = contents(folder), (folder / FILE).read_bytes()
    with pytest.raises(RunError, match=message):
        resume(folder, **change)
    assert (contents(folder), (folder / FILE).read_bytes()) == before


def test_another_version_and_other_images_are_refused(folder, monkeypatch):
    monkeypatch.setattr(running, "__version__", "9.9")
    with pytest.raises(RunError, match=r"made by alexnet .*, this is 9\.9; its runs cannot be"):
        resume(folder)
    monkeypatch.undo()
    monkeypatch.setenv("ALEXNET_SUBSET", "20:10")
    with pytest.raises(RunError, match="the images have changed since the sweep began"):
        resume(folder)


def test_a_folder_that_is_being_written_is_refused(folder):
    with (
        locked(folder, "sweep"),
        pytest.raises(RunError, match="another process is running this sweep"),
    ):
        resume(folder)


def test_a_folder_that_holds_a_sweep_or_none_is_refused(folder, tmp_path):
    with pytest.raises(RunError, match=r"already holds a sweep; use --resume .* to continue it"):
        run_plan(planned(SETTINGS), folder)
    with pytest.raises(RunError, match=r"sweep\.json: cannot read the file \(No such file"):
        resume(tmp_path)
    assert not (tmp_path / ".lock").exists()


def test_a_damaged_run_is_told_and_done_again(folder):
    file = next((folder / RUNS).glob("*tanh*.json"))
    intact = contents(folder)
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 7'))
    relu, tanh = Sweep.load(folder).rows
    assert tanh.history is None
    assert "is damaged: its checksum does not match its values" in tanh.problem
    assert relu.finished
    watcher = Watcher()
    relu, tanh = resume(folder, watcher).rows
    assert started(watcher) == 1
    assert tanh.finished
    assert tanh.problem == ""
    others = {name: text for name, text in contents(folder).items() if name != file.name}
    assert others.items() <= intact.items()


def test_a_run_under_another_name_is_not_taken_for_this_one(folder):
    relu, tanh = sorted((folder / RUNS).glob("*.json"))
    shutil.copy(relu, tanh)
    assert "it is the run activation=relu" in Sweep.load(folder).rows[1].problem


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "sha256": "0"}', "[1]", "null"])
def test_a_damaged_plan_is_one_sentence(folder, text):
    (folder / FILE).write_text(text)
    with pytest.raises(RunError, match=r"sweep\.json: cannot read the file \("):
        Sweep.load(folder)


def test_a_plan_of_a_later_format_is_refused(folder):
    (folder / FILE).write_text(json.dumps({"format": 99, "sha256": "0"}))
    with pytest.raises(RunError, match="it has format 99, this version reads format 1"):
        Sweep.load(folder)


def test_a_failed_run_costs_only_itself_and_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    settings = {"activation": "relu", "lr": [1e30, 0.1], **TINY}
    found = run_plan(planned(settings, ["mxnet", "numpy"]), tmp_path / "sweep")
    missing, diverged, _, learned = found.rows
    assert missing.problem == backends.framework("mxnet").missing
    assert "is not finite after epoch 1" in diverged.problem
    assert learned.finished
    assert [row.problem for row in Sweep.load(found.folder).rows] == [r.problem for r in found.rows]
    assert {run["state"] for run in found.records()} == {"failed", "done"}
    table = (found.folder / "table.txt").read_text(encoding="utf-8")
    assert "is not finite after epoch 1" in table
    watcher = Watcher()
    resume(found.folder, watcher)
    assert started(watcher) == 1  # the diverged one; MXNet is still missing


def test_an_interrupted_run_is_not_done_and_resumes(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    plan = replace(planned({"lr": [0.1, 0.5], **TINY | {"num_epochs": 2}}), timeout=60.0)
    found = run_plan(plan, tmp_path / "sweep", Watcher(("numpy", "result"), interrupt))
    assert found.interrupted
    assert "1 run is not done yet; alexnet sweep --resume" in repr(found)
    first, second = found.rows
    assert first.note.startswith("after training: interrupted")
    assert (second.history, second.problem) == (None, "")
    watcher = Watcher()
    mended = resume(found.folder, watcher)
    assert all(row.finished and not row.note for row in mended.rows)
    assert mended.rows[0].history == first.history
    kinds = [kind for _, kind in watcher.events]
    assert kinds.count("begin") == 2
    assert not (found.folder / "checkpoints").exists()
