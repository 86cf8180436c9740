"""What this library must know about a framework before it imports the framework."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from alexnet.backends.calls import Call
from alexnet.errors import BackendError
from alexnet.spec import ResolvedLayer, ResolvedNet
from alexnet.spec.layers import LAYERS


def _no_op() -> None:
    pass


@dataclass(frozen=True)
class Place:
    """The place of this process among the processes of a data-parallel run."""

    rank: int  # from 0 to size - 1
    size: int  # number of processes, at least 2
    local_rank: int  # the same on this machine
    local_size: int


def place_from(
    rank: str, size: str, local_rank: str, local_size: str, *needed: str
) -> Place | None:
    """Return the place that these environment variables give.

    Return None if the size is 1, or if ``rank``, ``size`` or a variable in ``needed`` is not set: then no
    engine started this process. Raises BackendError for a value that is not a number.
    """
    if not all(os.environ.get(name) for name in (rank, size, *needed)):
        return None
    defaults = {local_rank: os.environ[rank], local_size: os.environ[size]}
    names = (rank, size, local_rank, local_size)
    values = [os.environ.get(name) or defaults[name] for name in names]
    for name, value in zip(names, values, strict=True):
        if not value.isdigit():
            raise BackendError(f"the environment variable {name} must be a number, got {value!r}")
    place = Place(*map(int, values))
    if place.rank >= place.size:
        raise BackendError(f"{rank}={place.rank} must be smaller than {size}={place.size}")
    return place if place.size > 1 else None


def _nowhere() -> Place | None:
    return None


@dataclass(frozen=True)
class Launch:
    """How a framework's own launcher starts the processes of a run on this machine."""

    command: Sequence[
        str
    ]  # arguments of Python; the script that every process runs comes after them
    environment: Mapping[str, str] = field(default_factory=dict)  # the launcher's own


def start_script(
    folder: Path,
    processes: Sequence[Mapping[str, str]],
    helpers: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    helper: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Launch:
    """Return how `alexnet.backends.engines.start` starts a script, for a framework without a launcher.

    ``processes``: the environment variables of each process, by rank. ``helpers``: the same, by name, for
    processes that run the code ``helper`` instead.
    """
    file = folder / "places.json"
    given = {"processes": processes, "helpers": dict(helpers), "helper": helper}
    file.write_text(json.dumps(given), encoding="utf-8")
    return Launch(["-m", "alexnet.backends.engines.start", str(file)], environment)


@dataclass(frozen=True, eq=False)
class Framework:
    """An entry of the registry: a framework's names, how its code is written, and how it is imported.

    A framework needs this entry and a file ``alexnet/backends/<name>.py`` (`alexnet.backends.interface`).
    Then every part of this library supports it.
    """

    name: str  # name of the backend, of its file, and of its extra in pyproject.toml
    title: str  # name in messages and figures, such as PyTorch
    module: str  # the module that Python imports
    packages: tuple[str, ...]  # packages that define the classes of its nets and tensors
    net_class: str  # name of the base class of its nets
    style: Mapping[str, Any]  # matplotlib options of its curves: color, linestyle, marker
    calls: Callable[[ResolvedLayer], Iterator[Call]]
    """Yields the calls that make a row's layer, padding first. No calls: the layer is not supported."""
    program: Callable[[ResolvedNet, Sequence[str]], str]
    """Returns the source of a whole net without imports, given the source lines of its layers."""
    imports: Callable[[str], list[str]]
    """Returns the import statements that some code needs."""
    requirements: tuple[str, ...]
    """The packages that pip installs for it, as in its extra in pyproject.toml."""
    prelude: str = ""  # a statement that follows the imports
    own_layers: tuple[str, ...] = ()
    """Classes of the backend's file that calls may use. ``alexnet show`` prints the ones it needs."""
    channels_last: bool = False  # images are (B, H, W, C)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables to set before the import, unless the user has set them."""
    loads_after: tuple[str, ...] = ()  # backends that must be loaded first in the same process
    before_import: Callable[[], None] = _no_op
    """Prepares the process. Raises BackendError if the import would crash Python."""
    traps: Callable[[], list[str]] = list
    """Returns the known problems on this machine, one sentence each, with what is done about them."""
    place: Callable[[], Place | None] = _nowhere
    """Returns the place that the framework's engine for data-parallel training gave this process, from the
    environment; None if no engine started it. `alexnet.backends.engines` has the engine."""
    launch: Callable[[int, Path, bool], Launch] | None = None
    """Returns how to start so many processes on this machine, on its GPUs if the last argument is true.
    The launcher may write into the given folder. None: alexnet cannot start the engine."""
    joins_first: bool = False
    """Whether the engine must join the other processes before the framework computes anything. Then `load`
    joins them, and the framework shows each process only its own GPU."""
    caveat: str = ""  # why a net whose arrays all match may still compute something else

    def owns(self, cls: type) -> bool:
        """Return whether this framework defines ``cls``, a class of nets or of tensors."""
        return any(f"{cls.__module__}.".startswith(f"{package}.") for package in self.packages)

    @property
    def missing(self) -> str:
        """What messages say if the framework is not installed, after its title.

        The command installs the framework's own packages. So it is right in every folder, also for a reader
        who has only the wheel. Every shell knows double quotes.
        """
        packages = " ".join(f'"{requirement}"' for requirement in self.requirements)
        return f"not installed; run pip install {packages}"

    def calls_of(self, net: ResolvedNet) -> list[list[Call]]:
        """Return one list per row of a net: the calls that make the row's layer.

        Raises BackendError, with the number of the row, if the backend does not support its layer.
        """
        rows = []
        for row in net.rows:
            # Check the exact class: `calls` would treat a user's subclass of a layer as that layer.
            known = type(row.layer) in LAYERS.values()
            rows.append(list(self.calls(row)) if known else [])
            if not rows[-1]:
                raise BackendError(
                    f"{net.name}, layer {row.index}: {self.title} does not support {row.layer!r}"
                )
        return rows


def has_module(name: str) -> bool:
    """Return whether Python can find a module. Does not import it."""
    return importlib.util.find_spec(name) is not None
