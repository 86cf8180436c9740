"""Loading a backend. Every import of a framework goes through `load` first.

It sets the threads, and handles the known problems between frameworks.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from alexnet.backends.entry import Framework, has_module
from alexnet.backends.interface import Backend
from alexnet.backends.mxnet_startup import usable_cores
from alexnet.backends.registry import FRAMEWORKS, framework
from alexnet.errors import BackendError, MissingBackendError, last_line

SET_HERE: set[str] = set()
"""Variables of threads that this library has set for its own process. Workers do not inherit them."""


def installed(name: str) -> bool:
    """Whether the framework can be found, without importing it."""
    return has_module(framework(name).module)


def load(name: str) -> Backend:
    """Import a backend and its framework. Raises BackendError if it is unknown or cannot be imported.

    >>> load("numpy").cpu()
    'cpu'
    """
    place = f"alexnet.backends.{name}"
    module: Any  # mypy cannot know which; conformance.py has it check each
    if name in FRAMEWORKS and place in sys.modules:
        module = importlib.import_module(place)
        return module
    entry = framework(name)
    if not installed(name):
        raise MissingBackendError(
            f"{entry.title} is not installed; {entry.install_command} in the project's folder installs it"
        )
    chatter = _MutedStderr(sys.stderr)
    try:
        with _import_lock, contextlib.redirect_stderr(chatter), _muted_stderr():
            prepare(name)
            module = importlib.import_module(place)
            return module
    except BackendError:
        raise
    except Exception as error:  # frameworks fail in many ways: missing libraries, other versions
        raise BackendError(
            f"{entry.title} is installed but cannot be imported: {last_line(error)}"
        ) from error
    finally:
        chatter.muted = False


def prepare(name: str) -> None:
    """Prepare this process for the import of a framework, by this library or by the user.

    Raises BackendError where importing it would kill Python.
    """
    entry = framework(name)
    _set_defaults(entry)
    entry.before_import()


def _set_defaults(entry: Framework) -> None:
    """Set the variables that a framework reads when it is imported, unless the user has set them.

    Without OMP_NUM_THREADS MXNet and Paddle take half the cores or one, which halves their speed. So it
    is set to all cores that this process may use.
    """
    if entry.module not in sys.modules:
        if "OMP_NUM_THREADS" not in os.environ:
            os.environ["OMP_NUM_THREADS"] = str(usable_cores())
            SET_HERE.add("OMP_NUM_THREADS")
        for variable, value in entry.environment.items():
            os.environ.setdefault(variable, value)


_import_lock = threading.RLock()  # all threads share standard error


class _MutedStderr(io.TextIOBase):
    """Standard error that drops what a framework prints while it is imported.

    Logging handlers that are made meanwhile keep it. So afterwards it passes text on.
    """

    def __init__(self, real: TextIO | None) -> None:
        self.real, self.muted = real, True

    def write(self, text: str) -> int:
        return len(text) if self.muted or self.real is None else self.real.write(text)

    def flush(self) -> None:
        if self.real is not None:
            self.real.flush()


@contextlib.contextmanager
def _muted_stderr() -> Iterator[None]:
    """The same for what a framework's compiled code writes, which is shown if the import fails."""
    try:
        said, real = tempfile.TemporaryFile(), os.dup(2)  # noqa: SIM115  (closed below)
    except OSError:  # there is no standard error, or no room for a file
        yield
        return
    with said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(real, said.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
