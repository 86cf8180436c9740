"""Comparisons that end early: the row keeps its result, and a resumed run adds the rest."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from small_runs import SMALL, SMALL_ALEXNET, Watcher

from alexnet import backends, load_fashion_mnist
from alexnet.comparison.plan import Plan
from alexnet.comparison.results import Comparison
from alexnet.comparison.run import resume
from alexnet.comparison.run import run_plan as compare
from alexnet.workers import processes


@pytest.mark.parametrize("event", ["result", "answers"])
def test_a_worker_killed_after_its_result_keeps_its_row(event, tmp_path):
    """A resumed run adds the answers and the parity without training again."""
    watcher = Watcher()
    watcher.when = ("numpy", event)
    watcher.do = lambda event: os.kill(watcher.pid, signal.SIGKILL)
    plan = Plan({"alexnet-mnist": SMALL_ALEXNET}, None, ("numpy",))
    (row,) = compare(plan, out=tmp_path / "run", watcher=watcher).rows
    assert row.problem == ""
    assert row.history is not None
    assert row.note.startswith("after training: killed by SIGKILL")
    assert row.parity is None
    assert row.answers is not None or event == "result"  # they follow the result at once
    assert Comparison.load(tmp_path / "run").rows == [row]
    again = Watcher()
    (mended,) = resume(tmp_path / "run", again).rows
    assert ("numpy", "step") not in again.events
    assert mended.note == ""
    assert mended.parity.agrees("float32")
    right = load_fashion_mnist(source="sample")[1].labels[:16] == mended.answers.classes
    assert right.mean() == row.history.last.test_accuracy
    assert mended.history == row.history
    assert mended.peak_memory >= row.peak_memory
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_interrupt_after_a_result_is_noted_and_the_rest_is_added_later(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    recipe = replace(SMALL, numpy_batches=4)
    plan = Plan({"lenet": recipe}, None, ("numpy",))
    watcher = Watcher(("numpy", "result"), interrupt)
    (row,) = compare(plan, out=tmp_path / "run", watcher=watcher).rows
    assert row.problem == ""
    assert row.note == f"after training: interrupted; use --resume {tmp_path / 'run'} to continue"
    (mended,) = resume(tmp_path / "run").rows
    assert mended.note == ""
    assert mended.parity.agrees("float32")


def test_a_worker_that_adds_missing_parts_keeps_the_rows_machine_and_history(tmp_path, monkeypatch):
    kill = Watcher(("numpy", "result"), lambda event: os.kill(kill.pid, signal.SIGKILL))
    plan = Plan({"lenet": SMALL}, None, ("numpy",))
    (trained,) = compare(plan, out=tmp_path / "run", watcher=kill).rows
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    (mended,) = resume(tmp_path / "run").rows
    assert mended.finished
    for name in ("threads", "machine", "device", "version", "peak_memory", "history"):
        assert getattr(mended, name) == getattr(trained, name)


def test_an_interrupt_after_a_complete_row_leaves_no_checkpoint(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    watcher = Watcher(("numpy", "parity"), interrupt)
    plan = Plan({"lenet": SMALL}, None, ("numpy",))
    (row,) = compare(plan, out=tmp_path / "run", watcher=watcher).rows
    assert (row.problem, row.note, row.finished) == ("", "", True)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_row_reports_its_failure_once(tmp_path, monkeypatch):
    """A worker says why it failed, then ends with a status; then the command is interrupted."""
    wrong = "import alexnet.workers.worker as w\nfrom alexnet.errors import RunError\n"
    wrong += "def parity(*a): raise RunError('no images stand away')\nw.parity = parity\n"
    launch = processes.LAUNCH.replace(
        "from alexnet.workers.worker import main\n", f"{wrong}main = w.main\n"
    )
    monkeypatch.setattr(processes, "LAUNCH", launch)
    monkeypatch.setattr(backends, "installed", lambda name: name != "torch")

    class Interrupting(Watcher):
        def finish(self, row):
            if row.backend == "numpy":
                raise KeyboardInterrupt

    plan = Plan({"lenet": SMALL}, None, ("torch", "numpy", "mxnet"))
    rows = compare(plan, out=tmp_path / "run", watcher=Interrupting()).rows
    missing, row, waiting = rows
    assert missing.problem.startswith("not installed; ")
    assert row.note == "after training: no images stand away"
    assert waiting.problem.startswith("interrupted; ")


def test_a_row_without_a_result_has_no_note_about_its_images(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    plan = Plan({"lenet": replace(SMALL, numpy_batches=1)}, None, ("numpy",))
    (row,) = compare(
        plan, out=tmp_path / "run", watcher=Watcher(("numpy", "start"), interrupt)
    ).rows
    assert row.note == ""
