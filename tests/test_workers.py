"""Workers in other environments, several at a time, interrupted and resumed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import select
import signal
import subprocess
import sys
import uuid
import venv
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import alexnet, alexnet_here, python, run
from small_runs import SMALL, Watcher

from alexnet import build, save
from alexnet.comparison.plan import Plan, interpreters, plan
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Row
from alexnet.comparison.run import resume
from alexnet.comparison.run import run_plan as compare
from alexnet.errors import BackendError, RunError
from alexnet.training.recipes import Recipe

LONGER = Recipe(96, 32, 3, 16, 0.5, normalize=True)
LENET = ["lenet", "--data", "sample", "--examples", "64", "--epochs", "2"]


# --- environments ---------------------------------------------------------------------------------


def closure(*names):
    """Distributions and their requirements here, without extras."""
    found, waiting = {}, list(names)
    while waiting:
        name = re.sub("[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # for another platform or another Python
            continue
        for requirement in found[name].requires or ():
            if "extra ==" not in requirement:
                waiting.append(re.match(r"[\w.-]+", requirement)[0])
    return found.values()


def environment(folder, *names):
    """The Python of a new virtual environment with links to these distributions."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in closure(*names):
        for file in distribution.files:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(distribution.locate_file(top))
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_a_worker_needs_only_numpy_safetensors_and_its_framework(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it may name this library's folder
    python = environment(tmp_path / "env", "torch", "numpy", "safetensors")
    for module in ("rich", "typer", "matplotlib", "alexnet"):
        look = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is not None)"
        assert subprocess.run([python, "-c", look], cwd=tmp_path).returncode == 0, module
    done = alexnet(
        "compare", *LENET, "--backends", "numpy,torch", "--python", f"torch={python}",
        "--out", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    mine, other = Comparison.load(tmp_path / "run").rows
    assert other.backend == "torch"
    losses = [[s["loss"] for s in row.history.steps] for row in (mine, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_an_interpreter_without_numpy_has_a_row_that_says_so(tmp_path):
    python = environment(tmp_path / "env")
    found = compare(
        Plan({"lenet": SMALL}, None, ("numpy",), pythons={"numpy": str(python)}),
        out=tmp_path / "run",
    )
    assert "No module named 'numpy'" in found.rows[0].problem


def test_a_worker_that_runs_out_of_memory_costs_only_its_own_row(tmp_path):
    """The worker may use 200 MB, which is enough for LeNet but not for AlexNet."""
    script = tmp_path / "little"
    script.write_text(f'#!/bin/sh\nulimit -v 200000\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    recipe = replace(SMALL, resize=65)
    found = compare(
        Plan({"alexnet": recipe}, None, ("numpy",), pythons={"numpy": str(script)}),
        out=tmp_path / "run",
    )
    assert "Unable to allocate" in found.rows[0].problem
    assert found.rows[0].history is None


def test_interpreters_are_named_one_by_one_or_in_a_file(tmp_path):
    file = tmp_path / "pythons.toml"
    file.write_text(f'[python]\nmxnet = "{sys.executable}"\n')
    assert interpreters([f"torch={sys.executable}", str(file)]) == {
        "torch": sys.executable,
        "mxnet": sys.executable,
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("torch=/no/such/python", "--python torch=/no/such/python: is not an executable program"),
        ("jax=python", "unknown backend 'jax'"),
        ("no-such.toml", r"must be name=path or a TOML file \(No such file"),
        ("{broken}", r"must be name=path or a TOML file"),
        ("{empty}", r"must have a table \[python\]"),
    ],
)
def test_a_wrong_interpreter_is_refused(option, message, tmp_path):
    (tmp_path / "broken.toml").write_text("[python")
    (tmp_path / "empty.toml").write_text("[pythons]")
    files = {name: str(tmp_path / f"{name}.toml") for name in ("broken", "empty")}
    with pytest.raises((RunError, BackendError), match=message):
        interpreters([option.format(**files)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parallel": 0}, "parallel must be at least 1"),
        ({"seeds": "2"}, "seeds must be a whole number, got '2'"),
        ({"names": "numpy"}, "backends must be a list of names, got 'numpy'"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"timeout": float("inf")}, "timeout must be above 0 and at most 604,800 seconds, got inf"),
        ({"timeout": float("nan")}, "timeout must be above 0"),
        ({"device": "tpu"}, "unknown device 'tpu'; known devices: cpu, gpu"),
        ({"names": ["numpy", "numpy"]}, "backends must be distinct, got numpy more than once"),
        (
            {"models": ["lenet", "alexnet", "lenet"]},
            "models must be distinct, got lenet more than once",
        ),
        ({"models": []}, "models must name at least one net; known nets: alexnet, "),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(RunError, match=message):
        plan(
            **{"models": ["lenet"], "names": ["numpy"], "full": False, "data": "sample", **settings}
        )


def test_a_wrong_seed_is_refused_before_the_folder_is_made(tmp_path):
    planned = plan(["lenet"], ["numpy"], full=False, data="sample", seeds=2)
    with pytest.raises(RunError, match="seed must be a whole number of at least 0, got '0'"):
        compare(planned, seed="0", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- several at a time ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_workers_run_side_by_side(tmp_path):
    watcher = Watcher()
    plan = Plan({"lenet": SMALL}, None, ("numpy", "torch"), parallel=2)
    found = compare(plan, out=tmp_path / "run", watcher=watcher)
    assert [row.problem for row in found.rows] == ["", ""]
    assert [row.backend for row in found.rows] == ["numpy", "torch"]
    kinds = [kind for _, kind in watcher.events]
    assert kinds[:2] == ["start", "start"]
    assert kinds.count("end") == 2


@pytest.mark.slow
def test_two_comparisons_at_once_do_not_disturb_each_other(tmp_path):
    command = [sys.executable, "-m", "alexnet", "compare", *LENET, "--backends", "numpy"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate()[0].count("NumPy (1") for process in both] == [1, 1]
    assert [process.returncode for process in both] == [0, 0]
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert Comparison.load(folder).rows[0].history is not None


def test_a_second_process_on_a_run_is_refused(tmp_path):
    """The first continues."""
    refused = []

    class Meddler(Watcher):
        def event(self, row, event):
            if event["event"] == "begin":
                refused.append(alexnet("compare", "--resume", str(tmp_path / "run")))

    found = compare(
        Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run", watcher=Meddler()
    )
    assert found.rows[0].history is not None
    assert refused[0].returncode == 1
    assert "another process is running this comparison" in refused[0].stderr


def test_a_checkpoint_of_the_users_own_is_left_alone(tmp_path):
    mine = tmp_path / "run" / "lenet-numpy.safetensors"
    save(build("lenet", backend="numpy"), mine)
    before = mine.read_bytes()
    found = compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    assert found.rows[0].problem == ""
    assert mine.read_bytes() == before


@pytest.mark.slow
def test_files_in_the_working_directory_are_not_imported(tmp_path):
    for name in ("json", "torch", "numpy", "alexnet"):
        (tmp_path / f"{name}.py").write_text(f"print('hello from {name}.py')")
    command = f"cd {tmp_path} && exec alexnet compare {' '.join(LENET)} --backends numpy --out run"
    done = run("sh", "-c", command, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_relative_interpreter_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "python").symlink_to(sys.executable)
    assert interpreters(["numpy=./python"]) == {"numpy": str(tmp_path / "python")}


def test_a_run_folder_is_not_used_twice(tmp_path):
    compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    before = (tmp_path / "run" / "comparison.json").read_bytes()
    with pytest.raises(
        RunError, match=r"already holds a comparison; use --resume .*run to continue"
    ):
        compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    assert (tmp_path / "run" / "comparison.json").read_bytes() == before


# --- interrupted and resumed ----------------------------------------------------------------------


class KillInSecondEpoch(Watcher):
    """Kills a backend's worker after its first epoch."""

    def event(self, row, event):
        super().event(row, event)
        if (row.backend, "epoch") in self.events and event["event"] == "epoch":
            os.kill(self.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    "trained",
    [
        "numpy",
        pytest.param("paddle", marks=pytest.mark.needs("paddle")),
        *(
            pytest.param(n, marks=[pytest.mark.needs(n), pytest.mark.release])
            for n in ("torch", "mxnet", "tensorflow")
        ),
    ],
)
def test_a_killed_run_resumes_from_its_last_epoch(trained, tmp_path):
    """It ends like a run without a kill, and a second resume does nothing."""
    whole = compare(Plan({"lenet": LONGER}, None, (trained,)), out=tmp_path / "whole")
    broken = compare(
        Plan({"lenet": LONGER}, None, (trained,)), out=tmp_path / "run", watcher=KillInSecondEpoch()
    )
    assert broken.rows[0].problem.startswith("killed by SIGKILL")
    assert (tmp_path / "run" / "checkpoints" / f"lenet-{trained}.safetensors").exists()
    watcher = Watcher()
    (row,) = resume(tmp_path / "run", watcher).rows
    assert watcher.events.count((trained, "epoch")) < 3
    assert row.problem == ""
    expected = whole.rows[0].history
    assert [s["loss"] for s in row.history.steps] == [s["loss"] for s in expected.steps]
    assert [e.test_accuracy for e in row.history.epochs] == [
        e.test_accuracy for e in expected.epochs
    ]
    assert not (tmp_path / "run" / "checkpoints").exists()
    again = Watcher()
    resume(tmp_path / "run", again)
    assert again.events == []


def test_a_resumed_run_fails_if_a_requested_backend_is_missing(tmp_path):
    for named, status in ((True, 1), (False, 0)):
        plan = Plan({"lenet": SMALL}, None, ("mxnet",), named=named)
        row = Row("lenet", "mxnet", problem="not installed", missing=True)
        Comparison(plan, 0, None, tmp_path, "2026-11-22T08:00:00+00:00", [row]).save()
        code = (
            "import sys\nfrom alexnet import backends, cli\nbackends.installed = lambda name: False\n"
            f"sys.argv = ['alexnet', 'compare', '--resume', {str(tmp_path)!r}]\ncli.main()"
        )
        assert python(code).returncode == status


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot read the comparison \(No such file"),
        ("{", "cannot read the comparison"),
        ('{"format": 1}', "has format 1; this version of alexnet reads format 7"),
        ('{"format": 3}', "cannot read the comparison"),
    ],
)
def test_a_folder_without_a_run_is_not_resumed(content, message, tmp_path):
    if content is not None:
        (tmp_path / "comparison.json").write_text(content)
    found = alexnet_here("compare", "--resume", str(tmp_path))
    assert found.returncode == 1
    assert re.search(message, found.stderr)
    assert found.stderr.count("\n") == 1


def marked(mark):
    """Handles of the living processes that have this mark in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environ.read_bytes():
                found.append(os.pidfd_open(int(environ.parent.name)))
        except OSError:  # it has ended, or belongs to another user
            continue
    return found


def comparing(tmp_path):
    """A command in the middle of a training, its output so far, and the mark of its processes."""
    mark = f"ALEXNET_TEST={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    examples = ["--data", "sample", "--examples", "640", "--epochs", "2000", "--batch-size", "32"]
    command = ["compare", "lenet", *examples, "--backends", "numpy", "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "alexnet", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, name: value},
    )
    said = process.stdout.readline()  # the source of the images
    wanted = wait_for_training(
        tmp_path / "run" / "checkpoints" / "lenet-numpy.safetensors", process
    )
    assert wanted
    return process, said, mark


def wait_for_training(checkpoint, process):
    """Poll for the worker's first checkpoint, which it writes before its first step."""
    while process.poll() is None:
        if checkpoint.exists():
            return True
    return False


def test_a_watcher_that_fails_leaves_no_worker(tmp_path):
    class Failing(Watcher):
        def event(self, row, event):
            if event["event"] == "ready":
                self.handle = os.pidfd_open(event["pid"])
            if event["event"] == "begin":
                raise ZeroDivisionError

    watcher = Failing()
    with pytest.raises(ZeroDivisionError):
        compare(Plan({"lenet": LONGER}, None, ("numpy",)), out=tmp_path / "run", watcher=watcher)
    assert select.select([watcher.handle], [], [], 60)[0]
    os.close(watcher.handle)


def test_ctrl_c_ends_all_workers_and_prints_what_there_is(tmp_path):
    process, _, mark = comparing(tmp_path)
    workers = marked(mark)
    assert len(workers) == 2  # the command itself is one
    process.send_signal(signal.SIGINT)
    said, err = process.communicate()
    assert process.returncode == 130, err
    assert f"NumPy: interrupted; use --resume {tmp_path / 'run'} to continue" in said
    assert "Traceback" not in err
    assert not marked(mark)
    (row,) = json.loads((tmp_path / "run" / "comparison.json").read_text())["rows"]
    assert row["problem"].startswith("interrupted")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_command(number, tmp_path):
    process, _, mark = comparing(tmp_path)
    workers = marked(mark)
    process.send_signal(number)
    process.communicate()
    for handle in workers:
        assert select.select([handle], [], [], 60)[0], "a worker lives on"
        os.close(handle)
    assert not marked(mark)
