"""The folder of a run: a new one for each run, with one writer at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from alexnet.errors import RunError

LOCK = ".lock"


def new_folder(
    title: str,
    out: Path | None,
    files: Sequence[str] = (),
    holds: str = "",
    advice: str = "",
) -> Path:
    """Create and return a folder that no other run uses, even one that starts in the same second.

    The folder is ``out``, or ``runs/<title>-<time>`` if ``out`` is None. Raises RunError if the folder
    cannot be created, or if it has one of ``files``. Then the message says what it ``holds`` and gives the
    ``advice``, in which ``{folder}`` stands for the folder.

    >>> import tempfile
    >>> folder = new_folder("lenet", Path(tempfile.mkdtemp()), ["a.json"], "a run", "use {folder}/b")
    >>> (folder / "a.json").touch()
    >>> new_folder("lenet", folder, ["a.json"], "a run", "use {folder}/b")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    alexnet.errors.RunError: ...: already holds a run; use .../b
    """
    name = f"{title}-{datetime.now():%Y%m%d-%H%M%S}"
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
        if any((folder / file).exists() for file in files):
            raise RunError(f"{folder}: already holds {holds}; {advice.format(folder=folder)}")
        return folder
    raise AssertionError("itertools.count never ends")


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder's lock in the block, so that only one process writes to the folder.

    Raises RunError if another process holds the lock, or if the block cannot write to the folder.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise RunError(f"{folder}: another process is running this {what}") from None
    except OSError as error:
        raise RunError(
            f"{folder}: cannot write to the folder ({error.strerror or error})"
        ) from None
