"""The program of one process of a data-parallel run, which `alexnet.workers.parallel` starts.

It finds its job in a folder. What it prints goes to files there, and so does how it ended: ``done``, or the
message of an error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.errors import LostProcessError
from alexnet.training.callbacks import ProgressBar, Silent
from alexnet.workers.job import Job
from alexnet.workers.worker import exit_when_input_closes, keep_freed_memory, message_of

FOLDER = "ALEXNET_RUN_FOLDER"
"""Environment variable: the folder that the processes of a run share with the process that started them."""
JOB, HISTORY = "job.json", "history.json"
OUTPUTS = ("stdout", "stderr")


def output_of(folder: Path, rank: int, name: str) -> Path:
    """Return the file that has a process's standard output or standard error."""
    return folder / f"{rank}.{name}"


def outcome_of(folder: Path, rank: int) -> Path:
    """Return the file that says how a process ended. A process that was killed has none."""
    return folder / f"{rank}.json"


def pulse_of(folder: Path, rank: int) -> Path:
    """Return the file whose time of change says when a process last gave a sign of life."""
    return folder / f"{rank}.pulse"


def _beat(file: Path) -> None:
    while True:
        file.touch()
        time.sleep(1.0)


def train(job: Job, shown: bool, history_file: Path) -> None:
    """Do the job; process 0 shows it and writes the history."""
    place = backends.framework(job.backend).place()
    assert place is not None
    train_iter, test_iter = job.load_data()
    history = job.train(train_iter, test_iter, Silent() if place.rank else ProgressBar(shown))
    if not place.rank:
        history.save(history_file)


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
        train(Job.from_json(json.dumps(given["job"])), given["shown"], folder / HISTORY)
        outcome = {"done": True}
    except Exception as error:
        outcome = {"error": message_of(error), "lost": isinstance(error, LostProcessError)}
    finally:
        new = outcome_of(folder, place.rank).with_suffix(".new")
        new.write_text(json.dumps(outcome), encoding="utf-8")
        new.replace(outcome_of(folder, place.rank))
    return 0 if "done" in outcome else 1
