"""What several commands share: options, and where they print."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from alexnet import backends
from alexnet.spec import zoo

out = Console(highlight=False, soft_wrap=True, markup=False)

RECIPE = "Default: the recipe's."
Model = Annotated[str, typer.Argument(help=f"A net of the zoo: {', '.join(zoo.ZOO)}.")]
Models = Annotated[
    list[str] | None,
    typer.Argument(help=f"Nets of the zoo: {', '.join(zoo.ZOO)}. Default: alexnet."),
]
Full = Annotated[
    bool | None,
    typer.Option(
        "--full/--quick",
        help="The book's recipe, or one for a CPU. Default: full if every framework sees a GPU.",
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(help='Folder with the four IDX files, or "sample".'),
]
Device = Annotated[
    str | None,
    typer.Option(help="cpu, gpu, gpu:1, … Default: a GPU, else the CPU."),
]
Seed = Annotated[int, typer.Option(help="Of the weights, the images' order and dropout.", min=0)]
Size = Annotated[int | None, typer.Option(help="Pixels a side. Default: the net's own.")]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--python",
        help="An interpreter of its own for a backend, such as mxnet=~/mx/bin/python; or a TOML file "
        "with a table [python].",
    ),
]
Timeout = Annotated[
    float, typer.Option(help="Seconds of silence after which a backend is given up.")
]
Epochs = Annotated[int | None, typer.Option(help=f"Times through the images. {RECIPE}")]
BatchSize = Annotated[int | None, typer.Option(help=f"Images in a batch. {RECIPE}")]
LearningRate = Annotated[float | None, typer.Option(help=f"Learning rate. {RECIPE}")]
Momentum = Annotated[float | None, typer.Option(help=f"From 0 to below 1. {RECIPE}")]
Resize = Annotated[int | None, typer.Option(help=f"Pixels a side. {RECIPE}")]
Examples = Annotated[int | None, typer.Option(help=f"Training images. {RECIPE}")]
Backends = Annotated[
    str | None, typer.Option("--backends", help="Such as torch,paddle. Default: all.")
]


def named_backends(only: str | None) -> list[str] | None:
    """The backends of an option such as ``torch,paddle``; None if it was not given."""
    names = [name.strip() for name in only.split(",")] if only else None
    for name in names or ():
        backends.framework(name)
    return names
