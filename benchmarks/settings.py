"""Measure AlexNet's training step with and without each of this library's speed settings.

    python benchmarks/settings.py [--batch-size 16] [--steps 5] [--rounds 3]

Each measurement runs in a new process. The two variants take turns, so that other load on the machine
slows both. Prints the median seconds of a step without and with the setting, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

STEP = """
import sys, time
import numpy as np
import alexnet
from alexnet import backends
from alexnet.workers.worker import keep_freed_memory
name, batch_size, steps, keep = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "keep"
if keep:
    keep_freed_memory()
backend = backends.load(name)
device = backend.cpu()
train_iter, _ = alexnet.load_fashion_mnist(batch_size, source="sample", backend=name, device="cpu")
X, y = next(iter(train_iter))
net = alexnet.build("alexnet", backend=name, device="cpu")
trainer = backend.Trainer(net, 1e-3, 0.9)
for number in range(steps + 2):
    begun = time.perf_counter()
    loss, _ = trainer.step(X, y)
    float(loss)
    backend.synchronize(device)
    if number >= 2:
        print(time.perf_counter() - begun)
"""
CASES = [
    *[(name, "keep_freed_memory", {}, {}) for name in ("numpy", "torch", "mxnet", "tensorflow")],
    ("paddle", "keep_freed_memory", {}, {}),
    ("paddle", "MKL_DEBUG_CPU_TYPE", {"MKL_DEBUG_CPU_TYPE": "0"}, {}),
    ("mxnet", "OMP_NUM_THREADS", {"OMP_NUM_THREADS": "1"}, {}),
    ("paddle", "OMP_NUM_THREADS", {"OMP_NUM_THREADS": "1"}, {}),
]
"""Backend, setting, environment variables without it, and environment variables with it."""


def seconds(name: str, batch_size: int, steps: int, keep: bool, env: dict[str, str]) -> list[float]:
    """Return the seconds of each step, measured in a new process."""
    command = [
        sys.executable,
        "-c",
        STEP,
        name,
        str(batch_size),
        str(steps),
        "keep" if keep else "-",
    ]
    found = subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, check=True
    )
    return [float(line) for line in found.stdout.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--batch-size", type=int, default=16, help="images in a mini-batch (default: %(default)s)"
    )
    parser.add_argument(
        "--steps", type=int, default=5, help="timed steps per process (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="processes per variant (default: %(default)s)"
    )
    given = parser.parse_args()
    print(f"{'backend':12}{'setting':22}{'without':>9}{'with':>9}{'ratio':>7}")
    for name, setting, without_env, with_env in CASES:
        memory = setting == "keep_freed_memory"
        without: list[float] = []
        with_it: list[float] = []
        for _ in range(given.rounds):
            without += seconds(name, given.batch_size, given.steps, not memory, without_env)
            with_it += seconds(name, given.batch_size, given.steps, True, with_env)
        a, b = statistics.median(without), statistics.median(with_it)
        print(f"{name:12}{setting:22}{a:8.3f}s{b:8.3f}s{a / b:7.2f}", flush=True)


if __name__ == "__main__":
    main()
