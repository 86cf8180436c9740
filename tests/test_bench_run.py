"""Small benches that really run, and workers that fail."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
from bench_results import LENET, small
from helpers import alexnet
from small_runs import worker_that

from alexnet import backends
from alexnet.backends.world import World
from alexnet.bench import hand, measure, run, worker
from alexnet.bench import processes as bench_processes
from alexnet.bench.cases import FIGURES, LOOPS, PARTS, STEPS
from alexnet.bench.gpu import GpuWatch
from alexnet.bench.job import Job
from alexnet.bench.limits import Limits
from alexnet.bench.plan import WORKERS, plan
from alexnet.bench.results import TORCHVISION, Bench, empty_rows
from alexnet.errors import MissingBackendError, RunError
from alexnet.training.recipes import recipe_for
from alexnet.workers import parallel, processes
from alexnet.workers.folders import LOCK


@pytest.fixture
def without_peaks(monkeypatch):
    monkeypatch.setattr(run, "_peaks", lambda bench: iter(()))


def test_the_loops_take_turns_and_each_measurement_counts(monkeypatch):
    done, sent = [], []
    for part in ("loader", *LOOPS):
        monkeypatch.setattr(measure.Bench, part, lambda self, p=part: done.append(p) or {"step": 1})
    planned = small("numpy", parts=("loader", *LOOPS))
    (case,) = planned.cases
    job = Job("numpy", (replace(case, turns=2),), planned.parts, planned.root)
    worker.run(job, lambda event, **values: sent.append(event))
    assert done == ["loader", "train", "hand", "hand", "train"]
    assert sent.count("measured") == len(done)


@pytest.mark.slow
def test_a_bench_of_numpy_has_all_its_figures_and_files(tmp_path, without_peaks):
    said = []
    found = run.run_plan(small("numpy"), tmp_path / "run", said.append)
    (row,) = found.rows
    assert (row.problem, row.problems) == ("", {})
    assert row.precision == "float32"
    assert {name: len(values) for name, values in row.figures.items()} == {
        "loader": 1, "loader per core": 1, "step": 1, "train": 1,
    }  # fmt: skip
    assert found.rounds == 1
    assert said == ["round 1: NumPy, lenet at 28×28, batches of 8, float32"]
    assert Bench.load(tmp_path / "run") == found
    assert "numpy" in (tmp_path / "run" / "table.txt").read_text()
    assert (tmp_path / "run" / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_without_a_framework_numpy_measures_the_peak(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    found = run.run_plan(small("numpy", parts=("train",)), tmp_path / "run")
    assert list(found.limits.peaks) == ["float32"]
    assert len(found.limits.peaks["float32"]["matmul"]) == 2  # before the round and at the end
    assert len(found.limits.bandwidth["copy"]) == 2
    assert found.share_of_limit(found.rows[0]) is not None


@pytest.mark.slow
def test_a_bench_of_a_framework_has_all_its_figures(framework, tmp_path, without_peaks):
    found = run.run_plan(small(framework), tmp_path)
    (row,) = found.rows
    assert (row.problem, row.problems) == ("", {})
    assert {"loader", "loader per core", "step", "train", "hand"} == row.figures.keys()
    assert row.ratio("train", "hand") is not None


@pytest.mark.slow
def test_the_command_prints_the_table_and_its_folder(tmp_path):
    done = alexnet(
        "bench", "lenet", "--backends", "numpy", "--sweep", "examples", "--quick", "--data", "sample",
        "--batch-size", "8", "--out", str(tmp_path), ALEXNET_SUBSET="160:8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Images: the Fashion-MNIST sample")
    assert "round 1: NumPy, lenet at 28×28, batches of 8, float32" in lines
    assert f"Run folder: {tmp_path}; it has bench.json, table.txt and bench.png" in lines
    assert Bench.load(tmp_path).rounds >= 1


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_the_peaks_and_torchvision_are_measured(tmp_path):
    case = replace(LENET, size=56)
    found = run.run_plan(small("torch", cases=(case,), parts=("loader",)), tmp_path / "run")
    assert found.limits.peaks["float32"].keys() == {"matmul", "convolution"}
    assert found.limits.bandwidth.keys() == {"copy", "triad"}
    (row,) = found.rows
    assert all(found.loader_ratio(row, way) is not None for way in TORCHVISION)


@pytest.mark.parametrize("sweep", ["threads", "examples"])
def test_each_point_of_a_sweep_has_a_process_of_its_own(sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "160:8")
    planned = plan(["lenet"], ["numpy"], sweep=sweep, quick=True, batch_size=8)
    planned = replace(planned, rounds=1, cases=planned.cases[:2])
    found = run.run_plan(planned, tmp_path / "run")
    assert [row.problem for row in found.rows] == [""] * len(planned.cases)
    for row in found.rows:
        assert row.figures.keys() == {"train", "memory"}
        assert row.figures["memory"][0] > 20e6
    assert found.limits == Limits()


def test_a_worker_gets_the_threads_of_its_task(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(backends, "SET_HERE", set())  # so the user has set it
    code = "print(json.dumps({'event': 'error', 'message': os.environ['OMP_NUM_THREADS']}))"
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    for threads, said in ((3, "3"), (None, "7")):
        task = processes.Task(Job("numpy", (), ()), sys.executable, threads=threads)
        (message,) = [e["message"] for _, e in processes.run([task], 20) if e["event"] == "error"]
        assert message == said


def test_the_processes_of_a_worker_share_its_cores(monkeypatch):
    monkeypatch.setattr(processes, "usable_cores", lambda: 6)
    monkeypatch.setattr(processes, "users_environment", lambda: {"PATH": os.environ["PATH"]})
    code = "print(json.dumps({'event': 'error', 'message': os.environ['OMP_NUM_THREADS']}))"
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    for number, said in ((1, "6"), (4, "1"), (7, "1")):
        task = processes.Task(Job("numpy", (), ()), sys.executable, processes=number)
        (message,) = [e["message"] for _, e in processes.run([task], 20) if e["event"] == "error"]
        assert message == said


def test_the_numbers_of_processes_follow_each_other_in_each_backend(tmp_path):
    cases = tuple(replace(LENET, processes=n) for n in (1, 2))
    planned = small("mxnet", "torch", cases=cases, sweep=WORKERS, parts=STEPS)
    tasks = [*run._tasks(Bench(planned, tmp_path, "", empty_rows(planned)), 0)]
    assert [(task.job.backend, task.processes) for task in tasks] == [
        ("mxnet", 1), ("mxnet", 2), ("torch", 1), ("torch", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("number", [0, 1])
def test_every_round_measures_the_steps_in_several_processes(number, tmp_path, monkeypatch):
    case, started = replace(LENET, processes=2), []
    planned = small("numpy", cases=(case,), sweep=WORKERS, parts=STEPS)
    (task,) = run._tasks(Bench(planned, tmp_path, "", empty_rows(planned)), number)

    def start(job, processes, program, hear):
        started.append((job, processes, program))
        hear({"event": "measured", "case": 0, "precision": "float32", "figures": {}})

    sent = []
    monkeypatch.setattr(parallel, "run", start)
    worker.run(task.job, lambda event, **fields: sent.append(event))
    assert started == [(task.job, 2, "alexnet.bench.processes")]
    assert sent == ["ready", "measured"]


def test_the_steps_take_turns_and_the_slowest_process_counts(monkeypatch):
    """In this process, which takes part as process 1 of two."""
    order, sent = [], []

    class Engine:
        Trainer = backends.load("numpy").Trainer

        def total(self, values):
            return values + np.array([0.5 * bool(values.any()), 0.0])

    class Two(World):
        @classmethod
        def of(cls, net):
            return cls(1, 2, Engine())

    monkeypatch.setattr(bench_processes, "World", Two)
    monkeypatch.setattr(measure.Bench, "take", lambda self, *way: None)

    def seconds(self, steps, X, y):
        order.append((steps.world.size, len(X), len(y)))
        return 0.25 if steps.world.size == 1 else 0.75

    monkeypatch.setattr(measure.Bench, "seconds_per_step", seconds)
    case = replace(LENET, batch_size=7, processes=2, turns=2)
    job = Job("numpy", (case,), STEPS)
    bench_processes.take_turns(job, lambda event, **fields: sent.append(fields["figures"]))
    plain, reduced = (1, 3, 3), (2, 3, 7)  # processes, own images, labels
    assert order == [plain, reduced, reduced, plain]
    assert sent == [{"plain step": 0.5, "reduced step": 0.75}] * 2


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_two_processes_are_measured_beside_one(tmp_path):
    planned = plan(["lenet"], ["torch"], workers=[1, 2], quick=True, batch_size=7)
    cases = tuple(replace(case, steps=2, turns=3) for case in planned.cases)
    found = run.run_plan(replace(planned, cases=cases, rounds=1), tmp_path)
    one, two = found.rows
    assert [row.problem for row in found.rows] == ["", ""]
    assert {name: len(values) for name, values in one.figures.items()} == {"plain step": 3}
    assert {name: len(values) for name, values in two.figures.items()} == {
        "plain step": 3, "reduced step": 3,
    }  # fmt: skip
    assert Bench.load(tmp_path) == found
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


# --- failures ---------------------------------------------------------------------------------------


def test_a_killed_worker_costs_only_its_own_backend(tmp_path, monkeypatch, without_peaks):
    """The other backend has its figures; the killed one does not start again in the second round."""
    kill = "if '\"torch\"' in job: os.kill(os.getpid(), signal.SIGKILL)\n"
    event = {"event": "measured", "case": 0, "precision": "float32", "figures": {"train": 5.0}}
    monkeypatch.setattr(processes, "LAUNCH", worker_that(f"{kill}print({json.dumps(event)!r})"))
    monkeypatch.setattr(backends, "installed", lambda name: True)
    said = []
    planned = small("torch", "numpy", rounds=2, fewest=2)
    found = run.run_plan(planned, tmp_path / "run", said.append)
    dead, alive = found.rows
    assert dead.problem.startswith("killed by SIGKILL")
    assert alive.problem == ""
    assert alive.figures == {"train": [5.0, 5.0]}
    assert [line.split(",")[0] for line in said] == [
        "round 1: PyTorch", "round 1: NumPy", "round 2: NumPy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"case": 7, "figures": {}}, "which cannot be read (there is no case 7)"),
        ({"case": 0, "figures": {"speed": 1}}, "unknown figure 'speed'"),
        ({"case": 0, "figures": {"train": -1}}, "train must be above 0 and finite, got -1"),
        ({"case": 0, "figures": {}}, "ended without a result"),
    ],
)
def test_a_wrong_event_costs_only_its_own_row(event, problem, tmp_path, monkeypatch, without_peaks):
    event = {"event": "measured", "precision": "float32", **event}
    monkeypatch.setattr(processes, "LAUNCH", worker_that(f"print({json.dumps(event)!r})"))
    (row,) = run.run_plan(small("numpy"), tmp_path / "run").rows
    assert problem in row.problem


def test_on_a_gpu_the_first_round_also_trains_with_the_books_recipe(tmp_path, without_peaks):
    planned = small("torch", device="gpu")
    bench = Bench(planned, tmp_path, "", empty_rows(planned))
    first, second = (next(run._tasks(bench, number)).job for number in (0, 1))
    assert first.parts == (*PARTS, "recipe")
    assert second.parts == PARTS[::-1]
    bench.plan = replace(planned, seconds=250.0)
    assert next(run._tasks(bench, 0)).job.parts == PARTS


def test_the_recipe_runs_to_its_end(monkeypatch):
    """One epoch of a small recipe, on the CPU."""
    small_recipe = replace(recipe_for("lenet", True), num_epochs=1, batch_size=16)
    monkeypatch.setattr(measure, "recipe_for", lambda model, full: small_recipe)
    job = Job("numpy", (LENET,), ("recipe",))
    (loaders,) = measure.load_data(job)
    loaders = (
        loaders[0],
        replace(loaders[1], pixels=loaders[1].pixels[:32], labels=loaders[1].labels[:32]),
    )
    events = []
    bench = measure.Bench(job, LENET, loaders)
    figures = bench.recipe(lambda kind, **fields: events.append(kind))
    assert figures.keys() == {"recipe seconds", "recipe accuracy"}
    assert "epoch" in events  # so that the worker is not silent


def test_a_part_that_fails_leaves_the_other_parts(tmp_path, monkeypatch, without_peaks):
    loops = tmp_path / "loops"
    loops.mkdir()
    (loops / "numpy_loop.py").write_text("SIZES = {'lenet': 28}\ndef train(*a): 1 / 0\n")
    monkeypatch.setattr(hand, "folder", lambda: loops)
    (row,) = run.run_plan(small("numpy", parts=("hand", "train")), tmp_path / "run").rows
    assert row.problems == {"hand": "ZeroDivisionError: division by zero"}
    assert "train" in row.figures
    assert "Traceback" in (tmp_path / "run" / "numpy.log").read_text()


def test_a_missing_framework_has_its_install_command(tmp_path, monkeypatch, without_peaks):
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    planned = small("paddle", "numpy", parts=("step",))
    missing, here = run.run_plan(planned, tmp_path / "run").rows
    assert missing.problem == backends.framework("paddle").missing
    assert missing.missing
    assert here.figures


def test_a_bench_without_any_framework_ends_before_it_measures(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: False)
    said = []
    with pytest.raises(MissingBackendError, match=r"MXNet is not installed; run pip .*; Paddle is"):
        run.run_plan(small("mxnet", "paddle"), tmp_path / "run", said.append)
    assert (said, list(tmp_path.iterdir())) == ([], [])


def test_a_gpu_that_is_not_there_is_the_reason_of_a_row(tmp_path, without_peaks, covered):
    name = next((n for n in covered if n != "numpy"), None)
    if name is None or backends.load(name).gpus():
        pytest.skip("needs a framework that sees no GPU")
    (row,) = run.run_plan(small(name, device="gpu"), tmp_path / "run").rows
    assert "cannot use 'gpu'; available GPUs: none" in row.problem


def test_ctrl_c_keeps_the_results_so_far(tmp_path, without_peaks):
    def say(line):
        if line.startswith("round 2"):
            raise KeyboardInterrupt

    planned = small("numpy", rounds=2, fewest=2, parts=("train",))
    found = run.run_plan(planned, tmp_path / "run", say)
    assert found.interrupted
    assert found.rounds == 1
    assert Bench.load(tmp_path / "run").rows == found.rows
    assert len(found.rows[0].figures["train"]) == 1


def test_a_round_that_would_end_too_late_does_not_start(tmp_path, without_peaks):
    planned = small("numpy", rounds=9, fewest=1, seconds=1e-9, parts=("step",))
    assert run.run_plan(planned, tmp_path / "run").rounds == 1


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RunError, match="must be a folder, got a file"):
        run.run_plan(small("numpy"), file)
    (tmp_path / LOCK).mkdir()  # so nobody can write the lock, not even root
    with pytest.raises(RunError, match="cannot write to the folder"):
        run.run_plan(small("numpy"), tmp_path, say=pytest.fail)


# --- parts ------------------------------------------------------------------------------------------


def test_every_part_of_a_plan_has_its_figure():
    assert set(PARTS) < set(FIGURES)


def test_the_share_of_a_gpu_is_the_mean_of_the_late_readings():
    watch = GpuWatch("cpu")
    watch.readings = [(0.5, 10.0), (1.5, 90.0), (2.5, 100.0), (9.0, 0.0)]
    assert watch.share(0.0, 3.0) == pytest.approx(0.95)
    assert watch.share(20.0, 30.0) is None


def test_a_gpu_is_watched_through_its_driver(tmp_path, monkeypatch):
    """A program in the place of nvidia-smi prints the readings; it ends with the block."""
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "$@" > args; while echo 75; do sleep 0.01; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.chdir(tmp_path)
    with GpuWatch("gpu:1") as watch:
        while len(watch.readings) < 3:
            pass
    assert watch.share(0.0, float("inf")) is None or watch.readings[0][1] == 75
    assert watch.process.returncode == -signal.SIGKILL
    assert "--id=5" in (tmp_path / "args").read_text()


def test_a_release_has_no_hand_written_loops(tmp_path):
    assert hand.load(None, "torch_loop") is None
    assert hand.load(str(tmp_path), "torch_loop") is None


def test_a_precision_that_was_measured_already_gives_its_figures_to_both_rows(
    tmp_path, monkeypatch, without_peaks
):
    events = [
        {"event": "measured", "case": 0, "precision": "float32", "figures": {"train": 5.0}},
        {"event": "measured", "case": 1, "precision": "float32", "figures": {}},
    ]
    code = "\n".join(f"print({json.dumps(event)!r})" for event in events)
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    cases = (LENET, replace(LENET, precision="auto"))
    planned = small("numpy", cases=cases, rounds=2, fewest=2)
    found = run.run_plan(planned, tmp_path / "run")
    assert [row.figures for row in found.rows] == [{"train": [5.0, 5.0]}] * 2
    assert [row.problem for row in found.rows] == ["", ""]
    assert "numpy (fp32)" in (tmp_path / "run" / "table.txt").read_text()


# --- memory -----------------------------------------------------------------------------------------


@pytest.mark.release
def test_60_000_images_take_little_more_memory_than_6_000(framework, tmp_path):
    root = "/usr/share/datasets/fashion-mnist"
    planned = plan(["lenet"], [framework], sweep="examples", quick=True, root=root)
    found = run.run_plan(replace(planned, rounds=1), tmp_path / "run")
    few, many = (row.figures["memory"][0] for row in found.rows)
    assert [case.examples for case in planned.cases] == [6_000, 60_000]
    assert many - few < 30e6
