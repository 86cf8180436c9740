"""Functions that several test files use: nets, tensors, processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from alexnet import backends, cli
from alexnet.backends import BoundNet, nets
from alexnet.spec import Net

COVERED = (
    "numpy",
    "torch",
    "mxnet",
    "tensorflow",
    "paddle",
)  # all tests have what they need for these


def by_backend(name: str, values: Mapping[str, Any]) -> Any:
    """What a test has for a backend, such as the framework's own code.

    A test that has nothing for a new backend is skipped, with its place (docs/backend.md, the last step).
    """
    if name not in values and name not in COVERED:
        place = Path(sys._getframe(1).f_code.co_filename).name
        pytest.skip(f"tests/{place} has no code for {name}")
    return values[name]


def is_numpy(name: str) -> bool:
    """Whether a backend's tensors are NumPy's arrays, as in a copy of the reference."""
    return isinstance(native(name, np.zeros((1, 1, 2, 2))), np.ndarray)


def layers_of(net: Any) -> list[Any]:
    """The layers of a framework's sequential net."""
    return list(net.layers if hasattr(net, "layers") else net)


def render(name: str, net: Net, dtype: str = "float32") -> Any:
    """A net of the framework on the CPU, with the framework's own weights."""
    backend = backends.load(name)
    return nets.render(net.resolve(), backend, backend.cpu(), dtype).native


def native(name: str, images: np.ndarray, dtype: str = "float32") -> Any:
    """Images (B, C, H, W) as a tensor of the framework in its own layout, on the CPU."""
    backend = backends.load(name)
    return BoundNet(None, backend, backend.cpu()).to_tensor(images.astype(dtype))


def logits(name: str, net: Any, images: np.ndarray) -> np.ndarray:
    backend = backends.load(name)
    return backend.to_numpy(backend.predict(net, native(name, images)))


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with these variables added to the environment."""
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=1800
    )


def alexnet(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return run(sys.executable, "-m", "alexnet", *arguments, **env)


def alexnet_here(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which takes a hundredth of the time of a new one."""
    out, err, status = StringIO(), StringIO(), 0
    at_sigterm = signal.getsignal(signal.SIGTERM)  # the command line sets a handler of its own
    try:
        with (
            mock.patch.object(sys, "argv", ["alexnet", *arguments]),
            mock.patch.dict(os.environ, env),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        signal.signal(signal.SIGTERM, at_sigterm)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a new Python."""
    return run(sys.executable, "-c", code, **env)
