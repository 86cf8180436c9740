"""The files that the processes of a data-parallel run share with the process that started them."""

from __future__ import annotations

from pathlib import Path

FOLDER = "ALEXNET_RUN_FOLDER"
"""Environment variable: the folder that has these files."""
JOB, EVENTS, RESULT = "job.json", "events.jsonl", "result.json"
OUTPUTS = ("stdout", "stderr")


def output_of(folder: Path, rank: int, name: str) -> Path:
    """Return the file that has a process's standard output or standard error."""
    return folder / f"{rank}.{name}"


def outcome_of(folder: Path, rank: int) -> Path:
    """Return the file that says how a process ended. A process that was killed has none."""
    return folder / f"{rank}.json"


def pulse_of(folder: Path, rank: int) -> Path:
    """Return the file with a process's id. Its time of change says when the process last gave a sign of
    life.
    """
    return folder / f"{rank}.pulse"
