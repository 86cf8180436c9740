"""The command ``train``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alexnet import backends
from alexnet.cli.options import (
    BatchSize,
    Data,
    Device,
    Epochs,
    Examples,
    LearningRate,
    Model,
    Momentum,
    Nesterov,
    Precision,
    Resize,
    Schedule,
    Seed,
    Workers,
    out,
)
from alexnet.errors import RunError


def train(
    model: Model = "alexnet",
    backend: Annotated[
        str, typer.Option(help=f"{', '.join(backends.FRAMEWORKS)}.")
    ] = backends.DEFAULT,
    full: Annotated[
        bool,
        typer.Option("--full/--quick", help="Use the book's recipe, or a quick one for a CPU."),
    ] = False,
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
    device: Device = None,
    save: Annotated[
        Path | None, typer.Option(help="File for the training history, as JSON.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="File for the weights and the training state (.safetensors), written after every epoch."
        ),
    ] = None,
    workers: Workers = 1,
    sync_batch_norm: Annotated[
        bool,
        typer.Option(
            "--sync-batch-norm",
            help="With --workers: batch normalisation uses the statistics of the whole batch, by the "
            "framework's own layer (PyTorch and Paddle on GPUs, TensorFlow).",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from --checkpoint, with the same settings.")
    ] = False,
) -> None:
    """Train one net in one framework."""
    from alexnet.comparison.plan import images_line, plan
    from alexnet.comparison.table import processes_of, recipe_line
    from alexnet.workers.job import Job
    from alexnet.workers.training import train_in_processes

    backends.load(backend)
    if save:
        _require_writable(save)
    planned = plan(
        [model],
        [backend],
        full,
        data,
        device,
        workers=workers,
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
    (recipe,) = planned.recipes.values()
    title = backends.framework(backend).title
    line = f"{recipe_line(f'{model} in {title}', recipe)}, seed {seed}"
    out.print(f"{line}, {processes_of(planned)}" if workers > 1 else line)
    job = Job(model, backend, recipe, seed, planned.root, device, shared_dropout=False)
    job = replace(
        job,
        checkpoint=str(checkpoint) if checkpoint else None,
        resume=resume,
        sync_batch_norm=sync_batch_norm,
    )
    history = train_in_processes(job, workers) if workers > 1 else job.train(*job.load_data())
    if save:
        history.save(save)


def _require_writable(path: Path) -> None:
    """Raise RunError if the path cannot be written, so that a long run does not fail at its end."""
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise RunError(f"--save {path}: cannot write a file there")
