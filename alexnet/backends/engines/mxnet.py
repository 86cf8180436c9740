"""MXNet's engine: the distributed KVStore ``dist_sync``, which sums the gradients in a server.

`alexnet.backends.engines` documents each function. `alexnet.backends.dmlc_roles` has the other processes.
https://mxnet.apache.org/versions/1.9.1/api/python/docs/api/kvstore/index.html
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

import mxnet as mx
import numpy
from mxnet import gluon
from mxnet import np as mnp
from mxnet.base import _LIB, check_call

from alexnet.backends import dmlc_roles
from alexnet.backends import mxnet as backend
from alexnet.backends.engines import batch_size
from alexnet.backends.engines.meeting import did_not_join
from alexnet.backends.engines.norms import not_possible
from alexnet.backends.entry import Place
from alexnet.backends.roll_call import EVERY, HOST, SILENCE, Report
from alexnet.errors import RunError


class NoAnswerError(Exception):
    """MXNet's KVStore does not answer, because a process is lost."""


class _Store:
    """The KVStore. It waits forever for a process that is lost, so a thread of its own does the waiting."""

    def __init__(self, place: Place, seconds: float) -> None:
        ends = time.monotonic() + seconds
        self.place, self.seconds, self.keys = place, seconds, set[str]()
        self.report = _report(place, seconds)
        missing = self.report.wait_for(place.size, ends - time.monotonic())
        if missing:
            raise did_not_join(self.report.lost_ranks() or missing, place.size, seconds)
        self.work: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self.result: Any = Future()
        self.store: Any = None
        threading.Thread(target=self._do_work, daemon=True).start()
        atexit.register(self._leave)
        try:
            self.store = self.wait_for(partial(mx.kv.create, "dist_sync"))
        except NoAnswerError as error:
            lost = self.report.lost_ranks()
            if lost:
                raise did_not_join(lost, place.size, seconds) from None
            raise RunError(
                f"MXNet's scheduler and server did not join the processes within {seconds:g} s ({error})"
            ) from None
        # A process may end at any time. Otherwise it would wait here for the others.
        check_call(_LIB.MXKVStoreSetBarrierBeforeExit(self.store.handle, ctypes.c_int(0)))

    def _do_work(self) -> None:
        while True:
            work, result = self.work.get()
            try:
                result.set_result(work())
            except Exception as error:  # `wait_for` raises it in the main thread
                result.set_exception(error)
            del work, result  # they may hold the KVStore

    def wait_for(self, work: Callable[[], Any]) -> Any:
        """Return the result of work that needs the other processes. Raises NoAnswerError."""
        self.result = Future()
        self.work.put((work, self.result))
        ends, why = time.monotonic() + self.seconds, "MXNet's KVStore did not answer"
        while True:
            ended = self.report.ended()
            if ended and "ended" not in why:
                # The last values of another worker may still be on their way.
                ends = min(ends, time.monotonic() + (SILENCE if ended[-1].isdigit() else 0.0))
                why = f"{_title(ended[-1])} ended"
            if time.monotonic() > ends or self.report.host_is_silent(self.seconds):
                raise NoAnswerError(why)
            with suppress(TimeoutError):
                return self.result.result(EVERY)

    def sum(self, arrays: Sequence[mx.nd.NDArray]) -> None:
        """Replace float32 arrays by their sums over all processes, which give arrays of the same shapes."""
        self.wait_for(partial(self._sum, arrays))

    def _sum(self, arrays: Sequence[mx.nd.NDArray]) -> None:
        # A key keeps its shape. So the same arrays of a later run can use the same keys.
        keys = [f"{i} {array.shape}" for i, array in enumerate(arrays)]
        new = {k: a for k, a in zip(keys, arrays, strict=True) if k not in self.keys}
        if new:
            self.store.init(list(new), list(new.values()))
            self.keys.update(new)
        self.store.pushpull(keys, arrays, out=arrays)
        for array in arrays:
            array.wait_to_read()

    def _leave(self) -> None:
        """Leave the run when Python exits."""
        if self.result.done():
            self.store = self.result = None  # frees the KVStore, which closes its connections
            return
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # the KVStore still waits, and MXNet would wait for it


def _title(name: str) -> str:
    """Return what messages call a process, from its name in the roll call."""
    if name.isdigit():
        return f"process {name}"
    return "MXNet's scheduler" if name == HOST else "MXNet's server"


def _report(place: Place, seconds: float) -> Report:
    try:
        return Report(dmlc_roles.address(), str(place.rank), seconds)
    except RunError as error:
        raise RunError(
            f"MXNet's scheduler is missing: {error}; its program must import alexnet before mxnet"
        ) from None


_store: _Store | None = None  # after `join`


def join(place: Place, device: Any, seconds: float) -> None:
    global _store
    if _store is None:
        _store = _Store(place, seconds)


def _joined() -> _Store:
    assert _store is not None
    return _store


def total(values: numpy.ndarray) -> numpy.ndarray:
    # MXNet's server may sum float64 in float32. So each process sends the bits of its values, as float32 of
    # 16 bits each, in a row of its own. Sums with zeros are exact.
    store, length = _joined(), 1 << max(0, len(values) - 1).bit_length()  # few lengths, so few keys
    bits = numpy.zeros((store.place.size, 4 * length), numpy.float32)
    bits[store.place.rank, : 4 * len(values)] = values.view(numpy.uint16)
    everyone = mx.nd.array(bits)
    store.sum([everyone])
    rows = everyone.asnumpy().astype(numpy.uint16).view(numpy.float64)  # (processes, length)
    sums: numpy.ndarray = rows[:, : len(values)].sum(axis=0)
    return sums


def is_fault(error: Exception) -> bool:
    return isinstance(error, NoAnswerError)


def lost() -> list[str]:
    return [_title(name) for name in _joined().report.lost()]


class Trainer(backend.Trainer):
    """The SGD of `alexnet.backends.mxnet` on gradients that the KVStore sums."""

    def __init__(
        self, net: gluon.Block, lr: float, momentum: float, nesterov: bool = False
    ) -> None:
        super().__init__(net, lr, momentum, nesterov)
        learned = (p for p in net.collect_params().values() if p.grad_req != "null")
        self.gradients = [p.grad() for p in learned]

    def synchronise_norms(self) -> None:
        why = "MXNet's SyncBatchNorm is for the GPUs of one process, not for several processes"
        raise not_possible(why, backend.device_of(self.net))

    def step(  # type: ignore[override]  # a `ReducedTrainer` also takes the share
        self, X: mnp.ndarray, y: mnp.ndarray, share: float
    ) -> tuple[mnp.ndarray, mnp.ndarray]:
        logits, losses = backend.backward(self.net, X, y, float(share > 0))
        self._sum_gradients()
        self.update(batch_size(len(y), share))  # divides by the whole batch
        return losses.sum(), (logits.argmax(axis=1).astype(y.dtype) == y).sum()

    def _sum_gradients(self) -> None:
        if all(gradient.dtype == numpy.float32 for gradient in self.gradients):
            _joined().sum(self.gradients)
            return
        for gradient in self.gradients:  # float64
            sums = total(gradient.asnumpy().ravel()).reshape(gradient.shape)
            gradient[:] = mnp.array(sums, dtype=gradient.dtype, ctx=gradient.ctx)
