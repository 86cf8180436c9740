"""The command line: ``alexnet summary``, ``show``, ``train``, ``compare``, ``report`` and so on."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from alexnet import __version__, backends
from alexnet.errors import AlexNetError, RunError
from alexnet.options import (
    Backends,
    BatchSize,
    Data,
    Device,
    Epochs,
    Examples,
    Full,
    LearningRate,
    Model,
    Models,
    Momentum,
    Pythons,
    Resize,
    Seed,
    Size,
    Timeout,
)
from alexnet.spec import ResolvedNet, zoo

if TYPE_CHECKING:
    from alexnet.comparison.results import Comparison

app = typer.Typer(
    help="AlexNet, written once as a table, in NumPy, PyTorch, MXNet, TensorFlow and Paddle.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False, soft_wrap=True, markup=False)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"alexnet {__version__}")
        raise typer.Exit


@app.command()
def summary(
    model: Model = "alexnet",
    size: Size = None,
) -> None:
    """Print the table of a net's layers: shapes, parameters, arithmetic, memory."""
    from alexnet.views.tables import summary_table

    out.print(summary_table(_at_size(model, size)))


def _at_size(model: str, size: int | None) -> ResolvedNet:
    net = zoo.get(model)
    return net.resolve((net.input_shape[0], size, size) if size is not None else None)


@app.command()
def show(
    model: Model = "alexnet",
    backend: Annotated[
        str, typer.Option(help=f"{', '.join(backends.FRAMEWORKS)}, or all, side by side.")
    ] = "all",
    size: Size = None,
) -> None:
    """Print the source of a net in a framework, ready to paste."""
    from alexnet.backends.source import source
    from alexnet.views.tables import side_by_side

    net = _at_size(model, size)
    names = list(backends.FRAMEWORKS) if backend == "all" else [backend]
    programs = {backends.framework(name).title: source(net, name) for name in names}
    if out.is_terminal:
        out.print(side_by_side(programs, out.width), soft_wrap=False)
    else:  # to a file, or to another program
        print("\n\n".join(programs.values()), end="")


@app.command()
def train(
    model: Model = "alexnet",
    backend: Annotated[str, typer.Option(help=", ".join(backends.FRAMEWORKS))] = "torch",
    full: Full = False,
    data: Data = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    momentum: Momentum = None,
    resize: Resize = None,
    examples: Examples = None,
    seed: Seed = 0,
    device: Device = None,
    save: Annotated[Path | None, typer.Option(help="Write the history there, as JSON.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Keep weights and training there, after every epoch (.safetensors)."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, with the same settings.")
    ] = False,
) -> None:
    """Train one net in one framework."""
    from alexnet.comparison.plan import describe_data, plan
    from alexnet.train import train_ch6
    from alexnet.workers.worker import Job

    backends.load(backend)
    if save:
        _require_writable(save)
    planned = plan(
        [model],
        [backend],
        full,
        data,
        device,
        num_epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        resize=resize,
        train_examples=examples,
    )
    out.print(f"Images: {describe_data(planned.root)}")
    (recipe,) = planned.recipes.values()
    train_iter, test_iter = Job(model, backend, recipe, seed, planned.root).load_data()
    history = train_ch6(
        model,
        train_iter,
        test_iter,
        recipe.num_epochs,
        recipe.lr,
        device,
        backend=backend,
        momentum=recipe.momentum,
        seed=seed,
        checkpoint=checkpoint,
        resume=resume,
    )
    if save:
        history.save(save)


@app.command()
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
    from alexnet.comparison.run import carry_out, resume
    from alexnet.comparison.terminal import TerminalWatcher

    if resumed is not None:
        _conclude(resume(resumed, TerminalWatcher()))
        return
    planned = plan(
        models or ["alexnet"],
        _names(only),
        full,
        data,
        device,
        pythons=interpreters(pythons or []),
        parallel=parallel,
        silence=timeout,
        num_epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        momentum=momentum,
        resize=resize,
        train_examples=examples,
    )
    out.print(f"Images: {describe_data(planned.root)}")
    comparison = carry_out(planned, seed=seed, device=device, out=folder, watcher=TerminalWatcher())
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


@app.command()
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


@app.command()
def parity(
    model: Model = "alexnet",
    only: Annotated[
        str | None,
        typer.Option("--backends", help="Such as torch,paddle. Default: all that are installed."),
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Steps of SGD before weights are compared.", min=1)
    ] = 20,
    batch_size: Annotated[int, typer.Option(help="Images in a batch.", min=1)] = 4,
    dtype: Annotated[
        str,
        typer.Option(
            help="float32, on images that stand away from the net's kinks (see the README), or float64."
        ),
    ] = "float32",
    dropout: Annotated[
        bool, typer.Option(help="Compare dropout too, with masks that NumPy draws.")
    ] = False,
    nets: Annotated[
        int | None,
        typer.Option("--random", help="Compare that many random nets, in float64.", min=1),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Compare what every framework computes with the NumPy reference in double precision."""
    from alexnet.parity import check as checks
    from alexnet.parity.table import parity_table

    wanted = _names(only)
    if nets is not None:
        run = checks.Settings(3, seed=seed, dtype="float64", dropout=True)
        names = checks.backends_to_compare(wanted)
        out.print(f"{nets} random nets, 3 steps each, with dropout, in float64")
        worst = checks.worst_of_random(nets, names, run, out.print)
    else:
        net = zoo.get(model)
        run = checks.Settings(steps, batch_size, seed=seed, dtype=dtype, dropout=dropout)
        names = checks.backends_to_compare(wanted)
        out.print(
            f"{net.name}, {steps} steps of SGD on batches of {batch_size}, {dtype}, "
            f"{'with' if dropout else 'without'} dropout"
        )
        worst = list(checks.parity(net, names, run))
    out.print(parity_table(worst, run.dtype))
    tolerance = checks.TOLERANCE[run.dtype]
    out.print(
        f"Largest differences from NumPy in float64, over a tensor's largest entry; up to {tolerance:g}."
    )
    differ = [d.backend for d in worst if not d.agrees(run.dtype)]
    if differ:
        raise RunError(f"{', '.join(differ)}: not within {tolerance:g} of the reference")


@app.command()
def doctor(
    only: Backends = None,
    pythons: Pythons = None,
    timeout: Timeout = 600.0,
) -> None:
    """Say of every backend whether it is there, what it can use, and whether it computes rightly."""
    from alexnet.comparison.plan import interpreters
    from alexnet.doctor import examine

    names = _names(only)
    ill = []
    for finding in examine(
        names or list(backends.FRAMEWORKS), interpreters(pythons or []), timeout
    ):
        out.print(f"{backends.framework(finding.backend).title} {finding.version}".rstrip())
        for title in ("problem", "self_test", "gpu", "threads", "python"):
            if text := getattr(finding, title):
                out.print(f"  {title.replace('_', '-')}: {text}")
        for trap in finding.traps:
            out.print(f"  trap: {trap}")
        if not finding.well and (names or not finding.missing):
            ill.append(finding.backend)
    if ill:
        raise RunError(f"{', '.join(ill)} cannot be used as it is")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A checkpoint of alexnet.save or alexnet train.")],
    to: Annotated[str, typer.Option(help=", ".join(backends.FRAMEWORKS))],
    path: Annotated[
        Path | None, typer.Option("--out", help="The new file. Default: beside the checkpoint.")
    ] = None,
) -> None:
    """Write a checkpoint in a framework's own format, which it reads without this library."""
    from alexnet.training.checkpoint import convert

    out.print(str(convert(source, to, path)))


def _names(only: str | None) -> list[str] | None:
    """The backends of an option such as ``torch,paddle``; None if it was not given."""
    names = [name.strip() for name in only.split(",")] if only else None
    for name in names or ():
        backends.framework(name)
    return names


def _require_writable(path: Path) -> None:
    """Refuse, before a long run, a path that cannot be written to after it."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise RunError(f"--save {path}: a file cannot be written there")


def main() -> None:
    """Run the command line; an error of this library is one sentence and exit status 1."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the worker
    try:
        app()
    except AlexNetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
