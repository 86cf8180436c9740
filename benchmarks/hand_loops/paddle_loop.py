"""The best hand-written training loop of Paddle. It does not use this project.

    MKL_DEBUG_CPU_TYPE=5 OMP_NUM_THREADS=2 python benchmarks/hand_loops/paddle_loop.py --net alexnet

- whole batches from paddle.io.DataLoader: batch_size=None,
  https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/io/DataLoader_en.html
- automatic mixed precision: https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/amp/auto_cast_en.html
- Paddle uses one thread, and on AMD processors slow code, unless the two variables above are set
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

SIZES = {"alexnet": 224, "lenet": 28}  # pixels per side


def build(net: str) -> nn.Sequential:
    """Return a net with Paddle's own initial weights."""
    if net == "lenet":
        return nn.Sequential(
            nn.Conv2D(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2D(2),  # 6×14×14
            nn.Conv2D(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2D(2),  # 16×5×5
            nn.Flatten(),
            nn.Linear(400, 120), nn.Sigmoid(),
            nn.Linear(120, 84), nn.Sigmoid(),
            nn.Linear(84, 10),
        )  # fmt: skip
    return nn.Sequential(
        nn.Conv2D(1, 96, kernel_size=11, stride=4, padding=1), nn.ReLU(),
        nn.MaxPool2D(3, stride=2),  # 96×26×26
        nn.Conv2D(96, 256, kernel_size=5, padding=2), nn.ReLU(),
        nn.MaxPool2D(3, stride=2),  # 256×12×12
        nn.Conv2D(256, 384, kernel_size=3, padding=1), nn.ReLU(),
        nn.Conv2D(384, 384, kernel_size=3, padding=1), nn.ReLU(),
        nn.Conv2D(384, 256, kernel_size=3, padding=1), nn.ReLU(),
        nn.MaxPool2D(3, stride=2),  # 256×5×5
        nn.Flatten(),
        nn.Linear(6400, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(4096, 10),
    )  # fmt: skip


class Batches(paddle.io.Dataset):
    """A data set whose items are whole batches of one shuffled epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch_size: int) -> None:
        super().__init__()
        self.images, self.labels = images, labels
        order = np.random.permutation(len(labels))
        self.chosen = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.images[self.chosen[index], None], self.labels[self.chosen[index]]


def batches(
    images: np.ndarray, labels: np.ndarray, size: int, batch_size: int
) -> Iterator[tuple[paddle.Tensor, paddle.Tensor]]:
    """Yield shuffled batches: float32 (B, 1, size, size) in [0, 1], int64 (B,)."""
    for x, y in paddle.io.DataLoader(Batches(images, labels, batch_size), batch_size=None):
        x = x.astype("float32") / 255  # (B, 1, 28, 28)
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
    if precision == "tf32":
        raise ValueError("this loop cannot turn TF32 on")
    paddle.set_device("gpu" if device == "gpu" else "cpu")
    if device == "gpu":  # choose the fastest convolutions in the first step
        paddle.set_flags({"FLAGS_cudnn_exhaustive_search": True})
    model = build(net)
    model.train()
    optimizer = paddle.optimizer.SGD(lr, model.parameters())
    loss_sum, correct = paddle.zeros([]), paddle.zeros([], "int64")
    examples, begun = 0, 0.0
    for step, (x, y) in enumerate(batches(images, labels, SIZES[net], batch_size)):
        with paddle.amp.auto_cast(precision == "bfloat16", dtype="bfloat16"):
            logits = model(x)  # (B, 10)
            loss = F.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        loss_sum += loss.detach() * len(y)
        correct += (logits.argmax(axis=1) == y).sum()
        if step == 0:
            float(loss_sum)  # waits for the device
            begun = time.perf_counter()
            continue
        examples += len(y)
        if step == steps:
            break
    float(loss_sum), int(correct)
    return examples / (time.perf_counter() - begun)


if __name__ == "__main__":
    from command import main

    main(train)
