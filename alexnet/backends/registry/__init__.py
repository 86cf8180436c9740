"""The registry: one file for each framework that alexnet supports.

An entry holds what must be known before the framework is imported, and how the code of its layers is
written. Nothing here imports a framework.

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
"""All backends by name, in the order in which tables and plots show them."""

REFERENCE = numpy.ENTRY.name
"""The backend that all others are compared with. It needs only NumPy."""

DEFAULT = torch.ENTRY.name
"""The default backend of `alexnet.build` and ``alexnet train``."""


def framework(name: str) -> Framework:
    """Return the entry of a backend. Raises BackendError for an unknown name."""
    if not isinstance(name, str) or name not in FRAMEWORKS:
        close = difflib.get_close_matches(str(name), FRAMEWORKS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise BackendError(
            f"unknown backend {name!r}{hint}; known backends: {', '.join(FRAMEWORKS)}"
        )
    return FRAMEWORKS[name]


def import_order() -> list[str]:
    """Return an order in which one process can import all frameworks.

    >>> order = import_order()
    >>> order.index("paddle") < order.index("tensorflow")
    True
    """
    graph = {entry.name: entry.loads_after for entry in FRAMEWORKS.values()}
    return list(TopologicalSorter(graph).static_order())
