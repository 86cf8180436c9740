"""How long the processes of a data-parallel run wait for each other."""

from __future__ import annotations

import os

from alexnet.errors import RunError

TIMEOUT = "ALEXNET_TIMEOUT"
"""Environment variable: how many seconds a process waits for the other processes of its run."""
SECONDS = 300.0  # its default: a slow start or a long evaluation is not an error


def timeout() -> float:
    """Return how many seconds a process waits for others: ALEXNET_TIMEOUT, or 300.

    Raises RunError if ALEXNET_TIMEOUT is not a number above 0.
    """
    text = os.environ.get(TIMEOUT) or str(SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise RunError(f"{TIMEOUT} must be a number of seconds above 0, got {text!r}")
    return seconds
