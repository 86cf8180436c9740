"""The registry: which frameworks there are, how one is loaded, and which one a net belongs to.

Each backend is one module with the names of `Backend`, in that order. Nothing is imported before
`load` asks for it; the order of imports, the threads and the traps between frameworks are handled
here and nowhere else.

>>> load("numpy").cpu()
'cpu'
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import io
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from alexnet.backends.interface import Backend
from alexnet.backends.mxnet_startup import prepare_mxnet, usable_cores
from alexnet.errors import BackendError, MissingBackendError, last_line
from alexnet.spec.weights import Weights, check_weights


@dataclass(frozen=True)
class Framework:
    """What must be known of a framework before it is imported."""

    name: str  # of the backend, its module here, and its extra in pyproject.toml
    title: str
    module: str  # what Python imports
    packages: tuple[str, ...]  # whose classes its nets descend from
    settings: tuple[tuple[str, str], ...] = ()  # environment, unless the user has set it

    def owns(self, cls: type) -> bool:
        """Whether a class of nets or of tensors comes from this framework."""
        return any(f"{cls.__module__}.".startswith(f"{p}.") for p in self.packages)

    @property
    def install_command(self) -> str:
        return f"pip install -e '.[{self.name}]'"


FRAMEWORKS = {
    f.name: f
    for f in (
        Framework("numpy", "NumPy", "numpy", ("alexnet.backends.reference",)),
        Framework("torch", "PyTorch", "torch", ("torch",)),
        Framework("mxnet", "MXNet", "mxnet", ("mxnet",)),
        Framework(
            "tensorflow",
            "TensorFlow",
            "tensorflow",
            ("keras", "tensorflow"),
            (("TF_CPP_MIN_LOG_LEVEL", "2"), ("KERAS_BACKEND", "tensorflow")),
        ),
        Framework("paddle", "Paddle", "paddle", ("paddle",), (("GLOG_minloglevel", "2"),)),
    )
}
"""Every backend by name, in the order in which they are shown."""

IMPORT_ORDER = ("numpy", "torch", "mxnet", "paddle", "tensorflow")
"""An order in which all of them can be loaded into one process: Paddle after TensorFlow dies."""


def framework(name: str) -> Framework:
    """The entry of that name. Raises BackendError, listing the names."""
    if not isinstance(name, str) or name not in FRAMEWORKS:
        close = difflib.get_close_matches(str(name), FRAMEWORKS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise BackendError(
            f"unknown backend {name!r}{hint}; the backends are {', '.join(FRAMEWORKS)}"
        )
    return FRAMEWORKS[name]


def installed(name: str) -> bool:
    """Whether the framework can be found, without importing it."""
    return has_module(framework(name).module)


def has_module(name: str) -> bool:
    """Whether a module can be found, without importing it."""
    return importlib.util.find_spec(name) is not None


def load(name: str) -> Backend:
    """Import a backend and its framework. Raises BackendError if it is unknown or cannot be had."""
    entry = framework(name)
    if not installed(name):
        raise MissingBackendError(
            f"{entry.title} is not installed; {entry.install_command} in the project's folder installs it"
        )
    module = f"alexnet.backends.{name}"
    if module in sys.modules:
        return cast(Backend, importlib.import_module(module))
    chatter = _Chatter(sys.stderr)
    try:
        with _importing, contextlib.redirect_stderr(chatter), _muted_stderr():
            prepare(name)
            return cast(Backend, importlib.import_module(module))
    except BackendError:
        raise
    except Exception as error:  # frameworks fail in many ways: missing libraries, other versions
        raise BackendError(
            f"{entry.title} is installed but cannot be imported: {last_line(error)}"
        ) from error
    finally:
        chatter.muted = False


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


def prepare(name: str) -> None:
    """What must be done in this process before the framework is imported, by whomever.

    Raises BackendError where importing it would kill Python.
    """
    entry = framework(name)
    _set_defaults(entry)
    _avoid_crashes(name)
    if name == "mxnet":
        prepare_mxnet()


def _avoid_crashes(name: str) -> None:
    """Orders of imports that would kill Python: refuse them, or make them harmless.

    Paddle after TensorFlow dies when it is imported. So does Triton, which comes with PyTorch's CUDA
    builds and which PyTorch imports when the first optimizer is made: it is imported before
    TensorFlow, and kept out of a process where TensorFlow came first (only torch.compile needs it).
    """
    tensorflow_is_here = "tensorflow" in sys.modules
    if name == "paddle" and tensorflow_is_here and "paddle" not in sys.modules:
        raise BackendError(
            "Paddle cannot be loaded after TensorFlow in one process (it would crash Python); "
            "load Paddle first, or use one process for each"
        )
    if name == "tensorflow" and os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise BackendError(
            f"Keras is told by KERAS_BACKEND to run on {os.environ['KERAS_BACKEND']}; "
            "the tensorflow backend needs it to be unset or tensorflow"
        )
    if name in ("torch", "tensorflow") and "triton" not in sys.modules:
        if tensorflow_is_here:
            sys.modules["triton"] = cast(Any, None)  # an import of it now raises ImportError
        elif has_module("triton"):
            importlib.import_module("triton")


def _set_defaults(entry: Framework) -> None:
    """Environment that a framework reads once, when it is imported; never over the user's own.

    Paddle's matrix library (MKL of 2019) takes its slowest code on processors that are not Intel's
    unless it is told that they have AVX2: with it, AlexNet's step takes less than half the time.

    Threads: MXNet and Paddle take half the cores or one unless OMP_NUM_THREADS says otherwise, which
    halves their speed; so it says: as many as this process may use.
    """
    if entry.module not in sys.modules:
        if "OMP_NUM_THREADS" not in os.environ:
            os.environ["OMP_NUM_THREADS"] = str(usable_cores())
            SET_HERE.add("OMP_NUM_THREADS")
        for variable, value in entry.settings:
            os.environ.setdefault(variable, value)
        if entry.name == "paddle" and _is_amd_with_avx2():
            os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


SET_HERE: set[str] = set()
"""Variables that hold this library's own choice of threads, which is not for other processes."""


def _is_amd_with_avx2() -> bool:
    """Whether Linux says so of this machine's processor."""
    try:
        cpu = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in cpu and " avx2" in cpu


def owner(net: object) -> str | None:
    """The name of the backend that a net belongs to, by its classes; None if it is no net.

    >>> from alexnet import build
    >>> owner(build("lenet", backend="numpy"))
    'numpy'
    """
    for cls in type(net).__mro__:
        for entry in FRAMEWORKS.values():
            if entry.owns(cls) and cls.__name__ in NET_CLASSES:
                return entry.name
    return None


NET_CLASSES = ("Module", "Block", "Layer", "Sequential")
"""Base classes of all nets: torch's Module, Gluon's Block, Keras' and Paddle's Layer, NumPy's here."""


def gpu_hardware() -> bool:
    """Whether there may be a GPU, seen without loading any framework."""
    nodes = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")
    return sys.platform == "darwin" or any(Path(node).exists() for node in nodes)


def resolve_device(backend: Backend, name: str, device: Any) -> Any:
    """The framework's own device for what a user asked for.

    ``None`` or `try_gpu`'s answer: that GPU, else the CPU. ``"cpu"``, ``"gpu"``, ``"gpu:1"``,
    ``"cuda:1"``, ``"mps"``: just that one, or a BackendError. Anything else is taken to be a device
    of the framework.
    """
    if device is None:
        device = TRY_GPU.format(0)
    if isinstance(device, int):
        raise BackendError(f"unknown device {device!r}; devices are cpu, gpu, gpu:1, …")
    if not isinstance(device, str) or device.startswith("/"):
        return device
    kind, _, rest = device.partition(":")
    found = backend.gpus() if kind != "cpu" else []
    if kind in ("cuda", "mps"):  # Apple's GPUs are not CUDA's
        found = [gpu for gpu in found if ("mps" in str(gpu)) == (kind == "mps")]
    number, _, fallback = rest.partition(" ")
    if kind == "cpu" and rest in ("", "0"):
        return backend.cpu()
    if kind not in ("gpu", "cuda", "mps") or not (number.isdigit() or rest == ""):
        raise BackendError(f"unknown device {device!r}; devices are cpu, gpu, gpu:1, …")
    index = int(number or 0)
    if index < len(found):
        return found[index]
    if fallback:
        return backend.cpu()
    seen = ", ".join(map(str, found)) or "none"
    raise BackendError(f"{framework(name).title} cannot use {device!r}; GPUs that it sees: {seen}")


TRY_GPU = "gpu:{} or cpu"


def try_gpu(i: int = 0, backend: str | None = None) -> Any:
    """GPU number ``i`` where there is one, the CPU otherwise.

    With ``backend``, that framework's own device (CUDA or ROCm; Apple's MPS in PyTorch). Without, a
    string that means the same to every backend, for ``train_ch6(..., device=try_gpu())``.

    >>> try_gpu()
    'gpu:0 or cpu'
    >>> try_gpu(backend="numpy")
    'cpu'
    """
    if not isinstance(i, int) or i < 0:
        raise BackendError(f"a GPU's number must be a whole number of at least 0, not {i!r}")
    request = TRY_GPU.format(i)
    return request if backend is None else resolve_device(load(backend), backend, request)


def backend_of(net: object) -> tuple[str, Backend]:
    """The backend that a net belongs to. Raises BackendError if it is no net of any framework."""
    name = owner(net)
    if name is None:
        raise BackendError(
            f"{type(net).__name__} is not a net of {', '.join(f.title for f in FRAMEWORKS.values())}"
        )
    return name, load(name)


def to_numpy(values: Any) -> np.ndarray:
    """The values of a tensor of any framework, wherever it lies, or of anything that NumPy reads.

    >>> to_numpy([[1, 2]]).shape
    (1, 2)
    """
    for cls in type(values).__mro__:
        for entry in FRAMEWORKS.values():
            if entry.owns(cls):
                return load(entry.name).to_numpy(values)
    return np.asarray(values)


def put_batch(name: str, X: np.ndarray, device: Any) -> Any:
    """Images (B, C, H, W), or vectors, as a tensor of that framework in its own layout."""
    if name == "tensorflow" and X.ndim == 4:
        X = X.transpose(0, 2, 3, 1)  # (B, H, W, C)
    return load(name).put(np.ascontiguousarray(X), device)


def get_weights(net: object) -> Weights:
    """Copies of a net's arrays in the neutral layout, whichever framework it is of.

    >>> from alexnet import build
    >>> get_weights(build("lenet", backend="numpy"))["3.weight"].shape
    (16, 6, 5, 5)
    """
    return backend_of(net)[1].get_weights(net)


def set_weights(net: object, weights: Weights) -> None:
    """Set all arrays of a net, whichever framework it is of, from the neutral layout.

    Raises WeightsError, before anything is set, unless keys and shapes are the net's own and all
    values are finite.
    """
    _, backend = backend_of(net)
    own = backend.get_weights(net)
    check_weights(weights, {key: w.shape for key, w in own.items()}, type(net).__name__)
    backend.set_weights(net, {key: np.asarray(weights[key], w.dtype) for key, w in own.items()})
