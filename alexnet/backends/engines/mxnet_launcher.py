"""Starts an MXNet run on this machine: ``python -m alexnet.backends.engines.mxnet_launcher 2 script.py``.

MXNet's own launcher, ``tools/launch.py``, is not in MXNet's wheel. This program sets the same variables.
It starts a scheduler, a server and the workers, which run the script. If one fails, it ends the others.
https://mxnet.apache.org/versions/1.9.1/api/faq/distributed_training
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from alexnet.backends import dmlc_roles

LOOK_EVERY = 0.1  # seconds
GRACE = 5.0  # seconds that the other processes have to end by themselves after one has failed

HELPER = "from alexnet.backends.loading import prepare; prepare('mxnet'); import mxnet"


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free, like the one after it."""
    while True:
        with socket.socket() as first, socket.socket() as second, suppress(OSError, OverflowError):
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            second.bind(("127.0.0.1", port + 1))
            return port


def variables(workers: int, port: int) -> dict[str, str]:
    """Return the environment variables that all processes of a run on this machine have in common."""
    return {
        dmlc_roles.WORKERS: str(workers),
        "DMLC_NUM_SERVER": "1",
        dmlc_roles.HOST: "127.0.0.1",
        dmlc_roles.PORT: str(port),
    }


def start_helper(role: str, common: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the scheduler or the server."""
    environment = {**os.environ, **common, dmlc_roles.ROLE: role}
    command = [sys.executable, "-c", HELPER]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)


def main(arguments: Sequence[str]) -> int:
    """Run the script in so many workers. Return 0, or the exit status of a process that failed."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    common = variables(int(arguments[0]), free_port())
    helpers: list[subprocess.Popen[bytes]] = []
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for role in ("scheduler", "server"):
            helpers.append(start_helper(role, common))
        for rank in range(int(arguments[0])):
            own = {dmlc_roles.ROLE: "worker", dmlc_roles.RANK: str(rank)}
            workers.append(
                subprocess.Popen(
                    [sys.executable, *arguments[1:]], env={**os.environ, **common, **own}
                )
            )
        return _wait(workers, helpers)
    finally:
        for process in (*workers, *helpers):
            process.kill()  # nothing happens if it has ended
            process.wait()


def _wait(
    workers: Sequence[subprocess.Popen[bytes]], helpers: Sequence[subprocess.Popen[bytes]]
) -> int:
    """Wait until all workers have ended, or one process has failed. Return the exit status."""
    failed, ends = 0, float("inf")
    while any(w.poll() is None for w in workers) and time.monotonic() < ends:
        status = next((p.poll() for p in (*workers, *helpers) if p.poll()), 0) or 0
        if status and not failed:
            failed, ends = status, time.monotonic() + GRACE
        time.sleep(LOOK_EVERY)
    failed = failed or next((w.returncode for w in workers if w.returncode), 0)
    if not failed:
        for helper in helpers:
            with suppress(subprocess.TimeoutExpired):
                helper.wait(GRACE)
    return failed if failed >= 0 else 128 - failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
