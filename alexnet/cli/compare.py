"""Commands that compare frameworks, and that write the report of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexnet.cli.options import (
    Backends,
    BatchSize,
    Data,
    Device,
    Epochs,
    Examples,
    Full,
    LearningRate,
    Models,
    Momentum,
    Pythons,
    Resize,
    Seed,
    Timeout,
    named_backends,
    out,
)
from alexnet.errors import RunError

if TYPE_CHECKING:
    from alexnet.comparison.results import Comparison


def compare(
    models: Models = None,
    only: Backends = None,
    full: Full = None,
    data: Data = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    momentum: Momentum = None,
    resize: Resize = None,
    examples: Examples = None,
    seed: Seed = 0,
    device: Device = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="The run's folder. Default: runs/…"),
    ] = None,
    pythons: Pythons = None,
    parallel: Annotated[
        int,
        typer.Option(help="Backends at a time, each with a GPU and its share of the cores.", min=1),
    ] = 1,
    timeout: Timeout = 600.0,
    resumed: Annotated[
        Path | None,
        typer.Option("--resume", help="Go on with what that run lacks. All else is as it was."),
    ] = None,
) -> None:
    """Train nets in every framework, from the same weights on the same images, side by side."""
    from alexnet.comparison.plan import describe_data, interpreters, plan
    from alexnet.comparison.run import resume, run_plan
    from alexnet.comparison.terminal import TerminalWatcher

    if resumed is not None:
        _conclude(resume(resumed, TerminalWatcher()))
        return
    planned = plan(
        models or ["alexnet"],
        named_backends(only),
        full,
        data,
        device,
        pythons=interpreters(pythons or []),
        parallel=parallel,
        timeout=timeout,
        num_epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        resize=resize,
        train_examples=examples,
    )
    out.print(f"Images: {describe_data(planned.root)}")
    comparison = run_plan(planned, seed=seed, device=device, out=folder, watcher=TerminalWatcher())
    _conclude(comparison)


def _conclude(comparison: Comparison) -> None:
    """Print what came of a comparison, and write its report."""
    from alexnet.comparison.report import REPORT, keep_report
    from alexnet.comparison.rows import titles

    for part in comparison.summary():
        out.print(part, soft_wrap=isinstance(part, str))
    problem = keep_report(comparison)
    out.print(f"Run folder: {comparison.folder}; {problem or f'all of it is in its {REPORT}'}")
    if comparison.interrupted:
        raise typer.Exit(130)
    ill = [r for r in comparison.rows if r.problem and (comparison.plan.named or not r.missing)]
    if ill:
        failed = [titles(comparison.rows)[row.name] for row in ill]
        raise RunError(
            f"{', '.join(failed)} did not come through; the logs are in {comparison.folder}"
        )


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of comparisons, such as runs/alexnet-….")
    ],
    path: Annotated[
        Path | None,
        typer.Option("--out", help="Default: report.html in the run's folder; of several, here."),
    ] = None,
) -> None:
    """Write the report of a comparison anew, or one of several, side by side."""
    from alexnet.comparison.report import REPORT, write_report
    from alexnet.comparison.results import Comparison

    comparisons = [Comparison.load(folder) for folder in runs]
    own = runs[0] / REPORT if len(runs) == 1 else Path(REPORT)
    out.print(str(write_report(comparisons, path or own)))
