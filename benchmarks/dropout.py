"""Measure what shared dropout masks cost: AlexNet's training step with them and without.

    python benchmarks/dropout.py [--batch-size 16] [--rounds 8]

Each backend runs in its own process. Steps with the framework's own dropout and steps with shared masks
take turns on one net, so that other load on the machine slows both. Prints the median seconds without and
with shared masks, and their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from alexnet import backends

STEPS = """
import sys, time
import alexnet
from alexnet import backends
from alexnet.backends import BoundNet
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps
from alexnet.train import epochs_on
from alexnet.workers.worker import keep_freed_memory
name, batch_size, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keep_freed_memory()
backend = backends.load(name)
train_iter, _ = alexnet.load_fashion_mnist(batch_size, source="sample", subset=(batch_size, 1))
net = BoundNet.of(alexnet.build("alexnet", backend=name, device="cpu"))
X, y = next(epochs_on(train_iter, net)(0))
schedule = Schedule("constant", 1e-3)
native, shared = Steps(net, schedule, 0.9), Steps(net, schedule, 0.9, mask_seed=0)
for number in range(rounds + 2):
    for steps in (native, shared):
        begun = time.perf_counter()
        loss, _ = steps.step(X, y)
        float(loss)
        backend.synchronize(net.device)
        if number >= 2:
            print(time.perf_counter() - begun)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    numbers = [str(options.batch_size), str(options.rounds)]
    for name in backends.FRAMEWORKS:
        if not backends.installed(name):
            continue
        command = [sys.executable, "-c", STEPS, name, *numbers]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = [float(line) for line in done.stdout.split()]
        native, shared = (statistics.median(seconds[start::2]) for start in (0, 1))
        print(f"{name:11}{native:8.3f} s {shared:8.3f} s  ratio {shared / native:.3f}", flush=True)


if __name__ == "__main__":
    main()
