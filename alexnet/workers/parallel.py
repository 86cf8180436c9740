"""Starts a job in several processes of this machine, with the launcher of its framework.

The launcher starts `alexnet.workers.member` in every process. This process shows what process 0 prints. It
ends all of them if one fails, or if it is interrupted. The processes exit by themselves if this one is
killed. They use the Python of this process, and get nothing but this package from the environment of the
command (see `alexnet.workers.processes.LOAD`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Any, BinaryIO

import psutil

from alexnet import backends
from alexnet.backends import usable_cores
from alexnet.backends.engines.start import ENDED_FIRST
from alexnet.backends.timeout import timeout
from alexnet.errors import BackendError, RunError
from alexnet.workers.exchange import (
    EVENTS,
    FOLDER,
    JOB,
    OUTPUTS,
    RESULT,
    outcome_of,
    output_of,
    pulse_of,
)
from alexnet.workers.processes import LOAD, THREADS, describe_exit, users_environment

Hear = Callable[[dict[str, Any]], None] | None

LOG = "launcher.log"  # what the launcher prints
LOOK_EVERY = 0.1  # seconds
LOST = re.compile(
    "connection|peer|socket", re.IGNORECASE
)  # in what an engine says of another process
GRACE = 5.0  # seconds that the launcher has to end after a process has failed


def run(job: Any, processes: int, program: str, hear: Hear = None) -> Any:
    """Do a job in several processes of this machine, and return what process 0 returns.

    ``job`` has ``to_json``, and the fields ``backend`` and ``device``. ``program``: a module whose function
    ``take_part`` every process runs (`alexnet.workers.member`). ``hear`` gets each event of process 0. Then
    a log is written too: what all processes and the launcher print, on standard error.

    Raises RunError, with the rank of the process, if one of them fails, or if the framework sees fewer GPUs
    than processes; BackendError if the framework has no launcher that alexnet can start.
    """
    entry = backends.framework(job.backend)
    if entry.launch is None:
        raise BackendError(no_launcher(entry.title))
    if processes < 2:
        raise RunError(f"a run on several processes needs at least 2, got {processes}")
    with TemporaryDirectory(prefix="alexnet-") as name:
        folder = Path(name)
        given = {"backend": job.backend, "program": program, "job": job.to_json()}
        given["in_terminal"] = _in_terminal()
        script = folder / "member.py"
        script.write_text("import sys\nfrom alexnet.workers.member import main\nsys.exit(main())\n")
        package = f"package = {str(Path(__file__).parents[1])!r}\n{LOAD}"
        (folder / "alexnet.py").write_text(package, encoding="utf-8")
        (folder / JOB).write_text(json.dumps(given), encoding="utf-8")
        module = backends.load(job.backend)
        on_gpu = backends.is_gpu(module, backends.resolve_device(module, job.device))
        gpus = len(module.gpus())
        if on_gpu and gpus < processes:
            raise RunError(
                f"each process needs its own GPU, but {entry.title} sees {gpus} for {processes} processes; "
                "use fewer processes, or the device cpu"
            )
        launch = entry.launch(processes, folder, on_gpu)
        command = [sys.executable, *launch.command, str(script)]
        with _running(command, launch.environment, processes, folder) as launcher:
            silent = _show_until_the_end(launcher, processes, folder, hear)
            status = launcher.returncode  # None: `_running` will end it
        if hear is not None:
            with (folder / LOG).open("rb") as log:
                _copy(log, sys.stderr, "launcher: ")
        if (folder / RESULT).exists():
            # Process 0 writes it when all processes have come to the end. Later, an engine may still fail
            # while Python exits, which changes no result.
            return json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if silent:
            who = " and ".join(map(str, silent))
            raise RunError(f"process {who} of {processes} did not answer for {timeout():g} s")
        raise RunError(_problem(status, processes, folder))


def no_launcher(title: str) -> str:
    """Return the message that a framework cannot have several processes, which names those that can."""
    able = ", ".join(f.name for f in backends.FRAMEWORKS.values() if f.launch is not None)
    return f"alexnet cannot start several processes of {title}; it can with {able}"


@contextmanager
def _running(
    command: list[str], environment: Any, processes: int, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the launcher. Afterwards nothing that it has started is running."""
    threads = str(max(1, usable_cores() // processes))
    variables = {
        **dict.fromkeys(THREADS, threads),
        **users_environment(),
        **environment,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
        "PYTHONSAFEPATH": "1",  # import nothing from the working directory
        "COLUMNS": str(os.get_terminal_size(2).columns if _in_terminal() else 80),
        FOLDER: str(folder),
    }
    with (folder / LOG).open("wb") as log:
        launcher = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # stays open: the processes exit when it closes
            stdout=log,
            stderr=log,
            env=variables,
            start_new_session=True,  # Ctrl-C reaches only this process
        )
    try:
        yield launcher
    finally:
        _end(launcher)


def _show_until_the_end(
    launcher: subprocess.Popen[bytes], processes: int, folder: Path, hear: Hear
) -> list[int]:
    """Copy the output of process 0 to this process's, until the launcher ends or a process fails.

    ``hear`` gets its events. If it is given, the output of the others goes to standard error.

    Return the ranks of processes that hang.
    """
    pulses = [_Pulse(pulse_of(folder, rank)) for rank in range(processes)]
    shown = [(output_of(folder, 0, name), getattr(sys, name), "") for name in OUTPUTS]
    if hear is not None:
        for rank in range(1, processes):
            files = (output_of(folder, rank, name) for name in OUTPUTS)
            shown += [(file, sys.stderr, f"process {rank}: ") for file in files]
    with ExitStack() as stack:

        def opened(file: Path) -> BinaryIO:
            file.touch()
            return stack.enter_context(file.open("rb"))

        outputs = [(opened(file), to, who) for file, to, who in shown]
        events = opened(folder / EVENTS)
        told = b""  # of an event whose line is not complete
        ended = failed_at = None
        while ended is None:
            ended = launcher.poll()
            for output, to, who in outputs:
                _copy(output, to, who)
            *lines, told = (told + events.read()).split(b"\n")
            for event in map(json.loads, lines):
                if hear is not None:
                    hear(event)
            dead = [rank for rank, pulse in enumerate(pulses) if pulse.has_ended()]
            outcomes = _outcomes(processes, folder)
            killed = [rank for rank in dead if rank not in outcomes]
            if failed_at is None and (killed or any("error" in o for o in outcomes.values())):
                failed_at = time.monotonic()
                if len(killed) == 1 and not (folder / ENDED_FIRST).exists():
                    (folder / ENDED_FIRST).write_text(json.dumps(killed[0]), encoding="utf-8")
            if failed_at is not None and (
                len(dead) == processes or time.monotonic() - failed_at > GRACE
            ):
                break
            silent = [rank for rank, pulse in enumerate(pulses) if pulse.has_stopped()]
            if silent and failed_at is None:
                return silent
            if ended is None:
                time.sleep(LOOK_EVERY)
    return []


class _Pulse:
    """The signs of life that a process writes."""

    def __init__(self, file: Path) -> None:
        self.file, self.last, self.silent = file, 0, 0.0  # silent: seconds
        self.looked, self.limit = time.monotonic(), timeout()

    def has_ended(self) -> bool:
        """Return whether the process has ended. A launcher may notice it much later."""
        try:
            status = psutil.Process(int(self.file.read_text())).status()
        except (OSError, ValueError):  # no sign of life yet
            return False
        except psutil.NoSuchProcess:
            return True
        return bool(status == psutil.STATUS_ZOMBIE)

    def has_stopped(self) -> bool:
        """Return whether the process has been silent too long since its first sign of life."""
        now, last = time.monotonic(), self.file.stat().st_mtime_ns if self.file.exists() else 0
        # If this process was suspended, so were perhaps the others: count a long pause as one second.
        self.silent += min(now - self.looked, 1.0)
        if last != self.last or not last:
            self.silent = 0.0
        self.looked, self.last = now, last
        return self.silent > self.limit


def _copy(source: BinaryIO, to: Any, who: str) -> None:
    """Copy what is new in a file. Each line begins with ``who``."""
    text = source.read().decode(errors="replace")
    if text:
        to.write(indent(text, who))
        to.flush()


def _end(launcher: subprocess.Popen[bytes]) -> None:
    """End the launcher and all its processes."""
    tree = []
    with suppress(psutil.NoSuchProcess):
        tree = psutil.Process(launcher.pid).children(recursive=True)
    assert launcher.stdin is not None
    with suppress(BrokenPipeError):
        launcher.stdin.close()
    launcher.terminate()
    _, alive = psutil.wait_procs(tree, timeout=1)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    try:
        launcher.wait(GRACE)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()


def _outcomes(processes: int, folder: Path) -> dict[int, dict[str, Any]]:
    """Return how each process ended that has said it."""
    files = {rank: outcome_of(folder, rank) for rank in range(processes)}
    return {
        rank: json.loads(file.read_text(encoding="utf-8"))
        for rank, file in files.items()
        if file.exists()
    }


def _problem(status: int | None, processes: int, folder: Path) -> str:
    """Return one sentence: which process failed, and why. ``status``: of the launcher, if it has exited."""
    outcomes = _outcomes(processes, folder)
    errors = {rank: o["error"] for rank, o in outcomes.items() if "error" in o and not o["lost"]}
    if errors:
        rank, message = min(errors.items())
        alike = list(errors.values()).count(message) == processes
        names_one = message.startswith("process ")
        return message if alike or names_one else f"process {rank} of {processes}: {message}"
    silent = [rank for rank in range(processes) if rank not in outcomes]
    if len(silent) == processes and status is not None and status < 0:
        return f"the launcher of the processes was {describe_exit(status)}"
    if silent and pulse_of(folder, silent[0]).exists():
        failed = folder / ENDED_FIRST
        if failed.exists():
            first_to_fail = json.loads(failed.read_text(encoding="utf-8"))
            if isinstance(first_to_fail, str):  # a helper
                return f"{first_to_fail} was killed or did not answer"
            silent = [first_to_fail] if first_to_fail in silent else silent
        words = {rank: _last_words(folder, rank) for rank in silent}
        # Some engines end a process that has lost the connection to another one.
        first = [rank for rank in silent if not LOST.search(words[rank])] or silent
        who, said = " and ".join(map(str, first)), words[first[0]]
        ending = f"{'was' if len(first) == 1 else 'were'} killed or did not answer"
        return f"process {who} of {processes} {ending}{f' ({said})' if said else ''}"
    if silent:
        log = (folder / LOG).read_text(encoding="utf-8", errors="replace")
        last = next((x for x in reversed(log.splitlines()) if x.strip()), "no message")
        return f"the processes did not start: {last.strip()}"
    lost = (o["error"] for o in outcomes.values() if "error" in o)
    return next(lost, "the processes were stopped")


def _last_words(folder: Path, rank: int) -> str:
    """Return the last line that a process printed on standard error, or ""."""
    with suppress(OSError):
        text = output_of(folder, rank, "stderr").read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
        return lines[-1][:200] if lines else ""
    return ""


def _in_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
