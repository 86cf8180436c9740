"""The source code of a net in a framework, as a person would write it: ``alexnet show``.

Each row of the table becomes one line, so that readers can compare frameworks line by line. (TensorFlow
may add lines for padding.) `alexnet.build` evaluates the same calls. This module imports no framework.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

from alexnet.backends.calls import mentions
from alexnet.backends.registry import framework
from alexnet.spec import Dense, ResolvedNet, shape_text


def source(net: ResolvedNet, backend: str) -> str:
    """Return a program that defines ``net`` in a framework, with the framework's initial weights.

    The program makes the same layers as `alexnet.build`. So its net can load the files that
    ``alexnet convert`` writes.

    Raises BackendError for an unknown backend, and for a layer that the backend does not support.

    >>> from alexnet.spec.zoo import LENET
    >>> print(chr(10).join(source(LENET.resolve(), "paddle").splitlines()[:6]))
    # lenet, for images of 1×28×28: 61,706 parameters
    from paddle import nn
    <BLANKLINE>
    net = nn.Sequential(
        nn.Conv2D(1, 6, kernel_size=5, padding=2),  # 6×28×28
        nn.Sigmoid(),
    """
    entry = framework(backend)
    lines, shape = [], net.input_shape
    for row, calls in zip(net.rows, entry.calls_of(net), strict=True):
        lines += [f"{call}," for call in calls]
        # The line of a Dense layer already shows its output size.
        if row.output_shape != shape and not isinstance(row.layer, Dense):
            lines[-1] += f"  # {shape_text(row.output_shape)}"
        shape = row.output_shape
    program = entry.program(net, lines)
    classes: list[str] = []
    for name in reversed(entry.own_layers):  # later classes may use earlier ones
        if any(mentions(code, name) for code in (program, *classes)):
            classes.insert(0, _class_source(entry.name, name))
    code = "\n\n\n".join([*classes, program])
    head = entry.imports(code)
    if any(mentions(text, "Any") for text in classes):
        head = ["from typing import Any", "", *head]
    head += ["", entry.prelude] if entry.prelude else []
    kind = "images" if len(net.input_shape) == 3 else "vectors"
    title = f"{' '.join(net.name.split())}, for {kind} of {shape_text(net.input_shape)}"
    return "\n".join(
        [
            f"# {title}: {net.parameter_count:,} parameters",
            *head,
            *["", ""][: 2 if classes else 1],
            f"{code}\n",
        ]
    )


def _class_source(backend: str, name: str) -> str:
    """Return the source of a class in a backend's file. Reads the file without running it."""
    spec = find_spec(f"alexnet.backends.{backend}")
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    (node,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    class_source = ast.get_source_segment(text, node)
    assert class_source is not None
    return class_source
