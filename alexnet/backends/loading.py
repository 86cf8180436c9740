"""Load a backend. Every import of a framework goes through `load`.

`load` sets the number of threads and works around the known conflicts between frameworks.
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
from alexnet.backends.timeout import timeout
from alexnet.errors import BackendError, MissingBackendError, last_line

SET_HERE: set[str] = set()
"""Names of thread variables that this library set in its own process. Workers do not inherit them."""


def installed(name: str) -> bool:
    """Return whether a backend's framework is installed. Does not import it.

    Raises BackendError for an unknown backend.
    """
    return has_module(framework(name).module)


def require_installed(name: str) -> None:
    """Raise MissingBackendError, with the command that installs it, unless a framework is installed."""
    if not installed(name):
        entry = framework(name)
        raise MissingBackendError(f"{entry.title} is {entry.missing}")


def load(name: str) -> Backend:
    """Import a backend and its framework, and return the backend.

    In a data-parallel run, this also joins the other processes if the framework must do so before anything
    else (`Framework.joins_first`).

    Raises MissingBackendError if the framework is not installed; BackendError if the backend is unknown
    or its framework cannot be imported; RunError if other processes of the run do not come in time.

    >>> load("numpy").cpu()
    'cpu'
    """
    module_name = f"alexnet.backends.{name}"
    module: Any  # mypy does not know which module this is; conformance.py lets mypy check each one
    if name in FRAMEWORKS and module_name in sys.modules:
        module = importlib.import_module(module_name)
        return module
    entry = framework(name)
    require_installed(name)
    muted_stderr = _MutedStderr(sys.stderr)
    try:
        with _import_lock, contextlib.redirect_stderr(muted_stderr), muted_descriptor():
            prepare(name)
            module = importlib.import_module(module_name)
    except BackendError:
        raise
    except Exception as error:  # imports fail in many ways: missing libraries, wrong versions
        raise BackendError(
            f"{entry.title} is installed but cannot be imported: {last_line(error)}"
        ) from error
    finally:
        muted_stderr.muted = False
    place = entry.place() if entry.joins_first else None
    if place is not None:
        engine = importlib.import_module(f"alexnet.backends.engines.{name}")
        engine.join(place, None, timeout())
    return module


def prepare(name: str) -> None:
    """Prepare this process for the import of a framework. This library or the user then imports it.

    Raises BackendError if the import would crash Python.
    """
    entry = framework(name)
    _set_defaults(entry)
    entry.before_import()


def _set_defaults(entry: Framework) -> None:
    """Set the environment variables that a framework reads on import, unless the user has set them.

    OMP_NUM_THREADS becomes the number of cores that this process may use. Without it, MXNet and Paddle
    use only half the cores or a single core, and run at half their speed. The processes of a data-parallel
    run share the cores of their machine.
    """
    if entry.module not in sys.modules:
        if "OMP_NUM_THREADS" not in os.environ:
            place = entry.place()
            processes = place.local_size if place is not None else 1
            os.environ["OMP_NUM_THREADS"] = str(max(1, usable_cores() // processes))
            SET_HERE.add("OMP_NUM_THREADS")
        for variable, value in entry.environment.items():
            os.environ.setdefault(variable, value)


_import_lock = threading.RLock()  # all threads of the process share one standard error


class _MutedStderr(io.TextIOBase):
    """A standard error that drops what a framework prints during its import.

    Logging handlers created during the import keep a reference to this object. So it passes text on to
    the real standard error once ``muted`` is false.
    """

    def __init__(self, real: TextIO | None) -> None:
        self.real, self.muted = real, True

    def write(self, text: str) -> int:
        return len(text) if self.muted or self.real is None else self.real.write(text)

    def flush(self) -> None:
        if self.real is not None:
            self.real.flush()


@contextlib.contextmanager
def muted_descriptor() -> Iterator[None]:
    """Hide what compiled code writes to file descriptor 2. Show it if the ``with`` block raises."""
    try:
        captured, real = tempfile.TemporaryFile(), os.dup(2)  # noqa: SIM115  (closed below)
    except OSError:  # the process has no standard error, or the disk is full
        yield
        return
    with captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(real, captured.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
