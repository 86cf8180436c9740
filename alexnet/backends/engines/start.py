"""Starts a script in several processes, for a framework that has no launcher of its own.

``python -m alexnet.backends.engines.start FILE SCRIPT``. ``FILE``: JSON, the environment variables of each
process, by rank. The processes have the standard input of this one, which tells them when to exit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

LOOK_EVERY = 0.1  # seconds
GRACE = 5.0  # seconds that the other processes have to end after one has failed
ENDED_FIRST = "ended_first.json"
"""File beside FILE: the rank of the process that failed first. It exists only after a failure."""


def main() -> int:
    """Run all processes to their end. Returns 0, or 1 if one of them failed."""
    places, *script = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    running: list[subprocess.Popen[bytes]] = []
    try:
        for variables in json.loads(Path(places).read_text(encoding="utf-8")):
            environment = {**os.environ, **variables}
            running.append(subprocess.Popen([sys.executable, *script], env=environment))
        failed = _first_failure(running)
        if failed is None:
            return 0
        Path(places).with_name(ENDED_FIRST).write_text(json.dumps(failed), encoding="utf-8")
        ends = time.monotonic() + GRACE
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, ends - time.monotonic()))
        return 1
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


def _first_failure(running: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all processes have ended, or one has failed. Return its rank."""
    while True:
        states = [process.poll() for process in running]
        for rank, status in enumerate(states):
            if status:
                return rank
        if None not in states:
            return None
        time.sleep(LOOK_EVERY)


if __name__ == "__main__":
    sys.exit(main())
