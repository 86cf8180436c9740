"""PyTorch's engine: ``torchrun`` and DistributedDataParallel, on gloo (CPU) or NCCL (GPU).

`alexnet.backends.engines` documents each function.
https://pytorch.org/docs/stable/notes/ddp.html
"""

from __future__ import annotations

import atexit
import inspect
import os
import socket
import sys
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from alexnet.backends import torch as backend
from alexnet.backends.engines import batch_size
from alexnet.backends.engines.beats import Beats
from alexnet.backends.engines.norms import changed, not_possible
from alexnet.backends.entry import Place
from alexnet.errors import RunError, last_line

_options = inspect.signature(DistributedDataParallel).parameters
SYNC_BUFFERS = next(n for n in ("forward_sync_buffers", "broadcast_buffers") if n in _options)

LOOPBACK = ("127.0.0.1", "localhost")

_beats: Beats | None = None  # after `join`


def join(place: Place, device: torch.device, seconds: float) -> None:
    global _beats
    if dist.is_initialized():  # by an earlier run, or by the user
        return
    store = _store(place, seconds)
    store.set(f"joined/{place.rank}", "")
    names = [f"joined/{rank}" for rank in range(place.size)]
    try:
        store.wait(names, timedelta(seconds=seconds))
    except RuntimeError:
        missing = [str(rank) for rank, name in enumerate(names) if not store.check([name])]
        raise RunError(
            f"process {' and '.join(missing)} of the {place.size} of this run did not join within "
            f"{seconds:g} s"
        ) from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=place.rank,
        world_size=place.size,
        timeout=timedelta(seconds=seconds),
    )
    atexit.register(dist.destroy_process_group)
    _beats = Beats(store, _connect(place, seconds), place.rank, place.size)
    atexit.register(_beats.stop)


def _store(place: Place, seconds: float) -> Any:
    """Return the store over which the processes find each other."""
    host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    try:
        return _connect(place, seconds, hosting=place.rank == 0)
    except (OSError, RuntimeError) as error:
        if place.rank == 0 and "in use" in str(error):
            why = f"port {port} is taken; choose another MASTER_PORT"
        else:
            why = f"process 0, at {host}:{port}, did not answer within {seconds:g} s"
        raise RunError(f"{why} ({last_line(error)})") from None


def _connect(place: Place, seconds: float, hosting: bool = False) -> Any:
    """Connect to the store. ``hosting``: open it in this process, unless torchrun has opened it."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    hosting = hosting and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    own = None
    if hosting and host in LOOPBACK and sys.platform != "win32":
        # PyTorch would listen on every address of this machine.
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        own = listening.detach()
    store = dist.TCPStore(
        host,
        port,
        place.size,
        hosting,
        timedelta(seconds=seconds),
        wait_for_workers=False,
        master_listen_fd=own,
    )
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"alexnet/{attempt}", store)


def total(values: np.ndarray) -> np.ndarray:
    sums = torch.tensor(values)
    dist.all_reduce(sums)
    return sums.numpy()


def is_fault(error: Exception) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def lost() -> list[str]:
    return [f"process {rank}" for rank in _beats.lost()] if _beats is not None else []


class SyncBatchNorm(backend.BiasedVariance, nn.SyncBatchNorm):
    """PyTorch's SyncBatchNorm with a biased running variance."""

    rows: int  # of all processes in this step

    def values_per_channel(self, x: torch.Tensor) -> int:
        return super().values_per_channel(x) * self.rows // len(x)


def synchronised(net: nn.Module) -> list[tuple[nn.Module, str, nn.SyncBatchNorm]]:
    """Return a SyncBatchNorm with the same tensors for each batch normalisation layer of a net.

    Each comes after the module that has the layer, and the layer's name in it.
    """
    found = []
    for path, layer in net.named_modules(remove_duplicate=False):
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and path:
            head, _, name = path.rpartition(".")
            new = nn.SyncBatchNorm.convert_sync_batchnorm(layer)
            if isinstance(layer, backend.BiasedVariance):
                new.__class__ = SyncBatchNorm
            found.append((net.get_submodule(head), name, new))
    return found


class Trainer(backend.Trainer):
    """The SGD of `alexnet.backends.torch` on gradients that DistributedDataParallel reduces."""

    def __init__(self, net: nn.Module, lr: float, momentum: float, nesterov: bool = False) -> None:
        super().__init__(net, lr, momentum, nesterov)
        # Running statistics are averaged before each evaluation (`alexnet.training.processes`).
        self.reduced = DistributedDataParallel(net, **{SYNC_BUFFERS: False})
        self.norms: list[tuple[nn.Module, str, nn.SyncBatchNorm]] = []  # in the net during a step

    def synchronise_norms(self) -> None:
        device = backend.device_of(self.net)
        if device.type != "cuda":
            raise not_possible("PyTorch's SyncBatchNorm computes only on a GPU", device)
        self.norms = synchronised(self.net)

    def step(  # type: ignore[override]  # a `ReducedTrainer` also takes the share
        self, X: torch.Tensor, y: torch.Tensor, share: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.norms:
            self._count_rows(batch_size(len(y), share))
        # DistributedDataParallel divides the sum of the gradients by the number of processes.
        with changed(self.norms):
            logits, loss = backend.backward(self.reduced, X, y, share * dist.get_world_size())
        self.optimizer.step()
        return loss.detach() * len(y), (logits.argmax(dim=1) == y).sum()

    def _count_rows(self, examples: int) -> None:
        """Tell the layers how many rows all processes compute: processes without rows compute all rows."""
        self.net.train()  # also the layers that are not in the net during the step
        without = max(0, dist.get_world_size() - examples)
        for _, _, layer in self.norms:
            if isinstance(layer, SyncBatchNorm):
                layer.rows = examples * (1 + without)
            elif without:  # the unbiased running variance depends on the number of rows
                raise RunError(
                    f"a batch of {examples} examples has no rows for {without} of the "
                    f"{dist.get_world_size()} processes; PyTorch's SyncBatchNorm needs rows in each process"
                )
