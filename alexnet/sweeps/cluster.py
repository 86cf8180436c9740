"""Runs tasks on a Dask cluster, each in a worker process on the machine of a Dask worker.

Dask decides which machine does which run. If a Dask worker dies, Dask does its run again on another one.
This process alone writes the sweep's folder: the results come back as events.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributed

from alexnet._version import __version__
from alexnet.backends import usable_cores
from alexnet.comparison.filling import Events
from alexnet.errors import RunError, last_line
from alexnet.workers import processes
from alexnet.workers.job import Job

CONNECT_SECONDS = 30
LIVE = ("step", "test")  # events that only show progress; they do not come back


def connect(address: str) -> Callable[[Sequence[processes.Task], float, int], Events]:
    """Return a function that runs tasks on the cluster of a scheduler, as `processes.run` does here.

    Raises RunError if the scheduler does not answer. The events of a task come all at once, when it ends.
    """
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"scheduler {address}: cannot connect to it ({last_line(error)})") from None

    def run(tasks: Sequence[processes.Task], timeout: float, parallel: int) -> Events:
        with client:
            futures = {
                client.submit(
                    do, task.job.to_json(), task.python, timeout, __version__, pure=False
                ): task
                for task in tasks
            }
            for future in distributed.as_completed(futures, loop=client.loop):
                task = futures[future]
                yield task, {"event": "start"}
                for event in _events_of(future):
                    yield task, event

    return run


def _events_of(future: Any) -> list[dict[str, Any]]:
    """Return the events of a task that Dask has ended: its process's events, or why it has none."""
    if future.status == "finished":
        events: list[dict[str, Any]] = future.result()
        return events
    why = "the scheduler is gone or has cancelled the run"
    if future.status == "error":
        error = future.exception()
        why = f"Dask: {type(error).__name__}: {last_line(error)}"
    return [{"event": "end", "problem": why, "said": []}]


def do(job: str, python: str, timeout: float, version: str) -> list[dict[str, Any]]:
    """Do a job in a process on this machine, and return its events. A Dask worker calls this function.

    ``python``: the interpreter; empty: the Dask worker's own. The process gets as many threads as Dask has
    set (``OMP_NUM_THREADS``), or a share of the cores. It is killed if the run is no longer wanted, because
    the sweep was interrupted.
    """
    if version != __version__:
        why = f"this Dask worker has alexnet {__version__}, but the sweep needs {version}"
        return [{"event": "end", "problem": why, "said": []}]
    worker, began, found = distributed.get_worker(), time.monotonic(), []
    key = worker.get_current_task()
    given = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(given) if given.isdigit() else max(1, usable_cores() // worker.state.nthreads)
    with tempfile.TemporaryDirectory() as folder:
        here = replace(Job.from_json(job), checkpoint=str(Path(folder) / "run.safetensors"))
        log = Path(folder) / "log"
        task = processes.Task(here, python or sys.executable, log, threads=threads)
        with closing(processes.run([task], timeout)) as events:
            for _, event in events:
                if event["event"] not in ("start", *LIVE):
                    found.append(event)
                doing = worker.state.tasks.get(key)
                if doing is None or doing.state == "cancelled":
                    return []
    found[-1]["seconds"] = time.monotonic() - began
    return found
