"""What Paddle's static graph, oneDNN and a convolution as a matrix product would gain on this CPU.

    python benchmarks/paddle_modes.py [--batch-size 16] [--rounds 3]

Each mode trains AlexNet on one batch in a new process; the modes take turns. Prints examples per second and
the ratio to Paddle's dynamic mode, which this library uses. A mode that fails shows its error.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

import alexnet
from alexnet import backends
from alexnet.workers.worker import keep_freed_memory

MODES = {
    "dynamic": {},
    "unfold": {},  # convolutions as matrix products
    "static": {},  # paddle.jit.to_static
    "static-onednn": {"FLAGS_use_mkldnn": "1", "FLAGS_use_onednn": "1"},
}
"""Environment variables of each mode."""


def time_steps(mode: str, batch_size: int) -> None:
    """Print the seconds of each timed step."""
    keep_freed_memory()
    backends.load("paddle")
    import paddle
    from paddle import nn
    from paddle.nn import functional as F

    class Unfolded(nn.Layer):
        """A convolution as a matrix product."""

        def __init__(self, conv: Any) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x: Any) -> Any:  # (B, C, H, W)
            conv = self.conv
            k, stride, padding = conv._kernel_size[0], conv._stride[0], conv._padding
            columns = F.unfold(x, k, stride, padding).transpose([1, 0, 2])  # (C*k*k, B, H'*W')
            y = conv.weight.reshape([len(conv.weight), -1]) @ columns.reshape([len(columns), -1])
            size = (x.shape[2] + 2 * padding - k) // stride + 1
            y = y.reshape([-1, len(x), size, size]).transpose([1, 0, 2, 3])  # (B, O, H', W')
            return y + conv.bias.reshape([1, -1, 1, 1])

    class Whole(nn.Layer):
        """A net with its own forward, which to_static needs."""

        def __init__(self, net: Any) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Any) -> Any:
            return self.net(x)

    net = alexnet.build("alexnet", backend="paddle", device="cpu")
    if mode == "unfold":
        net = nn.Sequential(*(Unfolded(k) if isinstance(k, nn.Conv2D) else k for k in net))
    call = paddle.jit.to_static(Whole(net), full_graph=True) if "static" in mode else net
    optimizer = paddle.optimizer.SGD(1e-3, net.parameters())
    X = paddle.rand([batch_size, 1, 224, 224])
    y = paddle.to_tensor(np.arange(batch_size) % 10)
    for number in range(7):
        begun = time.perf_counter()
        net.clear_gradients()
        loss = F.cross_entropy(call(X), y)
        loss.backward()
        optimizer.step()
        float(loss)
        if number >= 2:
            print("seconds", time.perf_counter() - begun)


def seconds(mode: str, batch_size: int) -> list[float] | str:
    """Return the seconds of each timed step, measured in a new process, or the error of the process."""
    command = [sys.executable, __file__, "--batch-size", str(batch_size), "--mode", mode]
    found = subprocess.run(command, env=os.environ | MODES[mode], capture_output=True, text=True)
    timed = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("seconds ")]
    if found.returncode == 0:
        return list(map(float, timed))
    errors = [line for line in found.stderr.splitlines() if "Error: " in line]
    return errors[-1].strip() if errors else f"exit status {found.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--batch-size", type=int, default=16, help="images in a mini-batch (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="processes per mode (default: %(default)s)"
    )
    parser.add_argument("--mode", choices=MODES, help="time one mode in this process")
    given = parser.parse_args()
    if given.mode is not None:
        time_steps(given.mode, given.batch_size)
        return
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    problems: dict[str, str] = {}
    for _ in range(given.rounds):
        for mode in [mode for mode in MODES if mode not in problems]:
            result = seconds(mode, given.batch_size)
            if isinstance(result, str):
                problems[mode] = result
            else:
                found[mode] += result
    usual = statistics.median(found["dynamic"])
    print(f"{'mode':15}{'ex/s':>6}{'ratio':>7}")
    for mode, times in found.items():
        if mode in problems:
            print(f"{mode:15}{problems[mode]}")
        else:
            median = statistics.median(times)
            print(f"{mode:15}{given.batch_size / median:6.1f}{usual / median:7.2f}")


if __name__ == "__main__":
    main()
