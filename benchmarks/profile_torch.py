"""Where the time of PyTorch's training step goes: AlexNet at 224×224, float32, batches of 32, on the CPU.

    python benchmarks/profile_torch.py

Prints the operators of five steps with their shares of the time, then by the shapes of their inputs.
"""

from __future__ import annotations

from torch.profiler import ProfilerActivity, profile

import alexnet
from alexnet import backends
from alexnet.workers.worker import keep_freed_memory

keep_freed_memory()
net = alexnet.build("alexnet", backend="torch", device="cpu")
train_iter, _ = alexnet.load_fashion_mnist(32, source="sample", backend="torch", device="cpu")
X, y = next(iter(train_iter))
trainer = backends.load("torch").Trainer(net, 0.01, 0.0)
for _ in range(3):
    trainer.step(X, y)
with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as found:
    for _ in range(5):
        trainer.step(X, y)
for by_shape in (False, True):
    averages = found.key_averages(group_by_input_shape=by_shape)
    print(averages.table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=40))
