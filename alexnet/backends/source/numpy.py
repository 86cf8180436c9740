"""NumPy's column: the table itself, and this library's reference, which computes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import indent

from alexnet.backends.source.column import Helper, block
from alexnet.spec import ResolvedLayer, ResolvedNet

LINE = 88  # characters, as formatters have it
HELPERS: tuple[Helper, ...] = ()


def calls(row: ResolvedLayer) -> list[str]:
    return [repr(row.layer)]


def imports(net: ResolvedNet, helpers: Sequence[Helper]) -> str:
    kinds = sorted({type(row.layer).__name__ for row in net.rows})
    names = f"from alexnet.spec import {', '.join(kinds)}"
    if len(names) > LINE:
        names = block("from alexnet.spec import (", [f"{kind}," for kind in kinds], ")")
    return f"from alexnet import Net, build\n{names}"


def program(net: ResolvedNet, lines: list[str]) -> str:
    head = [f"{json.dumps(net.name)},", f"{net.input_shape!r},"]
    table = indent(block("Net(", [*head, block("(", lines, "),")], "),"), "    ")
    return f'net = build(\n{table}\n    backend="numpy",\n)'
