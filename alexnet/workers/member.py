"""The program of one process of a data-parallel run, which `alexnet.workers.parallel` starts.

It finds its job in a folder, and the name of a module, whose function ``take_part(text, member)`` does the
job. ``text`` is the job's JSON. What a process prints goes to files in the folder. So does how it ended:
``done``, or the message of an error. Process 0 also writes its events, and what ``take_part`` returned.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.errors import LostProcessError
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
from alexnet.workers.worker import exit_when_input_closes, keep_freed_memory, message_of


@dataclass(frozen=True)
class Member:
    """A process of a run, as its program sees it."""

    rank: int
    folder: Path  # which it shares with the process that started the run
    in_terminal: bool  # whether a terminal shows what process 0 prints

    def send(self, event: str, **fields: Any) -> None:
        """Send an event to the process that started the run."""
        with (self.folder / EVENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **fields}) + "\n")


def _beat(file: Path) -> None:
    file.write_text(str(os.getpid()))
    while True:
        file.touch()
        time.sleep(1.0)


def _write(file: Path, value: Any) -> None:
    """Write a file that other processes never see half-written."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(value), encoding="utf-8")
    new.replace(file)


def main() -> int:
    """Take part in the run. Returns the exit status."""
    exit_when_input_closes()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    keep_freed_memory()
    folder = Path(os.environ[FOLDER])
    given = json.loads((folder / JOB).read_text(encoding="utf-8"))
    place = backends.framework(given["backend"]).place()
    if place is None:
        raise SystemExit("the launcher has not given this process its place")
    for number, name in enumerate(OUTPUTS, 1):
        with output_of(folder, place.rank, name).open("ab") as file:
            os.dup2(file.fileno(), number)
    threading.Thread(target=_beat, args=(pulse_of(folder, place.rank),), daemon=True).start()
    outcome: dict[str, Any] = {"stopped": True}
    try:
        program = import_module(given["program"])
        result = program.take_part(given["job"], Member(place.rank, folder, given["in_terminal"]))
        if not place.rank:
            _write(folder / RESULT, result)
        outcome = {"done": True}
    except Exception as error:
        outcome = {"error": message_of(error), "lost": isinstance(error, LostProcessError)}
    finally:
        _write(outcome_of(folder, place.rank), outcome)
    return 0 if "done" in outcome else 1
