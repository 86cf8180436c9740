"""The command line: ``alexnet summary``, ``draw``, ``show``, ``train``, ``compare`` and so on."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from alexnet import __version__
from alexnet.cli import bench, compare, cost, doctor, nets, parity, sweep, train
from alexnet.errors import AlexNetError

app = typer.Typer(
    help="Build, train and compare AlexNet in NumPy, PyTorch, MXNet, TensorFlow and Paddle.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    nets.summary,
    nets.draw,
    cost.cost,
    nets.show,
    train.train,
    compare.compare,
    compare.report,
    sweep.sweep,
    bench.bench,
    parity.parity,
    doctor.doctor,
    nets.convert,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"alexnet {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. An AlexNetError becomes one line on stderr and exit status 1."""
    # Exit through SystemExit, so that the cleanup stops the workers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except AlexNetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
