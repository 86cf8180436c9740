"""A bench written by hand, and plans of small benches."""

from __future__ import annotations

from dataclasses import replace

from alexnet.bench.cases import STEPS, Case
from alexnet.bench.plan import WORKERS, Plan
from alexnet.bench.results import Bench, empty_rows

LENET = Case("lenet", 28, 8, "float32", 2, 32)
ALEXNET = Case("alexnet", 224, 32, "float32", 3, 5000)


def small(*names, cases=(LENET,), **fields):
    """A plan of one round on a few images of the sample."""
    return Plan(cases, names, **({"rounds": 1, "fewest": 1, "named": True} | fields))


def written(folder):
    """Two backends, two rounds; one has no hand-written loop, and one case failed."""
    plan = small("numpy", "torch", cases=(ALEXNET, LENET), rounds=2, fewest=2)
    bench = Bench(plan, folder, "2026-11-24T08:00:00+00:00", empty_rows(plan))
    numpy, torch, numpy_lenet, torch_lenet = bench.rows
    numpy.figures = {"step": [20.0, 22.0], "train": [18.0, 22.0], "loader per core": [3e4, 3e4]}
    torch.figures = {
        "loader": [50_000.0, 60_000.0],
        "loader per core": [40_000.0, 40_000.0],
        "torchvision per core": [2_000.0, 2_000.0],
        "torchvision PIL per core": [1_000.0, 1_000.0],
        "step": [32.0, 34.0],
        "train": [30.0, 33.0],
        "hand": [30.0, 30.0],
    }
    numpy_lenet.problem = "killed by SIGKILL (perhaps out of memory)"
    torch_lenet.problems = {"hand": "no such kernel"}
    torch_lenet.figures = {"train": [9000.0, 11000.0]}
    for row in bench.rows:
        row.version, row.device, row.precision = "1.2.3", "cpu", "float32"
    bench.limits.peaks = {"float32": {"matmul": [150e9, 160e9], "convolution": [222_445_301_760.0]}}
    bench.limits.bandwidth = {"copy": [20e9, 21.04e9], "triad": [24e9, 23e9]}
    bench.machine, bench.rounds, bench.seconds = "a machine", 2, 61.0
    return bench


def shared(folder):
    """One process and two, three turns."""
    cases = tuple(replace(LENET, processes=n, turns=3) for n in (1, 2))
    plan = small("torch", cases=cases, sweep=WORKERS, parts=STEPS)
    bench = Bench(plan, folder, "2026-11-24T08:00:00+00:00", empty_rows(plan))
    one, two = bench.rows
    one.figures = {"plain step": [0.140, 0.150, 0.180]}
    two.figures = {"plain step": [0.060, 0.090, 0.100], "reduced step": [0.080, 0.120, 0.200]}
    for row in bench.rows:
        row.version, row.device, row.precision = "1.2.3", "cpu", "float32"
    return bench
