"""The best hand-written training loop of PyTorch. It does not use this project.

    python benchmarks/hand_loops/torch_loop.py --net alexnet --batch-size 128 --steps 5

- tensors in channels_last (on a GPU not in float32): https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html
- whole batches are indexed at once: https://docs.pytorch.org/docs/stable/data.html#disable-automatic-batching
- fused SGD: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
- autocast in bfloat16: https://docs.pytorch.org/docs/stable/amp.html
- TF32: https://docs.pytorch.org/docs/stable/notes/cuda.html

`torch.backends.cudnn.benchmark` stays as it is: the search for the fastest convolutions takes seconds for
each batch size (docs/speed.md), and its result would serve all loops of the process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

SIZES = {"alexnet": 224, "lenet": 28}  # pixels per side


def build(net: str) -> nn.Sequential:
    """Return a net with PyTorch's own initial weights."""
    if net == "lenet":
        return nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2),  # 6×14×14
            nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(2),  # 16×5×5
            nn.Flatten(),
            nn.Linear(400, 120), nn.Sigmoid(),
            nn.Linear(120, 84), nn.Sigmoid(),
            nn.Linear(84, 10),
        )  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(1, 96, kernel_size=11, stride=4, padding=1), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),  # 96×26×26
        nn.Conv2d(96, 256, kernel_size=5, padding=2), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),  # 256×12×12
        nn.Conv2d(256, 384, kernel_size=3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, kernel_size=3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, kernel_size=3, padding=1), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),  # 256×5×5
        nn.Flatten(),
        nn.Linear(6400, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 10),
    )  # fmt: skip


def batches(
    images: np.ndarray, labels: np.ndarray, size: int, batch_size: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield shuffled batches: float32 (B, 1, size, size) in [0, 1], int64 (B,)."""
    dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    chosen = BatchSampler(RandomSampler(dataset), batch_size, drop_last=False)
    on_gpu = device.type == "cuda"
    for x, y in DataLoader(dataset, sampler=chosen, batch_size=None, pin_memory=on_gpu):
        x, y = (t.to(device, non_blocking=True) for t in (x, y))
        x = x.unsqueeze(1).float() / 255  # (B, 1, 28, 28)
        yield F.interpolate(x, (size, size), mode="bilinear") if size != 28 else x, y


def train(
    images: np.ndarray,
    labels: np.ndarray,
    net: str = "alexnet",
    batch_size: int = 128,
    steps: int = 5,
    precision: str = "float32",
    device: str = "cpu",
    lr: float = 0.01,
) -> float:
    """Train for one step and ``steps`` timed steps. Return the examples per second of the timed steps."""
    place = torch.device("cuda" if device == "gpu" else "cpu")
    switches = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = [switch.fp32_precision for switch in switches]
    for switch in switches:
        switch.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    nchw = device == "gpu" and precision == "float32"
    layout = torch.contiguous_format if nchw else torch.channels_last
    model = build(net).to(place, memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr, fused=True)
    loss_sum, correct = torch.zeros((), device=place), torch.zeros((), device=place)
    examples, begun = 0, 0.0
    for step, (x, y) in enumerate(batches(images, labels, SIZES[net], batch_size, place)):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(x)  # (B, 10)
            loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        loss_sum += loss.detach() * len(y)
        correct += (logits.argmax(dim=1) == y).sum()
        if step == 0:
            loss_sum.item()  # waits for the device
            begun = time.perf_counter()
            continue
        examples += len(y)
        if step == steps:
            break
    loss_sum.item(), correct.item()
    seconds = time.perf_counter() - begun
    for switch, value in zip(switches, before, strict=True):
        switch.fp32_precision = value
    return examples / seconds


if __name__ == "__main__":
    from command import main

    main(train)
