"""The command ``cost``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alexnet import backends
from alexnet.cli.options import Model, Size, out
from alexnet.errors import RunError


def cost(
    model: Model = "alexnet",
    batch_size: Annotated[int, typer.Option(help="Images in the mini-batch.")] = 128,
    size: Size = None,
    measures: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Measure the limits of this machine, and each layer in one framework, within about a "
            "minute.",
        ),
    ] = True,
    backend: Annotated[
        str | None,
        typer.Option(
            help=f"Framework that is measured: {', '.join(backends.FRAMEWORKS)}. Default: the first one "
            "that is installed."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu. Default: cpu.")] = None,
    path: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results. Default: runs/cost-NET-TIME."),
    ] = None,
) -> None:
    """Show what each layer of a net costs: parameters, arithmetic, memory and bytes moved.

    Compares the speed of each layer with the limits of this machine (the roofline).
    """
    from alexnet.cli.nets import at_size
    from alexnet.costs.cost import FILE
    from alexnet.costs.cost import cost as cost_of
    from alexnet.costs.measure import check, default_backend, measure
    from alexnet.workers.folders import locked, new_folder

    if not measures and (backend or device):
        raise RunError("--backend and --device choose what is measured; leave out --no-measure")
    found = cost_of(at_size(model, size), batch_size)
    name, place = backend or default_backend(), device or "cpu"
    if measures:
        check(found.net, name, place)
    folder = new_folder(
        f"cost-{found.net.name}",
        path,
        [FILE],
        holds="the cost of a net",
        advice="choose another folder with --out",
    )
    with locked(folder, "measurement"):
        if measures:
            measured = measure(found.net, found.batch_size, name, place, folder, out.print)
            found = replace(found, measured=measured)
        files = found.save(folder)
    for part in found.summary():
        out.print(part, soft_wrap=isinstance(part, str))
    out.print(f"Run folder: {folder}; it has {', '.join(files)}")
    if found.measured is not None and found.measured.problems:
        what = ", ".join(found.measured.problems)
        raise RunError(f"cannot measure {what}; the reasons are above, the logs are in {folder}")
