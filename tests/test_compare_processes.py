"""compare --workers: each framework trains in several processes, and the rest stays as with one."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from small_runs import SMALL, Watcher, worker_that

import alexnet.workers
from alexnet import backends, load_fashion_mnist
from alexnet.backends import usable_cores, world
from alexnet.backends.world import World
from alexnet.comparison.plan import Plan, plan
from alexnet.comparison.run import resume, run_plan
from alexnet.comparison.table import recipe_lines
from alexnet.errors import BackendError, RunError
from alexnet.workers import parallel, processes, worker
from alexnet.workers.job import Job


@pytest.mark.slow
@pytest.mark.needs("torch", "mxnet")
def test_two_processes_give_what_one_gives(tmp_path, monkeypatch):
    """Also if the worker is killed: it leaves no process, and its row resumes with two processes."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    family = []

    def kill(event):
        family.extend(psutil.Process(watcher.pid).children(recursive=True))
        os.kill(watcher.pid, signal.SIGKILL)

    watcher = Watcher(("mxnet", "epoch"), kill)
    recipe = replace(SMALL, num_epochs=30, lr=0.1)
    planned = Plan({"lenet": recipe}, None, ("numpy", "torch", "mxnet"), workers=2)
    killed = run_plan(planned, out=tmp_path / "run", watcher=watcher).rows[2]
    assert killed.problem.startswith("killed by SIGKILL")
    assert len(family) >= 3  # the launcher and two processes
    assert psutil.wait_procs(family, timeout=30)[1] == []

    begun = []
    again = Watcher(("mxnet", "begin"), begun.append)
    found = resume(tmp_path / "run", again)
    assert begun[0]["history"]["epochs"]
    assert found.plan.workers == 2
    alone, *together = found.rows
    test_labels = load_fashion_mnist(source="sample")[1].labels[:32]
    for row in together:
        assert (row.problem, row.note) == ("", "")
        assert row.history.settings["processes"] == 2
        losses = [[step["loss"] for step in r.history.steps] for r in (row, alone)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
        right = np.equal(row.answers.classes, test_labels)
        assert right.mean() == row.history.last.test_accuracy
        assert row.logits_difference < 1e-5
        assert row.parity.agrees("float32")
        assert row.threads == str(max(1, usable_cores() // 2))
    assert "processes" not in alone.history.settings
    assert ", seed 0, 2 processes (NumPy: 1)" in (tmp_path / "run" / "table.txt").read_text()


def test_an_interrupted_worker_can_end_its_processes(tmp_path, monkeypatch):
    """It gets SIGTERM and time; a worker that has only itself is killed at once."""
    ended = tmp_path / "ended"
    code = f"""
def end(number, frame):
    open({str(ended)!r}, 'a').write(json.loads(job)['backend'] + os.environ['OMP_NUM_THREADS'])
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
print('{{"event": "test"}}', flush=True)
signal.pause()
"""
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    monkeypatch.setattr(processes, "usable_cores", lambda: 6)
    monkeypatch.setattr(backends, "installed", lambda name: True)
    monkeypatch.setattr(processes, "users_environment", dict)

    def interrupt(event):
        raise KeyboardInterrupt

    for name in ("numpy", "torch"):
        watcher = Watcher((name, "test"), interrupt)
        planned = Plan({"lenet": SMALL}, None, (name,), workers=2)
        (row,) = run_plan(planned, out=tmp_path / name, watcher=watcher).rows
        assert row.problem.startswith("interrupted; ")
    assert ended.read_text() == "torch3"  # half of the six cores


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"workers": 0}, RunError, "workers must be at least 1, got 0"),
        ({"workers": 1.5}, RunError, "workers must be a whole number, got 1.5"),
        (
            {"workers": 2, "parallel": 3},
            RunError,
            "parallel 3 and workers 2 cannot both be above 1, because the processes of one net already",
        ),
        (
            {"workers": 2, "device": "gpu:1"},
            RunError,
            "2 processes need 2 GPUs, but gpu:1 is one; use gpu",
        ),
        (
            {"workers": 2, "names": ["numpy"]},
            BackendError,
            "alexnet cannot start several processes of NumPy; it can with torch, ",
        ),
        (
            {"workers": 9, "batch_size": 8},
            RunError,
            "lenet: a batch must have at least one example for each process, got batches of 8 for 9",
        ),
    ],
)
def test_settings_that_no_processes_can_have_are_refused(options, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        plan(["lenet"], full=False, data="sample", **options)


def test_only_a_framework_with_a_launcher_has_several_processes(monkeypatch):
    found = plan(["lenet"], full=False, data="sample", workers=3)
    able = [name for name, f in backends.FRAMEWORKS.items() if f.launch is not None]
    assert [name for name in found.names if found.processes(name) == 3] == able
    assert recipe_lines(found, 0)[0].endswith(", seed 0, 3 processes (NumPy: 1)")
    alone = plan(["lenet"], full=False, data="sample")
    assert recipe_lines(alone, 0)[0].endswith(", seed 0")


def test_fewer_gpus_than_processes_are_refused_before_they_start(monkeypatch):
    module = SimpleNamespace(gpus=lambda: ["gpu(0)"])
    monkeypatch.setattr(backends, "load", lambda name: module)
    monkeypatch.setattr(backends, "resolve_device", lambda module, device: "gpu(0)")
    monkeypatch.setattr(backends, "is_gpu", lambda module, device: True)
    with pytest.raises(
        RunError, match="its own GPU, but PyTorch sees 1 for 2 processes; use fewer"
    ):
        parallel.run(Job("lenet", "torch", SMALL, 0, None), 2, "none")


def test_an_environment_without_psutil_is_told_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.delitem(sys.modules, "alexnet.workers.parallel")
    monkeypatch.delattr(alexnet.workers, "parallel")
    with pytest.raises(RunError, match="several processes need the package psutil; install it for"):
        worker._train_in_processes(Job("lenet", "torch", SMALL, 0, None, processes=2), None)


# --- the logits of whole batches ------------------------------------------------------------------


class Sums:
    """The engine of three processes, which are threads here."""

    def __init__(self, size):
        self.barrier, self.given, self.calls = threading.Barrier(size), [], 0

    def total(self, values):
        self.given.append(values)
        self.barrier.wait(10)
        found = sum(self.given)
        if not self.barrier.wait(10):  # one of the threads
            self.given, self.calls = [], self.calls + 1
        self.barrier.wait(10)
        return found


@pytest.mark.parametrize(
    ("sizes", "sums"), [((5, 2, 7, 1, 4), 2), ((1,), 1), ((), 0), ((30, 30), 2)]
)
def test_every_process_gets_the_logits_of_whole_batches_in_order(monkeypatch, sizes, sums):
    """Also a process without a row. Every bit is the same, of numbers that are not finite too."""
    monkeypatch.setattr(world, "GATHERED", 4 * 14)
    generator = np.random.default_rng(5)
    batches = [generator.normal(size=(n, 4)).astype(np.float32) for n in sizes]
    if sizes:
        batches[0][0] = np.nan, np.inf, -np.inf, 1e-45
    labels = [np.arange(n) for n in sizes]
    engine, found = Sums(3), {}

    def take_part(rank):
        one = World(rank, 3, engine)
        own = [(b[one.rows(len(b))[0]], y) for b, y in zip(batches, labels, strict=True)]
        found[rank] = list(one.whole(own))

    threads = [threading.Thread(target=take_part, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.calls == sums
    for rank in range(3):
        assert len(found[rank]) == len(sizes)
        for (whole, y), batch, expected in zip(found[rank], batches, labels, strict=True):
            np.testing.assert_array_equal(whole, batch)
            np.testing.assert_array_equal(y, expected)
            assert whole.dtype == np.float32
