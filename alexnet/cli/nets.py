"""The commands ``summary``, ``draw``, ``show`` and ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet import backends
from alexnet.cli.options import Model, Models, Size, out
from alexnet.spec import ResolvedNet, zoo


def summary(
    model: Model = "alexnet",
    size: Size = None,
) -> None:
    """Print the layers of a net with their shapes, parameters, multiply-adds and memory."""
    from alexnet.views.tables import summary_table

    out.print(summary_table(at_size(model, size)))


def draw(
    models: Models = None,
    path: Annotated[
        Path | None,
        typer.Option("--out", help="File to write, .svg or .png. Default: the nets' names, .svg."),
    ] = None,
    size: Size = None,
) -> None:
    """Draw the architecture of nets beside each other, at one scale."""
    from alexnet.spec.pictures import draw

    names = models or ["alexnet"]
    drawing = draw(*(at_size(name, size) for name in names))
    out.print(str(drawing.save(path or f"{'-'.join(names)}.svg")))


def show(
    model: Model = "alexnet",
    backend: Annotated[
        str, typer.Option(help=f"{', '.join(backends.FRAMEWORKS)}, or all (side by side).")
    ] = "all",
    size: Size = None,
) -> None:
    """Print the source code of a net in a framework, ready to paste."""
    from alexnet.views.code import show
    from alexnet.views.tables import side_by_side

    code = show(at_size(model, size), None if backend == "all" else backend)
    if out.is_terminal:
        out.print(side_by_side(code.programs, out.width), soft_wrap=False)
    else:  # for a file or another program: plain source code
        print(code)


def at_size(model: str, size: int | None) -> ResolvedNet:
    """Return a net of the zoo for images of this size; None keeps the net's own size."""
    net = zoo.get(model)
    return net.resolve((net.input_shape[0], size, size) if size is not None else None)


def convert(
    source: Annotated[
        Path, typer.Argument(help="Checkpoint written by alexnet.save or alexnet train.")
    ],
    to: Annotated[str, typer.Option(help=f"{', '.join(backends.FRAMEWORKS)}.")],
    path: Annotated[
        Path | None, typer.Option("--out", help="File to write. Default: next to the checkpoint.")
    ] = None,
) -> None:
    """Convert a checkpoint to a file that a framework reads without this library."""
    from alexnet.training.checkpoint import convert

    out.print(str(convert(source, to, path)))
