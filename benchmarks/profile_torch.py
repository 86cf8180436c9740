"""Where the time of PyTorch's training step goes: AlexNet at 224×224.

    python benchmarks/profile_torch.py [--device cpu] [--precision float32] [--batch-size 32]

Prints the operators of five steps with their shares of the time, then by the shapes of their inputs.
"""

from __future__ import annotations

import argparse

from torch.profiler import ProfilerActivity, profile

import alexnet
from alexnet.backends import BoundNet
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps
from alexnet.workers.worker import keep_freed_memory

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--device", default="cpu")
parser.add_argument("--precision", default="float32")
parser.add_argument("--batch-size", type=int, default=32)
given = parser.parse_args()

keep_freed_memory()
bound = BoundNet.of(alexnet.build("alexnet", backend="torch", device=given.device))
steps = Steps(bound, Schedule("constant", 0.01, 1, None), precision=given.precision)
train_iter, _ = alexnet.load_fashion_mnist(
    given.batch_size, source="sample", backend="torch", device=bound.device
)
X, y = next(iter(train_iter))
for _ in range(3):
    steps.step(X, y)
on_gpu = bound.device.type == "cuda"
activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
with profile(activities=[activity], record_shapes=True) as found:
    for _ in range(5):
        steps.step(X, y)
    bound.backend.synchronize(bound.device)
for by_shape in (False, True):
    averages = found.key_averages(group_by_input_shape=by_shape)
    key = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    print(averages.table(sort_by=key, row_limit=14, max_name_column_width=40))
