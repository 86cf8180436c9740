"""Several processes, started by the framework's own launcher, train the same net as one process."""

from __future__ import annotations

import ast
import json
import re
import shutil
from functools import cache

import numpy as np
import pytest
from parallel_runs import (
    BEFORE,
    NORMED,
    RUNS,
    SYNCHRONISING,
    at_full_width,
    full_in_double_precision,
    images,
    in_double_precision,
    launch,
    resumable,
    synchronised,
    train,
)

import alexnet
from alexnet import backends
from alexnet.backends import engines
from alexnet.backends.engines.norms import changed
from alexnet.backends.entry import Place
from alexnet.backends.world import World
from alexnet.errors import BackendError
from alexnet.train import _epoch_seed

ROUNDING = 4e-6  # relative to an array's largest weight, after 20 steps; 1.8e-6 was measured
NORM_ROUNDING = 1e-4  # Keras rounds more here: its variance is E(x²) - E(x)²; 2e-5 was measured
ENGINES = [name for name, f in backends.FRAMEWORKS.items() if f.launch is not None]
CASES = [
    pytest.param(
        (name, n),
        # One start of the processes serves all tests, also if two tests run at a time.
        marks=[pytest.mark.slow, pytest.mark.needs(name), pytest.mark.xdist_group(name)],
        id=f"{name}-{n}",
    )
    for name in ENGINES
    for n in (2, 3)
]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function that returns the folder with what so many processes of a backend wrote.

    They resume the run of one process fewer.
    """

    @cache
    def start(name, processes):
        folder = tmp_path_factory.mktemp(f"{name}-{processes}")
        if processes == 1:
            resumable(name, 2, folder / "run.safetensors")
            return folder
        shutil.copy(start(name, processes - 1) / "run.safetensors", folder / BEFORE)
        launch(name, processes, folder)
        return folder

    return start


@pytest.fixture(scope="module", params=CASES)
def world(request, start):
    """The backend, the number of processes, and the folder with what they wrote."""
    return *request.param, start(*request.param)


def weights_of(world, run):
    """The weights of each process after a run."""
    _, processes, folder = world
    return [dict(np.load(folder / f"{run}.{rank}.npz")) for rank in range(processes)]


def histories_of(world, run):
    _, processes, folder = world
    return [alexnet.History.load(folder / f"{run}.{rank}.json") for rank in range(processes)]


def difference(found, expected):
    """The largest difference, relative to the largest weight of the array. ``pytest -rP`` shows it."""
    assert found.keys() == expected.keys()
    of = {key: np.abs(found[key] - w).max() / np.abs(w).max() for key, w in expected.items()}
    worst = max(of, key=of.get)
    print(f"weights differ by at most {of[worst]:.1e} ({worst})")
    return of[worst]


def assert_close(found, expected, tolerance):
    assert difference(found, expected) <= tolerance


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("examples", [0, 1, 2, 6, 11])
def test_every_row_belongs_to_one_process(size, examples):
    shares = [World(rank, size).rows(examples) for rank in range(size)]
    own = [range(examples)[rows] for rows, share in shares if share]
    assert [row for rows in own for row in rows] == list(range(examples))
    counts = [len(range(examples)[rows]) if share else 0 for rows, share in shares]
    assert counts == sorted(counts, reverse=True)
    assert max(counts) - min(counts) <= 1
    if examples:
        assert [share * examples for _, share in shares] == pytest.approx(counts)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"type": "chief", "index": 0}, Place(0, 4, 0, 3)),
        ({"type": "worker", "index": 0}, Place(1, 4, 0, 1)),
        ({"type": "worker", "index": 2}, Place(3, 4, 2, 3)),
        ({"type": "evaluator", "index": 0}, None),
    ],
)
def test_tf_config_gives_the_place(monkeypatch, task, expected):
    workers = ["b:1", "a:2", "a:3"]
    config = {"cluster": {"chief": ["a:1"], "worker": workers}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert backends.framework("tensorflow").place() == expected


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"cluster": {"worker": ["a"]}}', '{"cluster": {"worker": 2}}']
)
def test_a_wrong_tf_config_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(
        BackendError, match=re.escape(f"TF_CONFIG must be JSON with cluster and task, got {text!r}")
    ):
        backends.framework("tensorflow").place()


@pytest.mark.parametrize("run", RUNS)
def test_the_processes_train_the_net_of_one_process(world, run):
    history = RUNS[run](world[0])
    expected = alexnet.get_weights(history.net)
    assert len(history.steps) == 20
    for weights, found in zip(weights_of(world, run), histories_of(world, run), strict=True):
        assert_close(weights, expected, ROUNDING)
        for name in ("examples", "loss", "accuracy"):
            column = [step[name] for step in history.steps]
            assert [step[name] for step in found.steps] == pytest.approx(column, rel=1e-5)
        assert found.epochs[-1].test_accuracy == history.epochs[-1].test_accuracy
        assert found.settings["processes"] == world[1]


def test_in_double_precision_nothing_but_the_last_bits_differs(world):
    expected = in_double_precision(world[0])
    for weights in weights_of(world, "double"):
        assert_close(weights, expected, 1e-12)


@pytest.mark.parametrize("run", [*RUNS, "normed", "own dropout"])
def test_all_processes_end_with_the_same_net_and_history(world, run):
    first, *others = weights_of(world, run)
    for weights in others:
        for key, w in first.items():
            np.testing.assert_array_equal(weights[key], w, err_msg=key)
    first, *others = histories_of(world, run)
    for history in others:
        assert history == first


def test_synchronised_batch_norm_is_that_of_one_process(world):
    if world[0] not in SYNCHRONISING:  # then the run is refused, as a test below checks
        return
    expected = synchronised(world[0])
    for weights in weights_of(world, "synced double"):
        assert_close(weights, expected, 1e-12)
    history = train(world[0], NORMED, images(13, 87), sync_batch_norm=True)
    expected = alexnet.get_weights(history.net)
    weights, histories = weights_of(world, "synced"), histories_of(world, "synced")
    for own, found in zip(weights, histories, strict=True):
        assert_close(own, expected, NORM_ROUNDING)
        assert found.last.loss == pytest.approx(history.last.loss, rel=1e-5)
        assert found.settings["sync_batch_norm"]
    assert "sync_batch_norm" not in history.settings


def test_each_process_has_its_own_seed_for_dropout():
    seeds = [_epoch_seed(5, epoch, rank) for epoch in range(3) for rank in range(3)]
    assert len(set(seeds)) == 9
    assert seeds[0] == 5  # as with one process


@pytest.mark.parametrize("by", ["itself", "another framework"])
def test_one_process_resumes_the_run_of_several(world, by, covered, tmp_path):
    name, _, folder = world
    others = [n for n in covered if n in ENGINES]
    other = name if by == "itself" else others[others.index(name) - 1]
    whole = resumable(name, 3, None)
    path = shutil.copy(folder / "run.safetensors", tmp_path)
    resumed = resumable(other, 3, path, resume=True)
    assert resumed.backend == other
    assert [len(h.steps) for h in (resumed, whole)] == [18, 18]
    assert_close(alexnet.get_weights(resumed.net), alexnet.get_weights(whole.net), ROUNDING)


def test_the_processes_resume_the_run_of_one_process_fewer(world):
    whole = resumable(world[0], 3, None)
    expected = alexnet.get_weights(whole.net)
    weights, histories = weights_of(world, "resumed"), histories_of(world, "resumed")
    for own, found in zip(weights, histories, strict=True):
        assert_close(own, expected, ROUNDING)
        assert len(found.steps) == 18
        assert found.epochs[-1].test_accuracy == whole.epochs[-1].test_accuracy


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.parametrize("engine", [pytest.param(n, marks=pytest.mark.needs(n)) for n in ENGINES])
def test_two_processes_train_alexnet_at_full_width(engine, tmp_path):
    """In float32, some of its millions of units are so close to zero that rounding decides whether ReLU
    lets them through. So one process, with images that differ in their last bit, also gives another net.
    """
    launch(engine, 2, tmp_path, "full")
    world = engine, 2, tmp_path
    expected = full_in_double_precision(engine)
    for weights in weights_of(world, "full double"):
        assert_close(weights, expected, 1e-12)
    one, other = (alexnet.get_weights(at_full_width(engine, 1 + n * 2**-23).net) for n in (0, 1))
    by_last_bits = difference(other, one)
    assert by_last_bits > ROUNDING
    for weights in weights_of(world, "full"):
        assert_close(weights, one, 2 * by_last_bits)


def refused_by_all(world):
    """The errors of refused runs, which all processes raised."""
    _, processes, folder = world
    found = [ast.literal_eval((folder / f"refused.{r}.txt").read_text()) for r in range(processes)]
    assert all(f == found[0] for f in found)
    return found[0]


def test_processes_that_differ_are_refused_by_all(world):
    processes, refused = world[1], refused_by_all(world)
    assert refused["seed"].startswith("process 1 has seed 1, but process 0 has seed 0; all")
    assert refused["images"].startswith("process 1 has train_examples 65, but process 0 has")
    assert refused["weights"].startswith("process 1 has initial weights ")
    norm = "process 1 has sync_batch_norm True, but process 0 has sync_batch_norm False; all"
    assert refused["norm"].startswith(norm)
    norm = "was trained with sync_batch_norm False; this run has sync_batch_norm True"
    assert refused["resumed norm"].endswith(norm)
    few = processes - 1
    assert f"the first batch has {few}, and there are {processes} processes" in refused["batch"]


NO_NORM = {
    "torch": "PyTorch's SyncBatchNorm computes only on a GPU, and this net is on cpu",
    "paddle": "Paddle's SyncBatchNorm computes only on a GPU, and this net is on Place(cpu)",
    "mxnet": "MXNet's SyncBatchNorm is for the GPUs of one process, not for several processes, and "
    "this net is on cpu(0)",
}


def test_a_framework_without_synchronised_batch_norm_refuses_the_run(world):
    why = NO_NORM.get(world[0])
    said = why and f"sync_batch_norm=True is not possible here: {why}"
    assert refused_by_all(world).get("norms") == said


@pytest.mark.parametrize(
    "torch_like",
    [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "paddle")],
)
def test_the_net_has_the_synchronised_layers_only_during_a_step(torch_like):
    module, engine = backends.load(torch_like), engines.load(torch_like)
    net = alexnet.build(NORMED, torch_like, device="cpu")
    whole = module.nn.Sequential(net, module.nn.ReLU())  # a net in a net
    before = alexnet.get_weights(net)
    own = net[2]
    with pytest.raises(ZeroDivisionError), changed(engine.synchronised(whole)):
        assert isinstance(net[2], module.nn.SyncBatchNorm)
        assert net[2].weight is own.weight
        module.set_weights(net, {key: w + 1 for key, w in before.items()})
        1 / 0  # noqa: B018
    assert net[2] is own
    after = alexnet.get_weights(net)
    assert list(after) == list(before)
    for key, w in before.items():
        np.testing.assert_array_equal(after[key], w + 1)


@pytest.mark.needs("torch")
def test_the_running_variance_of_all_rows_is_biased():
    torch, engine = backends.load("torch"), engines.load("torch")
    net = alexnet.build(NORMED, "torch", device="cpu")
    ((_, _, layer),) = engine.synchronised(net)
    x = np.random.default_rng(2).normal(3, 2, (5, 4, 3, 2)).astype(np.float32)
    layer.rows = 5  # PyTorch computes like one process here, because no processes have joined
    layer(torch.to_tensor(x, torch.cpu()))
    expected = 0.9 + 0.1 * x.var(axis=(0, 2, 3))
    np.testing.assert_allclose(net[2].running_var.numpy(), expected, rtol=1e-5)
    layer.rows = 10  # as if PyTorch had divided by 59, not by 29
    layer(torch.to_tensor(x, torch.cpu()))
    expected = 0.9 * expected + 0.1 * x.var(axis=(0, 2, 3)) * 30 / 29 * 59 / 60
    np.testing.assert_allclose(net[2].running_var.numpy(), expected, rtol=1e-5)
