"""The source of a net in each framework, as one would write it by hand.

A row of the table is a line, so that the columns can be read side by side. One file for each
framework, with the same names in the same order; no framework is needed.
"""

from __future__ import annotations

import importlib
from typing import cast

from alexnet import backends
from alexnet.backends.source.column import Column
from alexnet.spec import Dense, ResolvedNet, shape_text


def source(net: ResolvedNet, backend: str) -> str:
    """A program that leaves a net of that framework in ``net``, with the framework's own weights.

    Its layers are those of `alexnet.build`, so it takes what ``alexnet convert`` writes; only a norm
    of PyTorch's own records the unbiased variance. Raises BackendError for an unknown backend.

    >>> from alexnet.spec.zoo import LENET
    >>> print(chr(10).join(source(LENET.resolve(), "paddle").splitlines()[:6]))
    # lenet, for images of 1×28×28: 61,706 parameters
    from paddle import nn
    <BLANKLINE>
    net = nn.Sequential(
        nn.Conv2D(1, 6, kernel_size=5, padding=2),  # 6×28×28
        nn.Sigmoid(),
    """
    name = backends.framework(backend).name
    column = cast(Column, importlib.import_module(f"alexnet.backends.source.{name}"))
    lines, shape = [], net.input_shape
    for row in net.rows:
        lines += [f"{call}," for call in column.calls(row)]
        if row.output_shape != shape and not isinstance(row.layer, Dense):  # which says it
            lines[-1] += f"  # {shape_text(row.output_shape)}"
        shape = row.output_shape
    helpers = [helper for helper in column.HELPERS if any(helper.name in line for line in lines)]
    kind = "images" if len(net.input_shape) == 3 else "vectors"
    title = f"{' '.join(net.name.split())}, for {kind} of {shape_text(net.input_shape)}"
    return (
        f"# {title}: {net.parameter_count:,} parameters\n"
        f"{column.imports(net, helpers)}\n"
        + "".join(f"\n\n{helper.code.strip()}\n" for helper in helpers)
        + ("\n\n" if helpers else "\n")
        + f"{column.program(net, lines)}\n"
    )
