"""The workers of alexnet cost: what they measure and send, how they fail, and the command."""

from __future__ import annotations

import json
import math
import re
import sys

import pytest
from helpers import alexnet, alexnet_here
from small_runs import worker_that

import alexnet as library
from alexnet import backends
from alexnet.bench.limits import Limits
from alexnet.costs import measure, worker
from alexnet.costs.job import Job
from alexnet.costs.layers import PASSES, first_learned
from alexnet.costs.measure import LIMITS, Measurement
from alexnet.spec import AvgPool, BatchNorm, Conv, Dense, Flatten, Net, ReLU, zoo
from alexnet.workers import processes
from alexnet.workers.events import parse_event
from alexnet.workers.folders import LOCK

# --- the worker -------------------------------------------------------------------------------------


def events_of(name, net, batch_size=4):
    """The events that a worker sends, in this process."""
    events = []
    job = Job(name, net.to_dict(), batch_size, "cpu")
    worker.run(job, lambda kind, **fields: events.append({"event": kind, **fields}))
    assert all(parse_event(json.dumps(event)) == event for event in events)
    return events


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(worker, "SECONDS", 0.0)


# The tests of the passes run every layer; here, images, vectors and what lies between them.
FEW = Net("few", (2, 9, 7), (Conv(3, 3), ReLU(), Flatten(), Dense(5)))


@pytest.mark.slow
def test_each_layer_of_each_framework_is_measured_in_both_passes(name, quick):
    ready, *measured = events_of(name, FEW)
    assert ready["event"] == "ready"
    assert [event["case"] for event in measured] == [0, 1, 2, 3]
    for event in measured:
        assert event["event"] == "measured", event
        assert event["figures"].keys() == set(PASSES)
        assert all(0 < value < math.inf for value in event["figures"].values())


@pytest.mark.slow
def test_the_input_of_a_layer_is_the_output_of_the_layer_before(quick, monkeypatch):
    """So it has the shape, and the layout in memory, that it has in the whole net."""
    seen = []
    passes = backends.load("numpy").Passes

    class Watched(passes):
        def forward(self, X):
            y = super().forward(X)
            seen.append((X, y))
            return y

    monkeypatch.setattr(backends.load("numpy"), "Passes", Watched)
    events_of("numpy", FEW)
    ends = [index for index, (X, _) in enumerate(seen) if X is not seen[index - 1][0]][1:]
    assert len(ends) == 3
    assert all(seen[end][0] is seen[end - 1][1] for end in ends)


@pytest.mark.slow
def test_layers_before_the_first_weights_are_measured_forward_only(name, quick):
    net = Net("softmax", (2, 6, 6), (AvgPool(2), Flatten(), Dense(3)))
    _, pool, flatten, dense = events_of(name, net)
    assert first_learned(net.resolve()) == 2
    assert pool["figures"].keys() == flatten["figures"].keys() == {"forward"}
    assert dense["figures"].keys() == set(PASSES)


@pytest.mark.needs("torch")
def test_a_layer_that_fails_is_named_and_ends_the_job(quick):
    """PyTorch cannot normalise one value for each feature."""
    net = Net("one", (5,), (Dense(4), BatchNorm(), Dense(2)))
    _, dense, norm = events_of("torch", net, batch_size=1)
    assert (dense["event"], norm["event"], norm["case"]) == ("measured", "failed", 1)
    assert "Expected more than 1 value per channel" in norm["message"]


# --- the workers' results ---------------------------------------------------------------------------

READY = {
    "event": "ready",
    "pid": 1,
    "version": "9.8",
    "device": "the CPU",
    "on_gpu": False,
    "machine": "a machine",
    "threads": "",
}
PEAKS = [
    {"event": "measured", "case": 0, "precision": "float32", "figures": {"matmul": 4e9}},
    {"event": "bandwidth", "figures": {"copy": 2e9}},
]


def layer(index, **seconds):
    return {"event": "measured", "case": index, "precision": "float32", "figures": seconds}


ALL = [READY, *(layer(index, forward=0.5, backward=0.25) for index in range(12))]


@pytest.fixture
def workers(monkeypatch):
    """Workers that send these events: first those of the layers, then those of the limits."""

    def send(layers, peaks=PEAKS, code=""):
        lines = [[json.dumps(event) for event in events] for events in (peaks, layers)]
        program = f"of_layers = '\"net\"' in job\nfor line in {lines!r}[of_layers]: print(line, flush=True)"
        monkeypatch.setattr(processes, "LAUNCH", worker_that(f"{program}\n{code}"))

    return send


def test_the_limits_are_measured_before_and_after_the_layers(workers, monkeypatch):
    workers(ALL)
    said = []
    table = zoo.LENET.resolve()
    found = measure.measure(table, 4, "numpy", "cpu", say=said.append)
    assert [line.split(" …")[0] for line in said] == [
        "Measuring the limits of this machine",
        "Measuring each layer in NumPy",
        "Measuring the limits of this machine",
    ]
    assert found == Measurement(
        "numpy",
        "cpu",
        "9.8",
        "the CPU",
        "a machine",
        Limits({"float32": {"matmul": [4e9, 4e9]}}, {"copy": [2e9, 2e9]}),
        {index: {"forward": 0.5, "backward": 0.25} for index in range(12)},
    )
    assert found.ridge == 2.0


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([READY, layer(40, forward=1.0)], "which cannot be read (there is no layer 40)"),
        ([READY, layer(0, forward=1.0, sideways=1.0)], "unknown pass 'sideways'"),
        ([READY, layer(0, backward=1.0)], "the forward pass is missing"),
        ([READY, layer(0, forward=0)], "seconds must be above 0 and finite, got 0"),
        ([READY, layer(0, forward="1")], "seconds must be above 0 and finite, got '1'"),
        ([{"event": "error", "message": "no such GPU"}], "no such GPU"),
        (
            [READY, {"event": "failed", "case": 3, "part": "", "message": "out of memory"}],
            "layer 3 Conv(16, 5): out of memory",
        ),
    ],
)
def test_a_failure_of_the_layers_keeps_the_limits(events, problem, workers):
    workers(events)
    found = measure.measure(zoo.LENET.resolve(), 4, "numpy", "cpu")
    assert problem in found.problems["NumPy"]
    assert LIMITS not in found.problems
    assert found.ridge == 2.0
    assert found.seconds == {}


def test_a_killed_worker_is_a_problem_with_its_reason(workers):
    workers(ALL[:4], code="if of_layers: os.kill(os.getpid(), signal.SIGKILL)")
    cost = library.cost("lenet", 4, backend="numpy")
    assert cost.measured.problems == {"NumPy": "killed by SIGKILL (perhaps out of memory)"}
    assert sorted(cost.measured.seconds) == [0, 1, 2]
    assert " forward, " not in " ".join(cost.sentences())  # not all layers have a time
    assert "NumPy: killed by SIGKILL" in repr(cost)
    assert list(cost.pictures()) == ["bars", "roofline"]


def test_without_limits_there_are_times_and_a_reason(workers):
    workers(ALL, peaks=[{"event": "error", "message": "no memory"}])
    cost = library.cost("lenet", 4, backend="numpy")
    assert cost.measured.problems == {LIMITS: "no memory"}
    assert list(cost.pictures()) == ["bars"]
    text = repr(cost)
    assert "NumPy 9.8 on the CPU takes 6.00 s forward, 3.00 s backward" in text
    assert "the limits of this machine: no memory" in text


def test_the_first_framework_that_is_installed_is_measured(monkeypatch):
    for there, expected in (
        ({"numpy", "torch", "paddle"}, "torch"),
        ({"numpy", "mxnet", "paddle"}, "mxnet"),
        ({"numpy"}, "numpy"),
    ):
        monkeypatch.setattr(backends, "installed", there.__contains__)
        assert measure.default_backend() == expected


# --- the command ------------------------------------------------------------------------------------


def test_the_command_works_without_measuring_and_without_a_framework(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    monkeypatch.setattr(processes, "LAUNCH", "raise SystemExit(3)")
    done = alexnet_here(
        "cost", "lenet", "--no-measure", "--batch-size", "4", "--out", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert "lenet, input 1×28×28, batches of 4, float32" in done.stdout
    assert "The dense layers hold 96 % of the 61.7 k parameters" in done.stdout
    assert f"Run folder: {tmp_path}; it has cost.json, table.txt, bars.svg" in done.stdout


def test_the_command_measures_and_writes_the_roofline(tmp_path, workers):
    workers(ALL)
    done = alexnet_here("cost", "lenet", "--backend", "numpy", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Measuring each layer in NumPy …" in done.stdout
    assert "This machine does at most 4.00 GFLOP/s" in done.stdout
    assert "it has cost.json, table.txt, bars.svg, roofline.svg" in done.stdout
    assert (tmp_path / "roofline.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_command_ends_with_the_reason_if_a_worker_failed(tmp_path, workers):
    workers([{"event": "error", "message": "no such kernel"}])
    done = alexnet_here("cost", "lenet", "--backend", "numpy", "--out", str(tmp_path))
    assert done.returncode == 1
    assert "NumPy: no such kernel" in done.stdout
    assert (tmp_path / "table.txt").exists()
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: cannot measure NumPy; the reasons are above, the logs are in ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg"], "unknown net 'vgg'"),
        (["lenet", "--batch-size", "0"], "batch_size must be a whole number of at least 1, got 0"),
        (["lenet", "--backend", "jax"], "unknown backend 'jax'"),
        (["lenet", "--device", "tpu"], "unknown device 'tpu'; known: cpu, gpu"),
        (["alexnet", "--size", "64"], "the smallest image that fits is 65×65"),
        (["lenet", "--no-measure", "--backend", "numpy"], "leave out --no-measure"),
        (["lenet", "--no-measure", "--out", "/dev/null/run"], "cannot create the run's folder"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_input_gives_one_sentence_before_anything_runs(arguments, message, monkeypatch):
    monkeypatch.setattr(processes, "LAUNCH", "raise SystemExit(3)")
    found = alexnet_here("cost", *arguments)
    assert found.returncode == 1, found.stdout
    (line,) = found.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert re.search(message, line)


def test_a_folder_with_results_or_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LAUNCH", "raise SystemExit(3)")
    arguments = ["cost", "lenet", "--no-measure", "--out", str(tmp_path)]
    assert alexnet_here(*arguments).returncode == 0
    before = (tmp_path / "cost.json").read_bytes()
    again = alexnet_here(*arguments, "--batch-size", "2")
    assert again.returncode == 1
    assert "already holds the cost of a net; choose another folder with --out" in again.stderr
    assert (tmp_path / "cost.json").read_bytes() == before

    other = tmp_path / "other"
    (other / LOCK).mkdir(parents=True)  # so nobody can write the lock, not even root
    refused = alexnet_here("cost", "lenet", "--backend", "numpy", "--out", str(other))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {other}: cannot write to the folder (")
    assert [file.name for file in other.iterdir()] == [LOCK]  # nothing was measured


@pytest.mark.slow
def test_a_real_measurement_has_every_layer_and_the_limits(tmp_path):
    done = alexnet(
        "cost", "lenet", "--batch-size", "2", "--backend", "numpy", "--out", str(tmp_path)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))["measured"]
    assert len(measured["seconds"]) == 12
    assert len(measured["limits"]["bandwidth"]["copy"]) == 2
    assert measured["problems"] == {}


def test_a_gpu_that_is_not_there_is_the_reason(covered):
    if backends.load(covered[-1]).gpus():
        pytest.skip("needs a framework that sees no GPU")
    task = processes.Task(
        Job(covered[-1], zoo.LENET.to_dict(), 2, "gpu"), sys.executable, program=measure.PROGRAM
    )
    errors = [e["message"] for _, e in processes.run([task], 60) if e["event"] == "error"]
    assert errors[0].endswith("cannot use 'gpu'; available GPUs: none")
