"""The processes of a data-parallel run: which rows of a batch each has, and sums over all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from alexnet.backends import engines
from alexnet.backends.engines import Engine
from alexnet.backends.nets import BoundNet
from alexnet.backends.timeout import timeout
from alexnet.errors import LostProcessError, RunError

GATHERED = 2**14  # values of a gather, 128 kB: fewer than the gradients of LeNet


class World:
    """All processes of a run, as one of them sees them. `ALONE` is the world of one process.

    >>> World(rank=1, size=3).rows(8)
    (slice(3, 6, None), 0.375)
    """

    def __init__(self, rank: int, size: int, engine: Engine | None = None) -> None:
        self.rank, self.size, self.engine = rank, size, engine

    @classmethod
    def of(cls, net: BoundNet) -> World:
        """Join the processes that an engine of the net's framework started. Returns `ALONE` without one.

        Raises RunError if other processes do not come in time.
        """
        place = net.backend.ENTRY.place()
        if place is None:
            return ALONE
        engine = engines.load(net.backend.ENTRY.name)
        engine.join(place, net.device, timeout())
        return cls(place.rank, place.size, engine)

    def rows(self, examples: int) -> tuple[slice, float]:
        """Return the rows of this process in a batch of ``examples``, and their part of the batch.

        The rows follow each other. The first processes have one row more if the rows do not divide evenly.
        A process without a row (a small last batch) gets the whole batch and the part 0: it must compute
        something to take part in the step. Synchronised batch normalisation then counts all rows equally
        often, because each process without a row has all of them.

        >>> [World(rank, 2).rows(1) for rank in (0, 1)]
        [(slice(0, 1, None), 1.0), (slice(0, 1, None), 0.0)]
        """
        each, more = divmod(examples, self.size)
        start = self.rank * each + min(self.rank, more)
        count = each + (self.rank < more)
        if not count:
            return slice(0, examples), 0.0
        return slice(start, start + count), count / examples

    def whole(
        self, batches: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the logits (B, classes) and labels (B,) of whole batches, in order, in every process.

        ``batches``: the logits of this process's `rows`, and the labels of the whole batch. The logits of
        several batches travel together, because few long messages are faster than many short ones. Every
        process must iterate at the same time.
        """
        if self.size == 1:
            yield from batches
            return
        waiting: list[tuple[np.ndarray, np.ndarray]] = []
        values = 0
        for logits, labels in batches:
            waiting.append((logits, labels))
            values += len(labels) * logits.shape[1]
            if values >= GATHERED:  # after the same batch in every process
                yield from self._gather(waiting)
                waiting, values = [], 0
        if waiting:
            yield from self._gather(waiting)

    def _gather(
        self, batches: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield what `whole` yields, after one sum over all processes.

        The rows of the other processes are zeros here, so the sum has the same bits as the logits.
        """
        ends = np.cumsum([len(labels) for _, labels in batches])
        first = batches[0][0]
        own = np.zeros((ends[-1], first.shape[1]))  # float64 holds every float32
        for (logits, labels), end in zip(batches, ends, strict=True):
            rows, share = self.rows(len(labels))
            if share:
                own[end - len(labels) : end][rows] = logits
        everyone = self._sums(own.ravel()).reshape(own.shape).astype(first.dtype)
        for (_, labels), end in zip(batches, ends, strict=True):
            yield everyone[end - len(labels) : end], labels

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sums of ``values`` over all processes. Every process must call it at the same time.

        Raises LostProcessError if another process ended or does not answer.
        """
        return self._sums(np.asarray(values, np.float64)).tolist()

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over all processes: float64 (n,)."""
        if self.engine is None:
            return values
        with self.reporting_faults():
            return self.engine.total(values)

    @contextmanager
    def reporting_faults(self) -> Iterator[None]:
        """Turn an engine's error about another process into LostProcessError, which names the process."""
        try:
            yield
        except Exception as error:
            if self.engine is None or not self.engine.is_fault(error):
                raise
            who = " and ".join(self.engine.lost()) or "another process"
            raise LostProcessError(
                f"{who} of a run on {self.size} processes ended, or did not answer for {timeout():g} s"
            ) from error

    def texts(self, text: str) -> list[str]:
        """Return the text that each process gives, in the order of the ranks."""
        data = text.encode()
        lengths = [0.0] * self.size
        lengths[self.rank] = len(data)
        lengths = self.total(lengths)
        values = np.zeros((self.size, int(max(lengths))))  # one row for each process
        values[self.rank, : len(data)] = list(data)
        found = np.reshape(self.total(values.ravel().tolist()), values.shape).astype(np.uint8)
        return [row[: int(n)].tobytes().decode() for row, n in zip(found, lengths, strict=True)]

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Raise RunError unless all processes give the same facts: settings, checksums, versions.

        Every process raises the same error, which names the first rank and fact that differ.
        """
        if self.size == 1:
            return
        expected, *others = map(json.loads, self.texts(json.dumps(facts, default=str)))
        for rank, found in enumerate(others, 1):
            for name in {**expected, **found}:
                mine, theirs = expected.get(name), found.get(name)
                if mine != theirs:
                    raise RunError(
                        f"process {rank} has {name} {theirs}, but process 0 has {name} {mine}; all "
                        "processes of a run need the same settings, images, weights and versions"
                    )

    def wait(self) -> None:
        """Wait until every process has come here."""
        self.total([0.0])


ALONE = World(0, 1)
