"""Starts worker processes, reads what they send, and always ends them.

A worker that fails costs only its own row: it may be killed, crash, run out of memory, fall silent or send
lines that are not events. It runs in a session of its own, so that Ctrl-C reaches this process alone. It
ends by itself when this process is gone.
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
from alexnet.workers.job import Job

LOG_LINES, LOG_LINE, LOG_TAIL = 3, 200, 10_000  # of a worker that died: lines, characters, bytes
LINES_AHEAD, LONGEST_LINE = 1000, 2**26  # that are read before they are needed; characters of one
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")

# Another environment has its own NumPy, so of this one's folders it gets to see this package only.
LAUNCH = """
import sys
sys.path[:] = [folder for folder in sys.path if folder]  # the working directory's files are no modules
if sys.version_info < (3, 11):
    message = f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 is needed"
    print(json.dumps({"event": "error", "message": message}))
    sys.exit(1)
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location(
    "alexnet", sys.argv[1] + "/__init__.py", submodule_search_locations=[sys.argv[1]]
)
sys.modules["alexnet"] = package = module_from_spec(spec)
spec.loader.exec_module(package)
from alexnet.workers.worker import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Task:
    """A job, the interpreter that does it, and the file for its log."""

    job: Job
    python: str
    log: Path | None = None


def run(
    tasks: Sequence[Task], timeout: float, parallel: int = 1
) -> Generator[tuple[Task, dict[str, Any]]]:
    """Do tasks, ``parallel`` of them at a time, and give each with its events as they come.

    A task's first event is ``start``, its last ``end``, whose ``problem`` says how it died, if it did,
    and whose ``said`` are the last lines of its log. Each worker gets its share of the cores as
    threads, unless the user has set them; and where several run, a GPU of its own, unless the job
    names a device. A worker that says nothing for ``timeout`` seconds is ended. Close the generator,
    and no worker is left.
    """
    waiting, running = list(tasks), list[_Worker]()
    lines: Queue[tuple[_Worker, str]] = Queue(LINES_AHEAD)
    threads = max(1, usable_cores() // max(1, min(parallel, len(tasks))))
    gpus = set(range(parallel))  # that no worker has
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                task = waiting.pop(0)
                yield task, {"event": "start"}
                gpu = min(gpus.difference(worker.gpu for worker in running))
                try:
                    running.append(_Worker(task, threads, gpu, parallel > 1, lines))
                except OSError as error:
                    problem = f"{task.python} or {task.log} cannot be opened ({error.strerror})"
                    yield task, _end(problem, [])
            for worker, event in _next_events(running, lines, timeout):
                if event["event"] == "end":
                    running.remove(worker)
                yield worker.task, event
    finally:
        for worker in running:
            worker.end("broken off")


def _next_events(
    running: list[_Worker], lines: Queue[tuple[_Worker, str]], timeout: float
) -> Iterator[tuple[_Worker, dict[str, Any]]]:
    """Wait for the next line of any worker, at most ``timeout`` seconds for each."""
    if not running:
        return
    longest_silent = min(running, key=lambda worker: worker.last_line_at)
    left = longest_silent.last_line_at + timeout - time.monotonic()
    try:
        try:
            worker, line = lines.get(timeout=max(0.0, left))
        except Empty:  # if this process was itself stopped for a while, there may be something now
            worker, line = lines.get(timeout=1.0)
    except Empty:
        yield (
            longest_silent,
            _end(
                longest_silent.end(f"said nothing for {timeout:g} s"),
                longest_silent.last_log_lines(),
            ),
        )
        return
    if worker not in running:  # ended meanwhile
        return
    worker.last_line_at = time.monotonic()
    event = parse_event(line)
    if event is not None:
        yield worker, event
        return
    if line.endswith("\n") or len(line) >= LONGEST_LINE:
        problem = worker.end(f"sent a line that is not an event: {line.strip()[:60]!r}")
    else:  # it has closed its side, perhaps within a line
        problem = worker.end()
    yield worker, _end(problem, worker.last_log_lines())


def _end(problem: str, said: list[str]) -> dict[str, Any]:
    return {"event": "end", "problem": problem, "said": said}


class _Worker:
    """A running process."""

    def __init__(
        self,
        task: Task,
        threads: int,
        gpu: int,
        shared: bool,
        lines: Queue[tuple[_Worker, str]],
    ) -> None:
        self.task, self.gpu, self.last_line_at = task, gpu, time.monotonic()
        job = task.job
        if shared and job.device is None:
            job = replace(job, device=TRY_GPU.format(gpu))
        with (task.log or Path(os.devnull)).open("a") as log:
            self.log_before = log.tell()  # of an earlier attempt
            self.process = subprocess.Popen(
                [task.python, "-c", LAUNCH, str(Path(__file__).parent.parent)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                errors="replace",
                env={**dict.fromkeys(THREADS, str(threads)), **_users_environment()},
                start_new_session=True,
            )
        with suppress(BrokenPipeError):  # it died at once; its exit status will say how
            assert self.process.stdin is not None
            self.process.stdin.write(job.to_json() + "\n")
            self.process.stdin.flush()  # and left open: when it closes, the worker ends
        threading.Thread(target=self._listen, args=(lines,), daemon=True).start()

    def _listen(self, lines: Queue[tuple[_Worker, str]]) -> None:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline(LONGEST_LINE):
            lines.put((self, line))
        lines.put((self, ""))

    def end(self, problem: str | None = None) -> str:
        """End it and all that it has started. Returns what went wrong, by default how it died."""
        if problem is None:  # it is about to exit by itself
            try:
                self.process.wait(EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                problem = "closed its output and did not end"
        _kill_tree(self.process)
        status = self.process.wait()
        with suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        return _cause_of_death(status) if problem is None else problem

    def last_log_lines(self) -> list[str]:
        """The last lines of its log, cut to a length that fits a table."""
        if self.task.log is None:
            return []
        with suppress(OSError), self.task.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self.log_before, size - LOG_TAIL))
            said = file.read().decode(errors="replace").splitlines()
            printable = ("".join(c for c in line if c.isprintable()).strip() for line in said)
            return [line[:LOG_LINE] for line in printable if line][-LOG_LINES:]
        return []


def _kill_tree(process: subprocess.Popen[str]) -> None:
    """End a worker and all that it has started."""
    if hasattr(os, "killpg"):  # it leads a session of its own, which may outlive it
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return
    import psutil

    with suppress(psutil.NoSuchProcess):
        worker = psutil.Process(process.pid)
        for started in [*worker.children(recursive=True), worker]:
            with suppress(psutil.NoSuchProcess):
                started.terminate()  # on Windows this cannot be refused


def _users_environment() -> dict[str, str]:
    """The environment without the thread variables that this library has set for itself."""
    return {k: v for k, v in os.environ.items() if k not in THREADS or k not in backends.SET_HERE}


EXIT_SECONDS = 10  # for a worker that has closed its output; frameworks tidy up


def _cause_of_death(status: int) -> str:
    if status == 0:
        return ""
    if status > 0:
        return f"ended with exit status {status}"
    names = {s.value: s.name for s in signal.Signals}
    name = names.get(-status, f"signal {-status}")
    hint = " (as when memory runs out)" if name == "SIGKILL" else ""
    return f"killed by {name}{hint}"
