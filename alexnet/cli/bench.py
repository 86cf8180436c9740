"""The command ``bench``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alexnet.cli.options import (
    Backends,
    BatchSize,
    Data,
    Models,
    Pythons,
    Timeout,
    named_backends,
    out,
)
from alexnet.errors import RunError


def bench(
    models: Models = None,
    only: Backends = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Precisions, such as float32,auto: float32, bfloat16, tf32 or auto. Default: float32; on "
            "a GPU float32,tf32,bfloat16."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure with smaller batches, within about 6 minutes.")
    ] = False,
    sweep: Annotated[
        str | None,
        typer.Option(
            help="Measure how the speed of train_ch6 grows with one variable: batch, size, threads or "
            "examples (these also: peak memory)."
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Numbers of processes on this machine, such as 1,2: measure a training step whose batch "
            "they share, and the share of communication in it (PyTorch, MXNet, TensorFlow, Paddle)."
        ),
    ] = None,
    batch_size: BatchSize = None,
    data: Data = None,
    device: Annotated[
        str,
        typer.Option(help="cpu or gpu. With gpu, also train with the book's recipe to its end."),
    ] = "cpu",
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results. Default: runs/bench-TIME."),
    ] = None,
    pythons: Pythons = None,
    timeout: Timeout = 600.0,
) -> None:
    """Measure how fast every framework trains.

    Compares the loader, one step, train_ch6, the best hand-written loop of the framework, and the limit of
    the machine. In every round, all frameworks take turns, each in its own process.
    """
    from alexnet.bench.plan import plan
    from alexnet.bench.run import run_plan
    from alexnet.bench.table import failed, summary
    from alexnet.comparison.plan import check_timeout, images, images_line, interpreters

    check_timeout(timeout)
    on_gpu = device == "gpu"
    default = "float32"
    if on_gpu and sweep is None and workers is None:
        default = "float32,tf32,bfloat16"
    planned = plan(
        models,
        named_backends(only),
        [name.strip() for name in (precision or default).split(",")],
        quick=quick,
        sweep=sweep,
        batch_size=batch_size,
        root=images(data, full=on_gpu),
        device=device,
        pythons=interpreters(pythons or []),
        timeout=timeout,
        workers=None if workers is None else _numbers(workers),
    )
    out.print(images_line(planned.root))
    found = run_plan(planned, folder, out.print)
    for part in summary(found):
        out.print(part, soft_wrap=isinstance(part, str))
    out.print(f"Run folder: {found.folder}; it has bench.json, table.txt and bench.png")
    if found.interrupted:
        raise typer.Exit(130)
    if names := failed(found):
        raise RunError(f"{', '.join(names)} failed; the logs are in {found.folder}")


def _numbers(text: str) -> list[int]:
    """Return the numbers in an option such as ``1,2``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise RunError(f"--workers must be numbers with commas, such as 1,2; got {text!r}")
    return [int(part) for part in parts]
