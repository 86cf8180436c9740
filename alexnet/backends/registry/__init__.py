"""The registry: every framework that this library knows, one file for each.

An entry says what must be known before the framework is imported, and how its layers are written.
Nothing here imports a framework.

>>> framework("torch").title
'PyTorch'
"""

from __future__ import annotations

import difflib
from graphlib import TopologicalSorter

from alexnet.backends.entry import Framework
from alexnet.backends.registry import mxnet, numpy, paddle, tensorflow, torch
from alexnet.errors import BackendError

FRAMEWORKS: dict[str, Framework] = {
    entry.name: entry
    for entry in (numpy.ENTRY, torch.ENTRY, mxnet.ENTRY, tensorflow.ENTRY, paddle.ENTRY)
}
"""Every backend by name, in the order in which they are shown."""

REFERENCE = numpy.ENTRY.name
"""The backend that the others are compared with. It needs no framework."""

DEFAULT = torch.ENTRY.name
"""The backend that `alexnet.build` and ``alexnet train`` take where none is named."""


def framework(name: str) -> Framework:
    """The entry of that name. Raises BackendError, listing the names."""
    if not isinstance(name, str) or name not in FRAMEWORKS:
        close = difflib.get_close_matches(str(name), FRAMEWORKS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise BackendError(
            f"unknown backend {name!r}{hint}; the backends are {', '.join(FRAMEWORKS)}"
        )
    return FRAMEWORKS[name]


def import_order() -> list[str]:
    """An order in which all of them can be loaded into one process.

    >>> import_order()
    ['numpy', 'torch', 'mxnet', 'paddle', 'tensorflow']
    """
    graph = {entry.name: entry.loads_after for entry in FRAMEWORKS.values()}
    return list(TopologicalSorter(graph).static_order())
