"""Measure the gain and the time of PyTorch's search for the fastest convolutions on an NVIDIA GPU.

    python benchmarks/cudnn_benchmark.py

With `torch.backends.cudnn.benchmark`, cuDNN tries several kernels for each convolution and each batch size.
Prints the examples per second of AlexNet's training step without and with it, and the seconds of the first
step. The batch sizes differ a little, because cuDNN remembers the kernel that it chose for a shape.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from alexnet import backends, build
from alexnet.backends import BoundNet
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps

SECONDS = 0.5  # of one measurement, at least
BATCH_SIZES = {False: 128, True: 144}  # without and with the search


def step_of(precision: str, batch_size: int) -> Callable[[], object]:
    """Return a function that takes one training step of AlexNet on the GPU."""
    bound = BoundNet.of(build("alexnet", backend="torch", device="gpu"))
    X = torch.rand(batch_size, 1, 224, 224, device=bound.device)
    y = torch.randint(0, 10, (batch_size,), device=bound.device)
    steps = Steps(bound, Schedule("constant", 0.01, 1, None), precision=precision)
    return lambda: steps.step(X, y)


def speed(step: Callable[[], object], batch_size: int) -> tuple[float, float]:
    """Return the examples per second, and the seconds of the first step."""
    begun = time.perf_counter()
    step()
    torch.cuda.synchronize()
    first, count, begun = time.perf_counter() - begun, 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        for _ in range(5):
            step()
        count += 5
        torch.cuda.synchronize()
    return count * batch_size / (time.perf_counter() - begun), first


def main() -> None:
    step_of("float32", 64)()  # loads cuDNN
    print(f"PyTorch {backends.load('torch').version()}, {torch.cuda.get_device_name()}")
    for precision in ("float32", "tf32", "bfloat16"):
        for searches, batch_size in BATCH_SIZES.items():
            torch.backends.cudnn.benchmark = searches
            found, first = speed(step_of(precision, batch_size), batch_size)
            how = "with" if searches else "without"
            print(f"{precision:9} {how:7} {found:9,.0f} examples/s, first step {first:5.2f} s")


if __name__ == "__main__":
    main()
