"""The time of the fastest of several short runs."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 0.6  # for all runs of one kind of work
FEWEST = 3  # runs, however long they take


def fastest(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest run. ``work`` returns after its result is complete.

    >>> 0 < fastest(lambda: sum(range(100))) < 1
    True
    """
    work()  # allocates memory and chooses kernels
    best, runs, ends = float("inf"), 0, time.perf_counter() + SECONDS
    while runs < FEWEST or time.perf_counter() < ends:
        begun = time.perf_counter()
        work()
        best, runs = min(best, time.perf_counter() - begun), runs + 1
    return best
