"""Fills rows: runs a worker for each row, records its events, and tells a watcher."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from alexnet import backends
from alexnet.backends.nets import render
from alexnet.comparison.attempt import Attempt
from alexnet.comparison.rows import Row
from alexnet.errors import AlexNetError
from alexnet.spec.weights import initial_weights
from alexnet.training.recipes import net_for
from alexnet.workers.job import Job, initial_logits
from alexnet.workers.processes import Task

CHECKPOINTS = "checkpoints"  # in a run's folder, for the rows that are not finished

Events = Generator[tuple[Task, dict[str, Any]]]
"""The events of tasks, as `alexnet.workers.processes.run` yields them."""


class Watcher(Protocol):
    """The methods that a run of several workers calls."""

    def begin(self, rows: Sequence[Row]) -> None:
        """Called before the workers start. ``rows``: the rows that will run."""

    def event(self, row: Row, event: dict[str, Any]) -> None:
        """Called for each event of `alexnet.workers.events`, and for ``start`` and ``end``."""

    def finish(self, row: Row) -> None:
        """Called when a row's worker has ended, or cannot start."""

    def end(self) -> None:
        """Called at the end, also after Ctrl-C."""


class NullWatcher:
    """Ignores all events."""

    def begin(self, rows: Sequence[Row]) -> None:
        pass

    def event(self, row: Row, event: dict[str, Any]) -> None:
        pass

    def finish(self, row: Row) -> None:
        pass

    def end(self) -> None:
        pass


def fill(
    tasks: Mapping[str, Task],
    rows: Sequence[Row],
    run: Callable[[Sequence[Task]], Events],
    watcher: Watcher,
    save: Callable[[Row], None],
    advice: str,
) -> bool:
    """Run the tasks of rows, and return whether Ctrl-C ended them early.

    ``tasks``: by the name of their row; a row without a task has a framework that is not installed.
    ``run`` yields the events of tasks. ``save`` is called after each row. After Ctrl-C, the rows without a
    result say that they were interrupted, with the ``advice``.
    """
    attempts = {row.name: Attempt(row) for row in rows}
    reference: dict[tuple[Any, ...], np.ndarray] = {}
    watcher.begin(rows)
    try:
        for attempt in attempts.values():
            if attempt.row.name not in tasks:
                attempt.fail(backends.framework(attempt.row.backend).missing)
                attempt.row.missing = True
                save(attempt.row)
                watcher.finish(attempt.row)
        with closing(run(list(tasks.values()))) as events:
            for task, event in events:
                attempt, key = attempts[task.job.row], _images_and_weights(task.job)
                if event["event"] == "start" and key not in reference:  # before the worker starts
                    reference[key] = _reference_logits(task.job)
                try:
                    attempt.record_event(event, reference[key])
                except (AlexNetError, ValueError, TypeError, ArithmeticError) as error:
                    why = f"sent the event {event['event']}, which cannot be read ({error})"
                    attempt.fail(why)
                    continue
                watcher.event(attempt.row, event)
                if event["event"] == "end":
                    save(attempt.row)
                    watcher.finish(attempt.row)
    except KeyboardInterrupt:
        for attempt in attempts.values():
            attempt.interrupt(advice)
        return True
    finally:
        watcher.end()
    return False


def _images_and_weights(job: Job) -> tuple[Any, ...]:
    """Return what the initial logits of a job depend on."""
    recipe = job.recipe
    return job.model, job.seed, job.root, recipe.resize, recipe.normalize, recipe.test_examples


def _reference_logits(job: Job) -> np.ndarray:
    """Return the reference's initial logits (N, classes) in float64, for the net and seed of a job."""
    table = net_for(job.model, job.recipe)
    reference = backends.load(backends.REFERENCE)
    net = render(table, reference, reference.cpu(), "float64")
    reference.set_weights(net.native, initial_weights(table.parameters, job.seed))
    return initial_logits(job, net)


def checkpoint_of(folder: Path, name: str) -> Path:
    """Return the path of the checkpoint of the row ``name``, which is deleted when the row is finished."""
    return (folder / CHECKPOINTS / f"{name}.safetensors").absolute()


def needs_worker(row: Row, checkpoint: Path) -> bool:
    """Return whether a worker must run for this row.

    A worker must run if the row has no training result. It must also run if the answers or the parity
    check are missing and the row's checkpoint exists.
    """
    return row.history is None or (not row.finished and checkpoint.exists())
