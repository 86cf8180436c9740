"""A sweep that is killed at a random moment, and a cluster that loses a machine: no run is lost."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import psutil
import pytest
from distributed import LocalCluster
from distributed.diagnostics.plugin import SchedulerPlugin
from helpers import python, run
from small_runs import Watcher
from sweeps import TINY, contents, planned

from alexnet import RunError, Sweep
from alexnet.sweeps import cluster as on_cluster
from alexnet.sweeps.results import FILE
from alexnet.sweeps.run import resume, run_plan

DEADLINE = 60.0  # seconds until a test gives up

# A sweep whose own process is killed after so many events of its workers.
KILLED = """
import os, signal, sys
from pathlib import Path
from alexnet.comparison.filling import NullWatcher
from alexnet.sweeps.plan import plan
from alexnet.sweeps.run import run_plan

class Killing(NullWatcher):
    events = 0

    def event(self, row, event):
        self.events += 1
        if self.events == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

settings = {"lr": [0.1, 0.2, 0.5, 1.0], "train_examples": 48, "test_examples": 16, "num_epochs": 2}
run_plan(plan("lenet", settings, ["numpy"], data="sample"), Path(sys.argv[1]), Killing())
"""
EVENTS_OF_A_RUN = 10  # at least


def test_a_killed_sweep_resumes_without_loss_and_without_doing_a_run_twice(tmp_path):
    moment = random.randint(1, 4 * EVENTS_OF_A_RUN - 1)
    killed = run(sys.executable, "-c", KILLED, str(tmp_path / "sweep"), str(moment))
    assert killed.returncode == -signal.SIGKILL, (moment, killed.stderr)
    before = contents(tmp_path / "sweep")
    assert len(before) < 4, moment
    watcher = Watcher()
    found = resume(tmp_path / "sweep", watcher)
    assert all(row.finished for row in found.rows), moment
    assert before.items() <= contents(found.folder).items(), moment
    assert [kind for _, kind in watcher.events].count("start") == 4 - len(before), moment
    for row in found.rows:
        assert len(row.history.steps) == 2 * 3, moment
        assert len(row.history.epochs) == 2, moment
    names = {path.name for path in found.folder.iterdir()} - {".lock"}
    assert names == {FILE, "runs", "table.txt", "sweep.csv", "sweep.png", "sweep.html"}, moment


# --- a cluster --------------------------------------------------------------------------------------


class Started(SchedulerPlugin):
    """Counts how often each task was given to a worker."""

    def __init__(self):
        self.times = {}

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "processing":
            self.times[key] = self.times.get(key, 0) + 1


@pytest.fixture(scope="module")
def cluster():
    with (
        mock.patch.dict(os.environ),  # Dask sets the number of threads in this process too
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as found,
    ):
        yield found


def wait_until(what):
    """Return the first result of ``what`` that is true."""
    deadline, pause = time.monotonic() + DEADLINE, threading.Event()
    while not (found := what()):
        assert time.monotonic() < deadline
        pause.wait(0.01)
    return found


def trainings(cluster):
    """The processes of runs that are being done, with the Dask worker that has each."""
    found = {}
    for worker in cluster.workers.values():
        for child in psutil.Process(worker.pid).children(recursive=True) if worker.pid else ():
            try:
                if "alexnet.workers.worker" in " ".join(child.cmdline()):
                    found[child.pid] = worker.pid
            except psutil.NoSuchProcess:
                continue
    return found


@pytest.mark.slow
def test_a_run_whose_dask_worker_is_killed_is_done_again_once(cluster, tmp_path):
    started, watcher = Started(), Watcher()
    cluster.scheduler.add_plugin(started)
    plan = planned({"lr": [0.1, 0.5], **TINY | {"train_examples": 1024}})
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(run_plan, plan, tmp_path / "sweep", watcher, cluster.scheduler_address)
        wait_until(lambda: len(trainings(cluster)) == 2)
        training, worker = next(iter(trainings(cluster).items()))
        os.kill(worker, signal.SIGKILL)
        found = done.result(DEADLINE)
    wait_until(lambda: not psutil.pid_exists(training))
    assert sorted(started.times.values()) == [1, 2]
    assert len(watcher.rows) == 2  # each is recorded once
    assert all(row.finished and not row.problem for row in found.rows)
    assert Sweep.load(found.folder).rows == found.rows
    assert len(contents(found.folder)) == 2


@pytest.mark.slow
def test_an_interrupted_sweep_ends_its_runs_on_the_cluster(cluster, tmp_path):
    class Interrupting(Watcher):
        def finish(self, row):
            raise KeyboardInterrupt

    plan = planned({"lr": 0.1, **TINY, "num_epochs": [1, 10_000]})
    found = run_plan(plan, tmp_path / "sweep", Interrupting(), cluster.scheduler_address)
    assert found.interrupted
    assert [row.history is None for row in found.rows] == [False, True]
    wait_until(lambda: not trainings(cluster))


@pytest.mark.slow
def test_a_failure_on_the_cluster_costs_only_its_run(cluster, tmp_path):
    plan = planned({"activation": "relu", "lr": [1e30, 0.1], **TINY})
    found = run_plan(plan, tmp_path / "sweep", Watcher(), cluster.scheduler_address)
    assert "is not finite after epoch 1" in found.rows[0].problem
    assert found.rows[1].finished


def test_a_dask_worker_with_another_version_is_refused():
    (event,) = on_cluster.do("{}", "", 60.0, "9.9")
    assert event["event"] == "end"
    assert "but the sweep needs 9.9" in event["problem"]


def test_a_scheduler_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "CONNECT_SECONDS", 0.1)
    with pytest.raises(RunError, match=r"scheduler tcp://127.0.0.1:9: cannot connect to it"):
        run_plan(planned({"lr": 0.1}), tmp_path / "sweep", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "sweep").exists()


def test_without_dask_the_command_that_installs_it_is_named():
    found = python(
        "import sys; sys.modules['distributed'] = None\n"
        "from alexnet import AlexNetError, sweep\n"
        "try: sweep('lenet', ['numpy'], lr=0.1, data='sample', scheduler='tcp://a:1')\n"
        "except AlexNetError as error: print(error)"
    )
    assert found.stdout.strip() == (
        'a Dask scheduler needs dask.distributed; run pip install "distributed>=2024.1"'
    ), found.stderr
