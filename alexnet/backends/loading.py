"""Loading a backend: its framework is imported here and nowhere else.

The order of imports, the threads and the traps between frameworks are handled on the way.
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

from alexnet.backends.framework import Framework, has_module
from alexnet.backends.interface import Backend
from alexnet.backends.mxnet_startup import usable_cores
from alexnet.backends.registry import framework
from alexnet.errors import BackendError, MissingBackendError, last_line

SET_HERE: set[str] = set()
"""Variables that hold this library's own choice of threads, which is not for other processes."""


def installed(name: str) -> bool:
    """Whether the framework can be found, without importing it."""
    return has_module(framework(name).module)


def load(name: str) -> Backend:
    """Import a backend and its framework. Raises BackendError if it is unknown or cannot be had.

    >>> load("numpy").cpu()
    'cpu'
    """
    entry = framework(name)
    if not installed(name):
        raise MissingBackendError(
            f"{entry.title} is not installed; {entry.install_command} in the project's folder installs it"
        )
    place = f"alexnet.backends.{name}"
    module: Any  # mypy cannot see which; alexnet/backends/conformance.py shows it each of them
    if place in sys.modules:
        module = importlib.import_module(place)
        return module
    chatter = _Chatter(sys.stderr)
    try:
        with _importing, contextlib.redirect_stderr(chatter), _muted_stderr():
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
    """What must be done in this process before the framework is imported, here or by a reader.

    Raises BackendError where importing it would kill Python.
    """
    entry = framework(name)
    _set_defaults(entry)
    entry.before_import()


def _set_defaults(entry: Framework) -> None:
    """Environment that a framework reads once, when it is imported; never over the user's own.

    Threads: MXNet and Paddle take half the cores or one unless OMP_NUM_THREADS says otherwise, which
    halves their speed; so it says: as many as this process may use.
    """
    if entry.module not in sys.modules:
        if "OMP_NUM_THREADS" not in os.environ:
            os.environ["OMP_NUM_THREADS"] = str(usable_cores())
            SET_HERE.add("OMP_NUM_THREADS")
        for variable, value in entry.environment.items():
            os.environ.setdefault(variable, value)


_importing = threading.RLock()  # standard error is the whole process's


class _Chatter(io.TextIOBase):
    """Standard error without what a framework prints while it is imported.

    Logging handlers that are made meanwhile hold on to it, so afterwards it passes everything on.
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
    """The same for what a framework's compiled code writes; told after all if the import fails."""
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
