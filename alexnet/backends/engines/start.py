"""Starts a script in several processes, for a framework that has no launcher in its package.

``python -m alexnet.backends.engines.start FILE SCRIPT``. `alexnet.backends.entry.start_script` writes FILE.
The processes have the standard input of this one, which tells them when to exit. Helpers, such as MXNet's
scheduler, end by themselves after the processes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

LOOK_EVERY = 0.1  # seconds
GRACE = 5.0  # seconds that the other processes have to end after one has failed
ENDED_FIRST = "ended_first.json"
"""File beside FILE: the process that failed first, a rank or the name of a helper. It exists only after a
failure."""


def main() -> int:
    """Run all processes to their end. Returns 0, or 1 if one of them failed."""
    file, *script = sys.argv[1:]
    given = json.loads(Path(file).read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    processes: list[subprocess.Popen[bytes]] = []
    helpers: list[subprocess.Popen[bytes]] = []
    try:
        for variables in given["helpers"].values():
            command = [sys.executable, "-c", given["helper"]]
            environment = {**os.environ, **variables}
            helpers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment))
        for variables in given["processes"]:
            environment = {**os.environ, **variables}
            processes.append(subprocess.Popen([sys.executable, *script], env=environment))
        failed = _first_failure(processes, helpers)
        if failed is not None:
            who = [*range(len(processes)), *given["helpers"]][failed]
            Path(file).with_name(ENDED_FIRST).write_text(json.dumps(who), encoding="utf-8")
        _wait(processes if failed is not None else helpers)
        return 0 if failed is None else 1
    finally:
        for process in (*processes, *helpers):
            if process.poll() is None:
                process.kill()
                process.wait()


def _first_failure(
    processes: Sequence[subprocess.Popen[bytes]], helpers: Sequence[subprocess.Popen[bytes]]
) -> int | None:
    """Wait until all processes have ended, or one of all has failed. Return its number: the rank of a
    process, or a number after all ranks for a helper.
    """
    while True:
        states = [process.poll() for process in (*processes, *helpers)]
        for number, status in enumerate(states):
            if status:
                return number
        if None not in states[: len(processes)]:
            return None
        time.sleep(LOOK_EVERY)


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Give all of them `GRACE` seconds to end."""
    ends = time.monotonic() + GRACE
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, ends - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
