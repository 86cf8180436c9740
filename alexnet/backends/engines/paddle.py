"""Paddle's engine: ``paddle.distributed.launch`` and ``paddle.DataParallel``, on gloo (CPU) or NCCL (GPU).

`alexnet.backends.engines` documents each function.
https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/DataParallel_en.html
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import paddle
from paddle import distributed as dist
from paddle import nn

from alexnet.backends import paddle as backend
from alexnet.backends.engines.meeting import meet
from alexnet.backends.entry import Place
from alexnet.backends.loading import muted_descriptor


def join(place: Place, device: Any, seconds: float) -> None:
    if dist.is_initialized():  # by an earlier run, or by the user
        return
    meet(os.environ["PADDLE_TRAINER_ENDPOINTS"].split(","), place.rank, seconds)
    os.environ.setdefault("PADDLE_DISTRI_BACKEND", "auto" if backend.gpus() else "gloo")
    os.environ.setdefault("PADDLE_PG_TIMEOUT", str(int(seconds * 1000)))  # of NCCL
    with muted_descriptor():  # Paddle reports its own flags
        dist.init_parallel_env()


def total(values: np.ndarray) -> np.ndarray:
    sums = paddle.to_tensor(values)
    dist.all_reduce(sums)
    return sums.numpy()


def is_fault(error: Exception) -> bool:
    return any(name in str(error) for name in ("gloo", "NCCL"))


def lost() -> list[str]:
    return []


class Trainer(backend.Trainer):
    """The SGD of `alexnet.backends.paddle` on gradients that ``paddle.DataParallel`` reduces."""

    def __init__(self, net: nn.Layer, lr: float, momentum: float, nesterov: bool = False) -> None:
        super().__init__(net, lr, momentum, nesterov)
        self.reduced = paddle.DataParallel(net)

    def step(  # type: ignore[override]  # a `ReducedTrainer` also takes the share
        self, X: paddle.Tensor, y: paddle.Tensor, share: float
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        # DataParallel divides the sum of the gradients by the number of processes.
        logits, loss = backend.backward(self.reduced, X, y, share * dist.get_world_size())
        self.optimizer.step()
        return loss.detach() * len(y), (logits.argmax(axis=1) == y).sum()
