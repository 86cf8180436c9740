"""Commands about a net: its table, its source, and its checkpoint for a framework to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet import backends
from alexnet.cli.options import Model, Size, out
from alexnet.spec import ResolvedNet, zoo


def summary(
    model: Model = "alexnet",
    size: Size = None,
) -> None:
    """Print the table of a net's layers: shapes, parameters, arithmetic, memory."""
    from alexnet.views.tables import summary_table

    out.print(summary_table(_at_size(model, size)))


def show(
    model: Model = "alexnet",
    backend: Annotated[
        str, typer.Option(help=f"{', '.join(backends.FRAMEWORKS)}, or all, side by side.")
    ] = "all",
    size: Size = None,
) -> None:
    """Print the source of a net in a framework, ready to paste."""
    from alexnet.backends.source import source
    from alexnet.views.tables import side_by_side

    net = _at_size(model, size)
    names = list(backends.FRAMEWORKS) if backend == "all" else [backend]
    programs = {backends.framework(name).title: source(net, name) for name in names}
    if out.is_terminal:
        out.print(side_by_side(programs, out.width), soft_wrap=False)
    else:  # to a file, or to another program
        print("\n\n".join(programs.values()), end="")


def _at_size(model: str, size: int | None) -> ResolvedNet:
    net = zoo.get(model)
    return net.resolve((net.input_shape[0], size, size) if size is not None else None)


def convert(
    source: Annotated[Path, typer.Argument(help="A checkpoint of alexnet.save or alexnet train.")],
    to: Annotated[str, typer.Option(help=", ".join(backends.FRAMEWORKS))],
    path: Annotated[
        Path | None, typer.Option("--out", help="The new file. Default: beside the checkpoint.")
    ] = None,
) -> None:
    """Write a checkpoint in a framework's own format, which it reads without this library."""
    from alexnet.training.checkpoint import convert

    out.print(str(convert(source, to, path)))
