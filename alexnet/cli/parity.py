"""The command ``parity``."""

from __future__ import annotations

from typing import Annotated

import typer

from alexnet.backends.schedules import SCHEDULES
from alexnet.cli.options import Model, Seed, named_backends, out
from alexnet.errors import RunError
from alexnet.spec import zoo


def parity(
    model: Model = "alexnet",
    only: Annotated[
        str | None,
        typer.Option("--backends", help="Backends, such as torch,paddle. Default: all installed."),
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Steps of SGD before the weights are compared.", min=1)
    ] = 20,
    batch_size: Annotated[int, typer.Option(help="Images in a mini-batch.", min=1)] = 4,
    dtype: Annotated[
        str,
        typer.Option(
            help="float32 or float64. float32 uses images that are not near a kink of ReLU or max-pooling "
            "(see docs/parity.md)."
        ),
    ] = "float32",
    momentum: Annotated[float, typer.Option(help="Momentum of SGD, from 0 to below 1.")] = 0.0,
    nesterov: Annotated[
        bool, typer.Option("--nesterov", help="Nesterov momentum; needs --momentum.")
    ] = False,
    schedule: Annotated[
        str, typer.Option(help=f"Learning-rate schedule: {', '.join(SCHEDULES)}.")
    ] = SCHEDULES[0],
    dropout: Annotated[
        bool, typer.Option(help="Also compare dropout, with masks drawn by NumPy.")
    ] = False,
    nets: Annotated[
        int | None,
        typer.Option("--random", help="Compare this many random nets instead, in float64.", min=1),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device of the frameworks: cpu, gpu, gpu:1, …")
    ] = "cpu",
    seed: Seed = 0,
) -> None:
    """Compare the results of every framework with the NumPy reference in float64.

    Compares logits, loss, gradients, and the weights after some steps of SGD.
    """
    from alexnet.parity import check as checks
    from alexnet.parity.table import parity_table

    wanted = named_backends(only)
    if nets is not None:
        run = checks.Settings(3, seed=seed, dtype="float64", dropout=True, device=device)
        names = checks.backends_to_compare(wanted, device)
        out.print(f"{nets} random nets, 3 steps each, with dropout, in float64")
        worst = checks.worst_of_random(nets, names, run, out.print)
    else:
        net = zoo.get(model)
        run = checks.Settings(
            steps,
            batch_size,
            momentum=momentum,
            nesterov=nesterov,
            schedule=schedule,
            seed=seed,
            dtype=dtype,
            dropout=dropout,
            device=device,
        )
        names = checks.backends_to_compare(wanted, device)
        out.print(
            f"{net.name}, {steps} steps of SGD on batches of {batch_size}, {dtype}, "
            f"{'with' if dropout else 'without'} dropout{'' if device == 'cpu' else f', on {device}'}"
            f"{f', momentum {momentum:g}' if momentum else ''}{' (Nesterov)' if nesterov else ''}"
            f"{f', schedule {schedule}' if schedule != 'constant' else ''}"
        )
        worst = list(checks.parity(net, names, run))
    out.print(parity_table(worst, run.dtype))
    tolerance = checks.TOLERANCE[run.dtype]
    out.print(
        "Largest differences from NumPy in float64, divided by the tensor's largest entry. "
        f"Tolerance: {tolerance:g}."
    )
    differ = [d.backend for d in worst if not d.agrees(run.dtype)]
    if differ:
        raise RunError(f"{', '.join(differ)}: not within {tolerance:g} of the reference")
