"""The model of several processes, against counts by hand, a simulated ring, and PyTorch's own buckets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alexnet import backends
from alexnet.costs.scaling import BUCKET, FIRST_BUCKET, Link, all_reduce, buckets, step_time
from alexnet.errors import RunError
from alexnet.spec import zoo

ALEXNET, LENET = (zoo.get(name).resolve() for name in ("alexnet", "lenet"))
LINK = Link(rate=2e8, latency=1e-3)


def simulated_ring(size, processes, link):
    """Add up arrays by passing parts around a ring. Return the sums of process 0, and the seconds."""
    parts = np.arange(processes * processes, dtype=float).reshape(processes, processes) + 1
    expected = parts.sum(axis=0)
    seconds = 0.0
    for turn in range(2 * (processes - 1)):  # first the sums are made, then passed on
        before = parts.copy()
        for sender in range(processes):
            receiver, part = (sender + 1) % processes, (sender - turn) % processes
            new = before[sender, part]
            parts[receiver, part] = new + (before[receiver, part] if turn < processes - 1 else 0)
        seconds += link.latency + size / processes / link.rate  # all of them send at the same time
    return parts, expected, seconds


@pytest.mark.parametrize("processes", [2, 3, 8])
def test_a_ring_takes_as_long_as_its_messages(processes):
    parts, expected, seconds = simulated_ring(6e6, processes, LINK)
    np.testing.assert_array_equal(parts, np.tile(expected, (processes, 1)))
    assert all_reduce(6e6, processes, LINK) == pytest.approx(seconds)


def test_a_tree_sends_fewer_messages_one_after_another():
    free = Link(rate=math.inf, latency=1.0)
    assert all_reduce(1, 1024, free, tree=True) == 2 * 10
    assert all_reduce(1, 1024, free) == 2 * 1023


@pytest.mark.needs("torch")
@pytest.mark.parametrize("net", [ALEXNET, LENET], ids=["alexnet", "lenet"])
def test_the_buckets_are_those_of_pytorch(net):
    backends.load("torch")
    import torch
    from torch.distributed import _compute_bucket_assignment_by_size

    tensors = [torch.zeros(shape) for shape in reversed(net.parameters.values())]
    theirs, _ = _compute_bucket_assignment_by_size(tensors, [FIRST_BUCKET, BUCKET])
    sizes = [sum(4 * tensors[i].numel() for i in bucket) for bucket in theirs]
    # A layer's bias comes with its weights here, and before them there.
    assert [bucket.size for bucket in buckets(net)] == pytest.approx(sizes, rel=1e-3)


def test_gradients_are_ready_when_the_layers_after_them_are_done():
    ready = [bucket.ready for bucket in buckets(ALEXNET)]
    assert ready == sorted(ready)
    assert ready[-1] == 1
    # The forward pass is a third of the arithmetic, and the dense layers are a small part of the rest.
    assert 1 / 3 < ready[0] < ready[1] < 0.5


@pytest.mark.parametrize("processes", [1, 2, 16])
def test_a_step_is_between_the_longer_part_and_the_sum_of_both(processes):
    overlapped = step_time(ALEXNET, processes, 0.5, LINK)
    apart = step_time(ALEXNET, processes, 0.5, LINK, overlap=False)
    assert max(0.5, apart.all_reduce) <= overlapped.total <= apart.total
    assert apart.total == pytest.approx(0.5 + apart.all_reduce)
    assert apart.communication == pytest.approx(apart.all_reduce / apart.total)


def test_nothing_hides_the_only_bucket():
    found = step_time(LENET, 2, 0.01, LINK)
    assert found.total == pytest.approx(0.01 + found.all_reduce)


def test_copying_takes_the_time_of_the_core():
    fast = Link(rate=1e12, latency=0.0, copying=1e-9)
    moved = 4 * sum(row.parameter_count for row in ALEXNET.rows)
    assert step_time(ALEXNET, 2, 0.5, fast).total == pytest.approx(0.5 + 1e-9 * moved)


def test_wrong_values_are_refused():
    with pytest.raises(RunError, match="a link needs a rate above 0"):
        Link(rate=0.0, latency=0.0)
    with pytest.raises(RunError, match="more than 0 s, got 2 and 0 s"):
        step_time(LENET, 2, 0.0, LINK)
    with pytest.raises(RunError, match="at least 1 process"):
        step_time(LENET, 0, 1.0, LINK)
