"""The best hand-written training loop of MXNet. It does not use this project.

    python benchmarks/hand_loops/mxnet_loop.py --net alexnet --batch-size 128 --steps 5

- one graph with its memory planned once: hybridize(static_alloc=True, static_shape=True),
  https://mxnet.apache.org/versions/1.9.1/api/python/docs/tutorials/packages/gluon/blocks/hybridize.html
- no value is read in the loop: https://mxnet.apache.org/versions/1.9.1/api/faq/perf
- whole batches are indexed at once; Gluon's DataLoader would stack them example by example
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy

numpy.__dict__.setdefault("bool", bool)  # MXNet 1.9 uses a name that NumPy 1.24 removed
os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))  # the default is half the cores

import mxnet as mx  # noqa: E402
from mxnet import autograd, gluon, npx  # noqa: E402
from mxnet import np as mnp  # noqa: E402
from mxnet.gluon import nn  # noqa: E402

npx.set_np()

SIZES = {"alexnet": 224, "lenet": 28}  # pixels per side


def build(net: str) -> nn.HybridSequential:
    """Return a net without weights; ``initialize`` makes them."""
    model = nn.HybridSequential()
    if net == "lenet":
        model.add(
            nn.Conv2D(6, kernel_size=5, padding=2, activation="sigmoid"), nn.AvgPool2D(2, 2),  # 6×14×14
            nn.Conv2D(16, kernel_size=5, activation="sigmoid"), nn.AvgPool2D(2, 2),  # 16×5×5
            nn.Dense(120, activation="sigmoid"),
            nn.Dense(84, activation="sigmoid"),
            nn.Dense(10),
        )  # fmt: skip
        return model
    model.add(
        nn.Conv2D(96, kernel_size=11, strides=4, padding=1, activation="relu"),
        nn.MaxPool2D(3, strides=2),  # 96×26×26
        nn.Conv2D(256, kernel_size=5, padding=2, activation="relu"),
        nn.MaxPool2D(3, strides=2),  # 256×12×12
        nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
        nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
        nn.Conv2D(256, kernel_size=3, padding=1, activation="relu"),
        nn.MaxPool2D(3, strides=2),  # 256×5×5
        nn.Dense(4096, activation="relu"), nn.Dropout(0.5),
        nn.Dense(4096, activation="relu"), nn.Dropout(0.5),
        nn.Dense(10),
    )  # fmt: skip
    return model


def batches(
    images: numpy.ndarray, labels: numpy.ndarray, size: int, batch_size: int, device: mx.Context
) -> Iterator[tuple[mnp.ndarray, mnp.ndarray]]:
    """Yield shuffled batches: float32 (B, 1, size, size) in [0, 1], int64 (B,)."""
    order = numpy.random.permutation(len(labels))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        x = mnp.array(images[chosen, None], dtype="uint8", ctx=device).astype("float32") / 255
        if size != 28:
            old = x.as_nd_ndarray()
            scaled = {"height": size, "width": size, "align_corners": False}
            x = mx.nd.contrib.BilinearResize2D(old, **scaled).as_np_ndarray()
        yield x, mnp.array(labels[chosen], dtype="int64", ctx=device)


def train(
    images: numpy.ndarray,
    labels: numpy.ndarray,
    net: str = "alexnet",
    batch_size: int = 128,
    steps: int = 5,
    precision: str = "float32",
    device: str = "cpu",
    lr: float = 0.01,
) -> float:
    """Train for one step and ``steps`` timed steps. Return the examples per second of the timed steps."""
    if precision != "float32":
        raise ValueError(f"this loop trains in float32 only, got {precision}")
    place = mx.gpu() if device == "gpu" else mx.cpu()
    model = build(net)
    model.initialize(mx.init.Xavier(), ctx=place)
    model.hybridize(static_alloc=True, static_shape=True)
    loss_function = gluon.loss.SoftmaxCrossEntropyLoss()
    loss_function.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(model.collect_params(), "sgd", {"learning_rate": lr})
    loss_sum, correct = mnp.zeros((), ctx=place), mnp.zeros((), ctx=place)
    examples, begun = 0, 0.0
    for step, (x, y) in enumerate(batches(images, labels, SIZES[net], batch_size, place)):
        with autograd.record():
            logits = model(x)  # (B, 10)
            losses = loss_function(logits, y)  # (B,)
        losses.backward()
        trainer.step(len(y))
        loss_sum = loss_sum + losses.sum()
        correct = correct + (logits.argmax(axis=1).astype("int64") == y).sum()
        if step == 0:
            mx.nd.waitall()
            begun = time.perf_counter()
            continue
        examples += len(y)
        if step == steps:
            break
    mx.nd.waitall()
    return examples / (time.perf_counter() - begun)


if __name__ == "__main__":
    from command import main

    main(train)
