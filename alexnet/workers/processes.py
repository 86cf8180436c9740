"""Starts worker processes, reads their events, and always ends them.

A worker may crash, be killed, run out of memory, hang, or send lines that are not events. Such a worker
fails alone: the other workers continue. Each worker runs in its own session, so Ctrl-C reaches only this
process. A worker exits automatically when this process exits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from alexnet import backends
from alexnet.backends import TRY_GPU
from alexnet.backends.mxnet_startup import usable_cores
from alexnet.workers.events import parse_event

LOG_LINES, LOG_LINE_LENGTH = 3, 200  # shown from the log of a failed worker; length in characters
LOG_TAIL = 10_000  # bytes at the end of the log that are read for these lines
QUEUE_SIZE, LONGEST_LINE = 1000, 2**26  # lines that are read ahead; characters in a line
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")

# A worker may run in another environment, with its own NumPy. So it loads only this package from here,
# by its path. No folder of this environment is added to sys.path.
LOAD = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location(
    "alexnet", package + "/__init__.py", submodule_search_locations=[package]
)
sys.modules["alexnet"] = module = module_from_spec(spec)
spec.loader.exec_module(module)
"""
LAUNCH = f"""
import sys
sys.path[:] = [folder for folder in sys.path if folder]  # import nothing from the working directory
if sys.version_info < (3, 11):
    import json
    found = sys.version.split()[0]
    message = sys.executable + " must be Python 3.11 or newer, got Python " + found
    print(json.dumps(dict(event="error", message=message)))
    sys.exit(1)
package = sys.argv[1]
{LOAD}
from alexnet.workers.worker import main
sys.exit(main())
"""
PROGRAM = "alexnet.workers.worker"  # the module in LAUNCH whose ``main`` does the job


@dataclass(frozen=True)
class Task:
    """A job, the Python interpreter that runs it, the file for its log, and the program that does it."""

    job: Any  # a `Job`, or the job of another program; it has ``to_json`` and the field ``device``
    python: str
    log: Path | None = None
    program: str = PROGRAM  # a module with a function ``main``
    threads: int | None = None  # default: a share of the cores, or what the user has set
    processes: int = 1  # which do the job and share the worker's threads


def run(
    tasks: Sequence[Task], timeout: float, parallel: int = 1
) -> Generator[tuple[Task, dict[str, Any]]]:
    """Run tasks, ``parallel`` of them at a time. Yields each event with its task as soon as it arrives.

    The first event of a task is ``start`` and the last is ``end``. In ``end``, ``problem`` is the reason
    why the worker failed (empty if it did not), and ``said`` is the list of the last lines of its log.
    The workers share the cores: each gets an equal number of threads, unless the user has set the number.
    If several workers run at a time, each gets its own GPU, unless its job names a device. A worker that
    sends nothing for ``timeout`` seconds is killed. Closing the generator kills all workers.
    """
    waiting, running = list(tasks), list[_Worker]()
    lines: Queue[tuple[_Worker, str]] = Queue(QUEUE_SIZE)
    threads = max(1, usable_cores() // max(1, min(parallel, len(tasks))))
    gpus = set(range(parallel))  # GPU numbers; this machine may have fewer GPUs
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                task = waiting.pop(0)
                yield task, {"event": "start"}
                gpu = min(gpus.difference(worker.gpu for worker in running))
                try:
                    running.append(_Worker(task, threads, gpu, parallel > 1, lines))
                except OSError as error:
                    problem = f"cannot run {task.python} or open {task.log} ({error.strerror})"
                    yield task, _end(problem, [])
            for worker, event in _next_events(running, lines, timeout):
                if event["event"] == "end":
                    running.remove(worker)
                yield worker.task, event
    finally:
        for worker in running:
            worker.end("interrupted")


def _next_events(
    running: list[_Worker], lines: Queue[tuple[_Worker, str]], timeout: float
) -> Iterator[tuple[_Worker, dict[str, Any]]]:
    """Yield the event in the next line of any worker, or ``end`` if a worker failed or timed out."""
    if not running:
        return
    longest_silent = min(running, key=lambda worker: worker.last_line_at)
    left = longest_silent.last_line_at + timeout - time.monotonic()
    try:
        try:
            worker, line = lines.get(timeout=max(0.0, left))
        except Empty:  # this process may have been suspended: wait for late lines
            worker, line = lines.get(timeout=1.0)
    except Empty:
        yield (
            longest_silent,
            _end(
                longest_silent.end(f"sent nothing for {timeout:g} s"),
                longest_silent.last_log_lines(),
            ),
        )
        return
    if worker not in running:  # it has ended; this line is late
        return
    worker.last_line_at = time.monotonic()
    event = parse_event(line)
    if event is not None:
        yield worker, event
        return
    if line.endswith("\n") or len(line) >= LONGEST_LINE:
        problem = worker.end(f"sent a line that is not an event: {line.strip()[:60]!r}")
    else:  # end of output, perhaps in the middle of a line
        problem = worker.end()
    yield worker, _end(problem, worker.last_log_lines())


def _end(problem: str, said: list[str]) -> dict[str, Any]:
    return {"event": "end", "problem": problem, "said": said}


class _Worker:
    """A running worker process."""

    def __init__(
        self,
        task: Task,
        threads: int,
        gpu: int,
        shared: bool,
        lines: Queue[tuple[_Worker, str]],
    ) -> None:
        self.task, self.gpu, self.last_line_at = task, gpu, time.monotonic()
        threads = max(1, threads // task.processes)
        job = task.job
        if shared and job.device is None:
            job = replace(job, device=TRY_GPU.format(gpu))
        of_task = dict.fromkeys(THREADS, str(task.threads)) if task.threads else {}
        with (task.log or Path(os.devnull)).open("a") as log:
            self.log_start = log.tell()  # an earlier attempt wrote the part before
            self.process = subprocess.Popen(
                [
                    task.python,
                    "-c",
                    LAUNCH.replace(PROGRAM, task.program),
                    str(Path(__file__).parent.parent),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                errors="replace",
                env={**dict.fromkeys(THREADS, str(threads)), **users_environment(), **of_task},
                start_new_session=True,
            )
        with suppress(BrokenPipeError):  # the worker has exited; `end` reports its status
            assert self.process.stdin is not None
            self.process.stdin.write(job.to_json() + "\n")
            self.process.stdin.flush()  # stays open: the worker exits when it closes
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()

    def _listen(self, lines: Queue[tuple[_Worker, str]]) -> None:
        """Put each line of output into the queue, then an empty string."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline(LONGEST_LINE):
            lines.put((self, line))
        lines.put((self, ""))

    def end(self, problem: str | None = None) -> str:
        """Kill the worker and its child processes. Returns ``problem``; default: from the exit status.

        A worker whose job has several processes gets time to end them.
        """
        if problem is None:  # its output is closed, so it is about to exit
            try:
                self.process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                problem = "closed its output but did not exit"
        if self.task.processes > 1:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(EXIT_SECONDS)
        _kill_tree(self.process)
        status = self.process.wait()
        with suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        return describe_exit(status) if problem is None else problem

    def last_log_lines(self) -> list[str]:
        """Return the last lines of the worker's log, shortened to fit in a table."""
        if self.task.log is None:
            return []
        with suppress(OSError), self.task.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self.log_start, size - LOG_TAIL))
            lines = file.read().decode(errors="replace").splitlines()
            printable = ("".join(c for c in line if c.isprintable()).strip() for line in lines)
            return [line[:LOG_LINE_LENGTH] for line in printable if line][-LOG_LINES:]
        return []


def _kill_tree(process: subprocess.Popen[str]) -> None:
    """Kill a worker and its child processes."""
    if hasattr(os, "killpg"):  # kill the worker's session, which may outlive the worker
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return
    import psutil

    with suppress(psutil.NoSuchProcess):
        worker = psutil.Process(process.pid)
        for target in [*worker.children(recursive=True), worker]:
            with suppress(psutil.NoSuchProcess):
                target.terminate()  # on Windows a process cannot ignore this


def users_environment() -> dict[str, str]:
    """Return the environment without the thread variables that alexnet set for this process."""
    return {k: v for k, v in os.environ.items() if k not in THREADS or k not in backends.SET_HERE}


EXIT_SECONDS = 10  # time to exit after a worker closed its output; frameworks clean up


def describe_exit(status: int) -> str:
    """Return why a worker with this exit status failed, or an empty text for status 0."""
    if status == 0:
        return ""
    if status > 0:
        return f"ended with exit status {status}"
    names = {s.value: s.name for s in signal.Signals}
    name = names.get(-status, f"signal {-status}")
    hint = " (perhaps out of memory)" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"
