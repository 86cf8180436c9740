"""Signs of life: finds out which process of a run is lost."""

from __future__ import annotations

import threading
import time
from typing import Any

EVERY = 1.0  # seconds between two signs of life
SILENCE = 4.0  # seconds without one after which a process is lost


class Beats:
    """Tells the other processes that this one lives, and finds those that say nothing.

    ``store``, ``own``: two connections to a store of the engine, with ``set(key, text)`` and ``get(key)``.
    A thread uses ``own``, so it never waits for this process's other work. Process 0 may hold the store;
    without the store, process 0 is the lost one.
    """

    def __init__(self, store: Any, own: Any, rank: int, size: int) -> None:
        self.store, self.own, self.rank, self.size = store, own, rank, size
        self.own.set(f"beat/{rank}", "0")
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """End the thread. Python must not exit while it is in the framework's code."""
        self.ending.set()
        self.thread.join(SILENCE)

    def _beat(self) -> None:
        count = 0
        while not self.ending.wait(EVERY):
            count += 1
            try:
                self.own.set(f"beat/{self.rank}", str(count))
            except Exception:  # the store is gone, and so is the run
                return

    def lost(self) -> list[int]:
        """Return the ranks that give no sign of life. Takes `SILENCE` seconds."""
        try:
            before = self._counts()
            time.sleep(SILENCE)
            after = self._counts()
        except Exception:  # frameworks fail in many ways
            return [0] if self.rank else []
        same = [rank for rank in range(self.size) if before[rank] == after[rank]]
        return [rank for rank in same if rank != self.rank]

    def _counts(self) -> list[bytes]:
        return [self.store.get(f"beat/{rank}") for rank in range(self.size)]
