"""The command ``sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexnet import backends
from alexnet.cli.options import Data, Device, Full, NativeDropout, Pythons, named_backends, out
from alexnet.errors import RunError
from alexnet.spec import zoo
from alexnet.sweeps.settings import SETTINGS, option, parse

if TYPE_CHECKING:
    from alexnet.sweeps.results import Sweep


def _option(name: str) -> Any:
    """Return the option of a setting: several values, with commas between them."""
    return typer.Option(
        option(name), metavar="VALUES", help=SETTINGS[name].help, rich_help_panel="Settings"
    )


def sweep(
    model: Annotated[
        str | None, typer.Argument(help=f"Net: {', '.join(zoo.ZOO)}. Not needed with --resume.")
    ] = None,
    activation: Annotated[str | None, _option("activation")] = None,
    pool: Annotated[str | None, _option("pool")] = None,
    pool_window: Annotated[str | None, _option("pool_window")] = None,
    dropout: Annotated[str | None, _option("dropout")] = None,
    norm: Annotated[str | None, _option("norm")] = None,
    width: Annotated[str | None, _option("width")] = None,
    batch_size: Annotated[str | None, _option("batch_size")] = None,
    lr: Annotated[str | None, _option("lr")] = None,
    momentum: Annotated[str | None, _option("momentum")] = None,
    nesterov: Annotated[str | None, _option("nesterov")] = None,
    schedule: Annotated[str | None, _option("schedule")] = None,
    epochs: Annotated[str | None, _option("num_epochs")] = None,
    examples: Annotated[str | None, _option("train_examples")] = None,
    test_examples: Annotated[str | None, _option("test_examples")] = None,
    precision: Annotated[str | None, _option("precision")] = None,
    normalize: Annotated[str | None, _option("normalize")] = None,
    flip: Annotated[str | None, _option("flip")] = None,
    crop: Annotated[str | None, _option("crop")] = None,
    resize: Annotated[str | None, _option("resize")] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--backends",
            help=f"Backends, such as torch,paddle. Default: {backends.DEFAULT} if it is installed, else "
            f"{backends.REFERENCE}.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Number of seeds for every combination. Default: 1.", min=1),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The first random seed. Default: 0.", min=0)
    ] = None,
    full: Full = None,
    data: Data = None,
    native_dropout: NativeDropout = False,
    device: Device = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results. Default: runs/sweep-TIME."),
    ] = None,
    resumed: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FOLDER",
            help="Run what is missing in this sweep, and add the values, backends and seeds that you give.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="List the runs and estimate their time, but start nothing."),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of a Dask scheduler, such as tcp://node1:8786, whose workers do the runs. Needs "
            "the extra named cluster.",
        ),
    ] = None,
    pythons: Pythons = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            help="Number of runs at the same time on this machine. Each gets a GPU and its share of the "
            "cores. Default: 1.",
            min=1,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds without a message after which a run is stopped. Default: 600."),
    ] = None,
) -> None:
    """Train a net with every combination of settings, and show which settings matter.

    A setting takes one value, or several with commas between them: --lr 0.1,0.5.
    """
    from alexnet.comparison.plan import interpreters

    given = {
        "activation": activation,
        "pool": pool,
        "pool_window": pool_window,
        "dropout": dropout,
        "norm": norm,
        "width": width,
        "batch_size": batch_size,
        "lr": lr,
        "momentum": momentum,
        "nesterov": nesterov,
        "schedule": schedule,
        "num_epochs": epochs,
        "train_examples": examples,
        "test_examples": test_examples,
        "precision": precision,
        "normalize": normalize,
        "flip": flip,
        "crop": crop,
        "resize": resize,
    }
    settings = {name: parse(name, text) for name, text in given.items() if text is not None}
    options = {
        "full": full,
        "data": data,
        "device": device,
        "seed": seed,
        "seeds": seeds,
        "shared_dropout": False if native_dropout else None,
        "pythons": interpreters(pythons) if pythons else None,
        "parallel": parallel,
        "timeout": timeout,
    }
    options = {name: value for name, value in options.items() if value is not None}
    names = named_backends(only)
    if resumed is not None:
        if folder is not None:
            raise RunError(f"--out {folder} cannot be used with --resume {resumed}")
        _resume(resumed, model, settings, names, options, dry_run, scheduler)
    else:
        _begin(model, settings, names, options, dry_run, folder, scheduler)


def _begin(
    model: str | None,
    settings: dict[str, Any],
    names: list[str] | None,
    options: dict[str, Any],
    dry: bool,
    folder: Path | None,
    scheduler: str | None,
) -> None:
    from alexnet.comparison.plan import images_line
    from alexnet.sweeps.plan import plan
    from alexnet.sweeps.results import Sweep
    from alexnet.sweeps.run import run_plan
    from alexnet.sweeps.terminal import SweepWatcher

    if model is None:
        raise RunError(f"name the net to sweep; known nets: {', '.join(zoo.ZOO)}")
    planned = plan(model, settings, names, **options)
    out.print(images_line(planned.root))
    if dry:
        _list(Sweep(planned, folder or Path("runs"), "", planned.rows()))
        return
    _conclude(run_plan(planned, folder, SweepWatcher(), scheduler))


def _resume(
    folder: Path,
    model: str | None,
    settings: dict[str, Any],
    names: list[str] | None,
    options: dict[str, Any],
    dry: bool,
    scheduler: str | None,
) -> None:
    from alexnet.sweeps.results import Sweep
    from alexnet.sweeps.run import extended, resume
    from alexnet.sweeps.terminal import SweepWatcher

    if dry:
        _list(extended(Sweep.load(folder), model, settings, names, **options))
        return
    _conclude(resume(folder, SweepWatcher(), scheduler, model, settings, names, **options))


def _list(planned: Sweep) -> None:
    """Print the runs that are missing, and how long they will take."""
    from alexnet.sweeps.estimate import dry_run
    from alexnet.sweeps.table import shared

    out.print(shared(planned))
    for part in dry_run(planned):
        out.print(part, soft_wrap=isinstance(part, str))


def _conclude(found: Sweep) -> None:
    """Print the results. Raises typer.Exit(130) after Ctrl-C, and RunError if a run failed."""
    from alexnet.sweeps.page import PAGE

    for part in found.summary():
        out.print(part, soft_wrap=isinstance(part, str))
    out.print(f"Run folder: {found.folder}; open {PAGE} in it for all results")
    if found.interrupted:
        raise typer.Exit(130)
    failed = sum(bool(row.problem) for row in found.rows)
    if failed:
        raise RunError(
            f"{failed} of {len(found.rows)} runs failed; alexnet sweep --resume {found.folder} tries them "
            "again"
        )
