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
from alexnet.backends.engines import batch_size
from alexnet.backends.engines.meeting import meet
from alexnet.backends.engines.norms import changed, not_possible
from alexnet.backends.entry import Place
from alexnet.backends.loading import muted_descriptor
from alexnet.errors import RunError


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


def synchronised(net: nn.Layer) -> list[tuple[nn.Layer, str, nn.SyncBatchNorm]]:
    """Return a SyncBatchNorm with the same tensors for each batch normalisation layer of a net.

    Each comes after the layer that contains the net's own layer, and the name of that one in it.
    """
    return [
        (parent, name, nn.SyncBatchNorm.convert_sync_batchnorm(layer))
        for parent in net.sublayers(include_self=True)
        for name, layer in parent._sub_layers.items()
        if isinstance(layer, nn.BatchNorm1D | nn.BatchNorm2D | nn.BatchNorm3D)
    ]


class Trainer(backend.Trainer):
    """The SGD of `alexnet.backends.paddle` on gradients that ``paddle.DataParallel`` reduces."""

    def __init__(self, net: nn.Layer, lr: float, momentum: float, nesterov: bool = False) -> None:
        super().__init__(net, lr, momentum, nesterov)
        self.reduced = paddle.DataParallel(net)
        self.norms: list[tuple[nn.Layer, str, nn.SyncBatchNorm]] = []  # in the net during a step

    def synchronise_norms(self) -> None:
        device = backend.device_of(self.net)
        if not isinstance(device, paddle.CUDAPlace):
            raise not_possible("Paddle's SyncBatchNorm computes only on a GPU", device)
        self.norms = synchronised(self.net)

    def step(  # type: ignore[override]  # a `ReducedTrainer` also takes the share
        self, X: paddle.Tensor, y: paddle.Tensor, share: float
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        size, examples = dist.get_world_size(), batch_size(len(y), share)
        if self.norms:
            self.net.train()  # also the layers that are not in the net during the step
            if examples % size:
                raise RunError(
                    f"sync_batch_norm=True: {size} processes cannot share a batch of {examples} examples "
                    "evenly, and Paddle's SyncBatchNorm gives each process the same weight"
                )
        # DataParallel divides the sum of the gradients by the number of processes.
        with changed(self.norms):
            logits, loss = backend.backward(self.reduced, X, y, share * size)
        self.optimizer.step()
        return loss.detach() * len(y), (logits.argmax(axis=1) == y).sum()
