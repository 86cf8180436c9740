"""The folders of runs."""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path

from alexnet.errors import RunError


def new_folder(what: str, out: Path | None = None) -> Path:
    """Create and return the folder ``out``, or by default ``runs/<what>-<time>``.

    The default is a folder that no other run uses, even one that starts in the same second. ``out`` may
    exist already. Raises RunError if the folder cannot be created.
    """
    name = f"{what}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in itertools.count(1):
        folder = out or Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=out is not None)
        except FileExistsError:
            if out is None:
                continue
            raise RunError(f"{folder}: must be a folder, got a file") from None
        except OSError as error:
            raise RunError(f"{folder}: cannot create the run's folder ({error.strerror})") from None
        return folder
    raise AssertionError("itertools.count never ends")
