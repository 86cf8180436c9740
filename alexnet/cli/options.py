"""The options and the console that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from alexnet import backends
from alexnet.backends.precision import PRECISIONS
from alexnet.backends.schedules import SCHEDULES
from alexnet.spec import zoo

out = Console(highlight=False, soft_wrap=True, markup=False)

RECIPE = "Default: set by the recipe."
Model = Annotated[str, typer.Argument(help=f"Net: {', '.join(zoo.ZOO)}.")]
Models = Annotated[
    list[str] | None,
    typer.Argument(help=f"Nets: {', '.join(zoo.ZOO)}. Default: alexnet."),
]
Full = Annotated[
    bool | None,
    typer.Option(
        "--full/--quick",
        help="Use the book's recipe, or a quick one for a CPU. Default: full if every framework sees a "
        "GPU.",
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help='Folder with the four IDX files, or "sample". Default: the files found on this '
        "machine, else the sample (with --full: a download)."
    ),
]
Device = Annotated[
    str | None,
    typer.Option(help="Device: cpu, gpu, gpu:1, … Default: a GPU if there is one, else the CPU."),
]
Seed = Annotated[int, typer.Option(help="Random seed of weights, images and dropout.", min=0)]
Seeds = Annotated[
    int,
    typer.Option(
        help="Train every net with so many seeds, and show means and standard deviations.", min=1
    ),
]
NativeDropout = Annotated[
    bool,
    typer.Option(
        "--native-dropout",
        help="Let each framework draw its own dropout masks. Default: all get the same masks.",
    ),
]
Size = Annotated[
    int | None, typer.Option(help="Image height and width in pixels. Default: set by the net.")
]
Pythons = Annotated[
    list[str] | None,
    typer.Option(
        "--python",
        help="Python interpreter for one backend, such as mxnet=~/mx/python, or a TOML file with a "
        'table named "python". Can be given several times.',
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        help="Processes on this machine that train each net together, each on its rows of every batch "
        f"({', '.join(f.title for f in backends.FRAMEWORKS.values() if f.launch is not None)}).",
        min=1,
    ),
]
Timeout = Annotated[
    float, typer.Option(help="Seconds without a message after which a worker is stopped.")
]
Epochs = Annotated[int | None, typer.Option(help=f"Passes over the training images. {RECIPE}")]
BatchSize = Annotated[int | None, typer.Option(help=f"Images in a mini-batch. {RECIPE}")]
LearningRate = Annotated[float | None, typer.Option(help=f"Learning rate. {RECIPE}")]
Momentum = Annotated[
    float | None, typer.Option(help=f"Momentum of SGD, from 0 to below 1. {RECIPE}")
]
Nesterov = Annotated[
    bool | None,
    typer.Option(
        "--nesterov/--no-nesterov", help=f"Nesterov momentum. {RECIPE}", show_default=False
    ),
]
Schedule = Annotated[
    str | None, typer.Option(help=f"Learning-rate schedule: {', '.join(SCHEDULES)}. {RECIPE}")
]
Precision = Annotated[
    str | None, typer.Option(help=f"Precision of training: {', '.join(PRECISIONS)}. {RECIPE}")
]
Resize = Annotated[int | None, typer.Option(help=f"Image height and width in pixels. {RECIPE}")]
Examples = Annotated[int | None, typer.Option(help=f"Number of training images. {RECIPE}")]
Backends = Annotated[
    str | None, typer.Option("--backends", help="Backends, such as torch,paddle. Default: all.")
]


def named_backends(only: str | None) -> list[str] | None:
    """Return the backends in an option such as ``torch,paddle``, or None if it is not given."""
    names = [name.strip() for name in only.split(",")] if only is not None else None
    for name in names or ():
        backends.framework(name)
    return names
