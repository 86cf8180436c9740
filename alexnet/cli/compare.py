"""The commands ``compare`` and ``report``."""

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
    NativeDropout,
    Nesterov,
    Precision,
    Pythons,
    Resize,
    Schedule,
    Seed,
    Seeds,
    Timeout,
    Workers,
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
    nesterov: Nesterov = None,
    schedule: Schedule = None,
    precision: Precision = None,
    resize: Resize = None,
    examples: Examples = None,
    seed: Seed = 0,
    seeds: Seeds = 1,
    native_dropout: NativeDropout = False,
    device: Device = None,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results. Default: runs/NETS-TIME."),
    ] = None,
    pythons: Pythons = None,
    workers: Workers = 1,
    parallel: Annotated[
        int,
        typer.Option(
            help="Number of frameworks that train at the same time. Each gets a GPU and its share of the "
            "cores.",
            min=1,
        ),
    ] = 1,
    timeout: Timeout = 600.0,
    resumed: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            help="Continue the unfinished run in this folder, with its own settings. Other options are "
            "ignored.",
        ),
    ] = None,
) -> None:
    """Train nets in every framework and compare the results.

    All frameworks start from the same weights and get the same images in the same order, with the same
    dropout masks.
    """
    from alexnet.comparison.plan import images_line, interpreters, plan
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
        workers=workers,
        timeout=timeout,
        seeds=seeds,
        shared_dropout=not native_dropout,
        num_epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        nesterov=nesterov,
        schedule=schedule,
        precision=precision,
        resize=resize,
        train_examples=examples,
    )
    out.print(images_line(planned.root))
    comparison = run_plan(planned, seed=seed, device=device, out=folder, watcher=TerminalWatcher())
    _conclude(comparison)


def _conclude(comparison: Comparison) -> None:
    """Print the results and write the report.

    Raises typer.Exit(130) after Ctrl-C, and RunError if a backend failed.
    """
    from alexnet.comparison.report import REPORT, keep_report
    from alexnet.comparison.rows import titles

    for part in comparison.summary():
        out.print(part, soft_wrap=isinstance(part, str))
    problem = keep_report(comparison)
    out.print(
        f"Run folder: {comparison.folder}; {problem or f'open {REPORT} in it for all results'}"
    )
    if comparison.interrupted:
        raise typer.Exit(130)
    failed = [r for r in comparison.rows if r.problem and (comparison.plan.named or not r.missing)]
    if failed:
        names = [titles(comparison.rows)[row.name] for row in failed]
        raise RunError(f"{', '.join(names)} failed; the logs are in {comparison.folder}")


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, such as runs/alexnet-….")],
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write. Default: report.html, in the run's folder, or in the working directory if "
            "there are several runs.",
        ),
    ] = None,
) -> None:
    """Write the report of one comparison, or of several side by side."""
    from alexnet.comparison.report import REPORT, write_report
    from alexnet.comparison.results import Comparison

    comparisons = [Comparison.load(folder) for folder in runs]
    default = runs[0] / REPORT if len(runs) == 1 else Path(REPORT)
    out.print(str(write_report(comparisons, path or default)))
