"""The registry entry of NumPy, the reference. Its code for a net is the net's table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from textwrap import indent

from alexnet.backends import reference
from alexnet.backends.calls import Call, block
from alexnet.backends.entry import Framework
from alexnet.spec import ResolvedLayer, ResolvedNet
from alexnet.spec.layers import LAYERS

LINE = 88  # characters, the default of Black and Ruff


def calls(row: ResolvedLayer) -> Iterator[Call]:
    """Yield the calls that make the layer of a row. Yields nothing for an unknown layer."""
    kind = type(row.layer).__name__
    if hasattr(reference, kind):
        positional, named = row.layer.arguments()
        yield Call(kind, *positional, **named)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    """Return the source code of a whole net, without imports, from the lines of its layers."""
    head = [f"{json.dumps(net.name)},", f"{net.input_shape!r},"]
    table = indent(block("Net(", [*head, block("(", lines, "),")], "),"), "    ")
    return f'net = build(\n{table}\n    backend="numpy",\n)'


def imports(code: str) -> list[str]:
    """Return the import statements that some code needs."""
    kinds = [kind for kind in LAYERS if f" {kind}(" in code]
    kinds.sort(key=lambda kind: (not kind.isupper(), kind))  # isort puts constants (ELU) first
    line = f"from alexnet.spec import {', '.join(kinds)}"
    if len(line) > LINE:
        line = block("from alexnet.spec import (", [f"{kind}," for kind in kinds], ")")
    return ["from alexnet import Net, build", line]


ENTRY = Framework(
    name="numpy",
    title="NumPy",
    module="numpy",
    packages=("alexnet.backends.reference",),
    net_class="Sequential",
    style={"color": "#808080", "linestyle": (0, (1, 1)), "marker": "s"},
    calls=calls,
    program=program,
    imports=imports,
    requirements=("numpy>=1.24",),
)
