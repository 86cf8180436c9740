"""What must be known of a framework before it is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alexnet.backends.calls import Call
from alexnet.errors import BackendError
from alexnet.spec import ResolvedLayer, ResolvedNet
from alexnet.spec.layers import LAYERS


def _nothing() -> None:
    pass


@dataclass(frozen=True, eq=False)
class Framework:
    """An entry of the registry: a framework's names, how its code is written, and how it is imported.

    With this and a file ``alexnet/backends/<name>.py`` (see `alexnet.backends.interface`), a framework
    works in every part of this library.
    """

    name: str  # of the backend, its file, and its extra in pyproject.toml
    title: str
    module: str  # what Python imports
    packages: tuple[str, ...]  # whose classes its nets and tensors descend from
    net_class: str  # base class of its nets, by name
    style: Mapping[str, Any]  # of its curves: matplotlib's color, linestyle, marker
    calls: Callable[[ResolvedLayer], Iterator[Call]]
    """The calls that make a row's layer, those of a padding first. No calls: the layer is not known."""
    program: Callable[[ResolvedNet, Sequence[str]], str]
    """The source of a whole net, without imports, from the lines of its layers."""
    imports: Callable[[str], list[str]]
    """The lines that import what some code uses."""
    prelude: str = ""  # a statement that follows the imports
    own_layers: tuple[str, ...] = ()
    """Classes in the backend's file that calls may name; ``alexnet show`` prints those that it needs."""
    channels_last: bool = False  # images are (B, H, W, C)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to set before the import, if the user has not set them."""
    loads_after: tuple[str, ...] = ()  # backends that must come first in one process
    before_import: Callable[[], None] = _nothing
    """Prepares the process. Raises BackendError where the import would kill Python."""
    traps: Callable[[], list[str]] = list
    """The known problems on this machine and what is done about them, a sentence each."""
    caveat: str = ""  # why a net with the right arrays may still compute something else

    def owns(self, cls: type) -> bool:
        """Whether a class of nets or of tensors comes from this framework."""
        return any(f"{cls.__module__}.".startswith(f"{package}.") for package in self.packages)

    @property
    def install_command(self) -> str:
        return f"pip install -e '.[{self.name}]'"

    def calls_of(self, net: ResolvedNet) -> list[list[Call]]:
        """For each row of a net, the calls that make its layer.

        Raises BackendError, naming the row, if the framework's entry does not know its layer.
        """
        found = []
        for row in net.rows:
            # `calls` would match a user's subclass of a layer as that layer.
            known = type(row.layer) in LAYERS.values()
            found.append(list(self.calls(row)) if known else [])
            if not found[-1]:
                raise BackendError(
                    f"{net.name}, layer {row.index}: {self.title} has no rendering of {row.layer!r}"
                )
        return found


def has_module(name: str) -> bool:
    """Whether a module can be found, without importing it."""
    return importlib.util.find_spec(name) is not None
