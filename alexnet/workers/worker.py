"""The program of a worker process, which `alexnet.workers.processes` starts.

A worker reads a `Job` as one line of JSON from standard input. It writes events to standard output, one
JSON object per line (see `alexnet.workers.events`). Everything that a framework prints goes to standard
error. The worker exits when its input is closed. It needs only NumPy, safetensors and its framework.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from alexnet import backends
from alexnet.backends import Backend, BoundNet
from alexnet.backends.nets import build
from alexnet.backends.world import World
from alexnet.errors import AlexNetError, RunError
from alexnet.json_values import to_json
from alexnet.parity.check import SELF_TEST, parity
from alexnet.train import epochs_on
from alexnet.training.history import History
from alexnet.training.loop import fraction_right, softmax
from alexnet.training.recipes import net_for
from alexnet.workers.examine import examine
from alexnet.workers.job import Job, initial_logits
from alexnet.workers.machine import describe

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # parameters of mallopt(3)
PR_SET_PDEATHSIG, SIGKILL = 1, 9  # from prctl(2) and signal(7), Linux


class EventCallback:
    """A callback that sends the progress of a run as events, at most one per ``INTERVAL`` seconds."""

    INTERVAL = 0.25  # seconds

    def __init__(self, send: Any) -> None:
        self.send = send
        self.sent = 0.0  # time of the last event
        self.forget_answers()

    def begin(self, history: History, steps: int | None) -> None:
        self.steps, self.before = steps, len(history.steps)  # in total, before a resume
        self.told = len(history.steps)  # steps already sent
        self.send("begin", steps=steps, history=history.to_dict())

    def step(self, history: History) -> None:
        done = len(history.steps)
        if self.classes:  # a new epoch has begun
            self.forget_answers()
        if time.monotonic() - self.sent < self.INTERVAL and done != self.steps:
            return
        self.sent = time.monotonic()
        timed = done - self.before - 1  # steps without the first, which is slower
        left = history.timed_seconds / timed * (self.steps - done) if timed and self.steps else None
        self.send(
            "step",
            done=done,
            steps=to_json(history.steps[self.told :]),
            loss=history.steps[-1]["loss"],
            examples_per_sec=history.examples_per_sec,
            seconds_left=left,
        )
        self.told = done

    def forget_answers(self) -> None:
        self.classes: list[int] = []  # the net's answer to each test image
        self.probabilities: list[float] = []  # of that class, in [0, 1]

    def test(self, history: History, logits: np.ndarray) -> None:
        self.classes += logits.argmax(axis=1).tolist()
        self.probabilities += softmax(logits).max(axis=1).round(4).tolist()
        if time.monotonic() - self.sent >= self.INTERVAL:
            self.sent = time.monotonic()
            self.send("test")

    def epoch(self, history: History) -> None:
        self.send("epoch", done=len(history.epochs), epoch=to_json(asdict(history.last)))

    def end(self, history: History) -> None:
        pass


def run(job: Job, send: Any) -> None:
    """Do the job and send its events. ``send(kind, **fields)`` sends one event."""
    if job.kind == "examine":
        send("examined", **examine(job.backend))
        return
    _, device = introduce(job.backend, job.device, send)
    if job.kind == "report":
        return
    shape = job.load_data()[0].image_shape
    net = build(job.model, job.backend, job.seed, input_shape=shape, device=device)
    send("initial_logits", logits=initial_logits(job, BoundNet.of(net)).tolist())
    del net  # train_ch6 builds the same net again from the seed
    if job.checkpoint is None or not Path(job.checkpoint).exists():
        job = replace(job, resume=False)
    if job.processes > 1:
        _train_in_processes(job, send)
    else:
        train(job, send)
    (found,) = parity(net_for(job.model, job.recipe).net, [job.backend], SELF_TEST)
    send("parity", figures=to_json(asdict(found)))


def train(job: Job, send: Any) -> None:
    """Train the net of a job, and send the result and the answers.

    All processes of a data-parallel run do this at the same time, and process 0 sends. Then the peak memory
    is the sum of theirs.
    """
    train_iter, test_iter = job.load_data()
    if job.backend == backends.REFERENCE and job.recipe.numpy_batches:
        whole = len(train_iter)
        train_iter = replace(train_iter, max_batches=job.recipe.numpy_batches)
        if len(train_iter) < whole:  # its answers cannot be compared, so a few are enough
            test_iter = replace(test_iter, max_batches=1)
    callback = EventCallback(send)
    history = job.train(train_iter, test_iter, callback)
    net = BoundNet.of(history.net)
    world = World.of(net)
    peak = net.backend.peak_gpu_memory(net.device) or peak_host_memory() or 0
    # `train_ch6` calls the callback in process 0 alone.
    peak, answers = map(int, world.total([peak, len(callback.classes)]))
    send("result", history=history.to_dict(), peak_memory=peak or None)
    if not answers:  # the run had finished before it was resumed
        predict, seen = partial(net.backend.predict, net.native), partial(callback.test, history)
        fraction_right(predict, epochs_on(test_iter, net, world)(0), seen, world)
    send("answers", classes=callback.classes, probabilities=to_json(callback.probabilities))


def _train_in_processes(job: Job, send: Any) -> None:
    """Train in several processes of this machine, which run `take_part`. Sends the events of process 0."""
    try:
        from alexnet.workers import parallel
    except ModuleNotFoundError as error:  # a worker's environment may lack psutil
        raise RunError(
            f"several processes need the package {error.name}; install it for {sys.executable}"
        ) from None
    # `alexnet.workers.processes` ends this worker by SIGTERM. Then `parallel.run` ends the processes.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parallel.run(job, job.processes, __name__, lambda event: send(event.pop("event"), **event))


def take_part(text: str, member: Any) -> None:
    """Train in one process of a run. ``member``: a `alexnet.workers.member.Member`."""

    def ignore(event: str, **fields: Any) -> None:
        pass

    train(Job.from_json(text), ignore if member.rank else member.send)


def introduce(name: str, device: str | None, send: Any) -> tuple[Backend, Any]:
    """Load a backend, send the ``ready`` event, and return the backend and its device."""
    backend = backends.load(name)
    found = backends.resolve_device(backend, device)
    send(
        "ready",
        pid=os.getpid(),
        version=backend.version(),
        device=str(found),
        on_gpu=backends.is_gpu(backend, found),
        machine=f"{describe()}, Python {platform.python_version()}, NumPy {np.__version__}",
        threads=os.environ.get("OMP_NUM_THREADS", ""),
    )
    return backend, found


def peak_host_memory() -> int | None:
    """Return the peak memory of this process in bytes, or None if it is unknown."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: ru_maxrss would include the parent's memory at the fork
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        with suppress(ImportError):  # psutil may be missing in a worker's environment
            import psutil

            return psutil.Process().memory_info().peak_wset
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _reserve_stdout() -> TextIO:
    """Return standard output for events only. Everything else that is printed goes to standard error."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return events


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next step, unless the user has tuned glibc's allocator.

    By default glibc returns large blocks to the system. Then every step of AlexNet gets its 187 MB of
    gradients as new pages, which the system must clear. benchmarks/settings.py measures the cost.
    """
    tuned = any(variable.startswith(("MALLOC_", "GLIBC_TUNABLES")) for variable in os.environ)
    if platform.libc_ver()[0] == "glibc" and not tuned:
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in (M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**28):
            mallopt(parameter, value)


def exit_when_input_closes() -> None:
    """Exit as soon as standard input is closed. It is closed when the parent process ends."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    """Do the `Job` that standard input gives. Returns the exit status: 0, or 1 after an error."""
    return serve(lambda text, send: run(Job.from_json(text), send))


def serve(work: Callable[[str, Any], None]) -> int:
    """Do the job that standard input gives, and return the exit status: 0, or 1 after an error.

    ``work(text, send)`` does the job in the line ``text``. ``send(kind, **fields)`` sends one event.
    """
    job = sys.stdin.readline()
    exit_when_input_closes()
    if sys.platform == "linux":  # exit with the parent even while Python cannot run the thread
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
    keep_freed_memory()
    events = _reserve_stdout()

    def send(event: str, **fields: Any) -> None:
        events.write(json.dumps({"event": event, **fields}) + "\n")

    try:
        work(job, send)
    except Exception as error:
        send("error", message=message_of(error))
        return 1
    return 0


def message_of(error: Exception) -> str:
    """Return one line that tells what went wrong. The log gets the traceback of a framework's error."""
    if isinstance(error, AlexNetError):
        message = str(error)
    else:
        traceback.print_exc()
        message = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    # The message may have a file name with bytes that are not UTF-8.
    return message.encode(errors="backslashreplace").decode()
