"""A model of the time of a training step on several processes, from the table of a net.

Each process computes its rows of the batch, then all processes add up their gradients with a ring
all-reduce (Patarasuk & Yuan, 2009, https://doi.org/10.1016/j.jpdc.2008.09.002). PyTorch's
DistributedDataParallel sends the gradients in buckets, while the backward pass still computes others (Li et
al., 2020, https://arxiv.org/abs/2006.15704). docs/scaling.md compares the model with measurements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from alexnet.costs.layers import layer_costs
from alexnet.errors import RunError
from alexnet.spec import ResolvedNet

FIRST_BUCKET, BUCKET = 2**20, 25 * 2**20
"""Bytes at which DistributedDataParallel closes its first bucket, and each later one."""


@dataclass(frozen=True)
class Link:
    """What joins the processes.

    ``rate``: bytes per second that each process sends, while it receives as many. ``latency``: seconds from
    the start of a message to its arrival, without its bytes. ``copying``: seconds of a core for each byte
    that it sends and adds up; 0 on a GPU, which has other hardware for this.
    """

    rate: float
    latency: float
    copying: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate > 0 or not self.latency >= 0 or not self.copying >= 0:
            raise RunError(
                f"a link needs a rate above 0, and a latency and copying of at least 0, got {self}"
            )


@dataclass(frozen=True)
class Bucket:
    """Gradients that the processes add up together.

    ``ready``: when they are computed, as a share of the arithmetic of a step, from 0 to 1.
    """

    size: int  # bytes
    ready: float


@dataclass(frozen=True)
class StepTime:
    """The modelled time of a step. All are seconds."""

    compute: float  # forward and backward pass of a process's rows
    all_reduce: float  # of all buckets, if nothing hides it
    total: float

    @property
    def communication(self) -> float:
        """The share of the step's time in which the processes only communicate, from 0 to 1."""
        return (self.total - self.compute) / self.total


def buckets(net: ResolvedNet, bytes_per_value: int = 4) -> list[Bucket]:
    """Return the buckets of DistributedDataParallel, in the order in which it sends them.

    The backward pass computes the gradients from the last layer to the first. A bucket is closed when it
    has `FIRST_BUCKET` or `BUCKET` bytes; a layer is not divided.

    >>> from alexnet.spec import zoo
    >>> [round(bucket.size / 1e6, 1) for bucket in buckets(zoo.get("alexnet").resolve())]
    [67.3, 104.9, 14.9]
    """
    layers = layer_costs(net, 1)
    whole = sum(layer.forward.flop + layer.backward.flop for layer in layers)
    done = sum(layer.forward.flop for layer in layers)
    found: list[Bucket] = []
    size = 0
    for layer in reversed(layers):
        done += layer.backward.flop
        size += bytes_per_value * layer.parameters
        if size >= (BUCKET if found else FIRST_BUCKET):
            found.append(Bucket(size, done / whole))
            size = 0
    if size:
        found.append(Bucket(size, 1.0))
    return found


def all_reduce(size: float, processes: int, link: Link, tree: bool = False) -> float:
    """Return the seconds in which ``processes`` add up ``size`` bytes, and all of them get the sums.

    In a ring, each process sends 2 (n - 1) messages of size / n bytes. ``tree``: two binary trees, which
    send as many bytes, but only 2 log2(n) messages one after another (Sanders, Speck & Träff, 2009,
    https://doi.org/10.1016/j.parco.2009.09.001). NCCL chooses between the two.

    >>> link = Link(rate=1e9, latency=1e-5)
    >>> round(all_reduce(200e6, 4, link), 6), round(all_reduce(0, 1024, link, tree=True), 6)
    (0.30006, 0.0002)
    """
    if processes == 1:
        return 0.0
    messages = 2 * math.ceil(math.log2(processes)) if tree else 2 * (processes - 1)
    return messages * link.latency + 2 * (processes - 1) / processes * size / link.rate


def step_time(
    net: ResolvedNet,
    processes: int,
    compute: float,
    link: Link,
    *,
    overlap: bool = True,
    tree: bool = False,
    bytes_per_value: int = 4,
) -> StepTime:
    """Return the modelled time of a training step of each of ``processes``.

    ``compute``: seconds in which one process computes its rows, without the others. ``overlap``: a bucket
    is sent as soon as it is ready and the bucket before it has arrived; False: all of them are sent after
    the backward pass. A process cannot compute while it copies (`Link.copying`), so a step takes at least
    the time of both. ``bytes_per_value``: 4 for gradients in float32, 2 in bfloat16.

    Raises RunError for fewer than 1 process or seconds that are not above 0.

    >>> from alexnet.spec import zoo
    >>> alexnet = zoo.get("alexnet").resolve()
    >>> slow = Link(rate=125e6, latency=1e-4)  # 1 Gbit/s
    >>> round(step_time(alexnet, 2, 0.5, slow).total, 2)
    1.67
    >>> round(step_time(alexnet, 2, 0.5, slow, overlap=False).total, 2)
    2.0
    """
    if processes < 1 or not compute > 0:
        raise RunError(
            f"a step needs at least 1 process and more than 0 s, got {processes} and {compute:g} s"
        )
    sent = buckets(net, bytes_per_value)
    times = [all_reduce(bucket.size, processes, link, tree) for bucket in sent]
    ended = 0.0 if overlap else compute
    for bucket, seconds in zip(sent, times, strict=True):
        ended = max(ended, bucket.ready * compute) + seconds
    moved = 2 * (processes - 1) / processes * sum(bucket.size for bucket in sent)
    busy = compute + moved * link.copying
    return StepTime(compute, sum(times), max(busy, ended))
