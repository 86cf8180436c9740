"""Measure how long training takes to reach a test accuracy on Fashion-MNIST.

    python benchmarks/time_to_accuracy.py --target 0.89 [--backends torch,mxnet] [--seeds 5]

Trains the target's net by its recipe on the CPU: all 60,000 images, and the 10,000 test images after every
epoch, whose time counts too. Each backend and seed has its own process. Prints the test accuracy after the
last epoch, and two times to the end of this last test: one from the moment before the data is touched, when
the framework has been imported, and one from the start of the process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from alexnet import backends

TARGETS = {  # test accuracy: net, epochs, most seconds
    "0.89": ("alexnet-28", 2, 30),
    "0.93": ("alexnet-28-medium", 11, 152),
    "0.94": ("alexnet-28-wide", 30, 900),
}
RUN = """
import json, sys, time
from alexnet import backends
from alexnet.comparison.plan import plan
from alexnet.train import train_ch6
from alexnet.workers.job import Job
from alexnet.workers.worker import keep_freed_memory
started, name, model, epochs, seed = (json.loads(text) for text in sys.argv[1:])
keep_freed_memory()  # as a worker of `alexnet compare` does
backends.load(name)
begun = time.time()
planned = plan([model], [name], full=True, device="cpu", num_epochs=epochs)
recipe = planned.recipes[model]
job = Job(model, name, recipe, seed, planned.root)
history = train_ch6(
    model, *job.load_data(), recipe.num_epochs, recipe.lr, "cpu", backend=name,
    momentum=recipe.momentum, nesterov=recipe.nesterov, schedule=recipe.schedule, seed=seed,
    precision=recipe.precision,
)
ended = time.time()
print(json.dumps([history.last.test_accuracy, ended - begun, ended - started]))
"""


def run(name: str, model: str, epochs: int, seed: int) -> tuple[float, float, float]:
    """Return test accuracy, seconds from the data, and seconds from the start of a new process."""
    settings = [json.dumps(value) for value in (time.time(), name, model, epochs, seed)]
    command = [sys.executable, "-c", RUN, *settings]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    accuracy, from_data, from_start = json.loads(done.stdout.splitlines()[-1])
    return accuracy, from_data, from_start


def show(*cells: object) -> None:
    print("".join(f"{cell:>12}" for cell in cells), flush=True)


def measure(names: Sequence[str], target: str, seeds: int) -> None:
    """Train in every backend with every seed; print a line for each run, and the means of each backend."""
    model, epochs, limit = TARGETS[target]
    print(f"{model}, epochs: {epochs}; target: {target} within {limit} s")
    show("backend", "seed", "accuracy", "s from data", "s in all")
    for name in names:
        runs = []
        for seed in range(seeds):
            runs.append(run(name, model, epochs, seed))
            accuracy, *seconds = runs[-1]
            show(name, seed, f"{accuracy:.4f}", *(f"{s:.1f}" for s in seconds))
        accuracy, *seconds = map(statistics.mean, zip(*runs, strict=True))
        show(name, "mean", f"{accuracy:.4f}", *(f"{s:.1f}" for s in seconds))
        reached = sum(a >= float(target) and s <= limit for a, s, _ in runs)
        print(f"{name}: {reached} of {seeds} seeds reach {target} within {limit} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    frameworks = [name for name in backends.FRAMEWORKS if name != backends.REFERENCE]
    parser.add_argument("--target", choices=TARGETS, default="0.89")
    parser.add_argument("--backends", default=",".join(frameworks))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    measure(options.backends.split(","), options.target, options.seeds)


if __name__ == "__main__":
    main()
