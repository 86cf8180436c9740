"""The program of a bench's worker, which `alexnet.workers.processes` starts."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from alexnet.bench import processes
from alexnet.bench.cases import Case, in_turns
from alexnet.bench.job import Job
from alexnet.bench.limits import PEAKS
from alexnet.bench.measure import Bench, Figures, load_data
from alexnet.workers.worker import introduce, message_of, serve


def run(job: Job, send: Any) -> None:
    """Measure the cases of a job and send an event after each part.

    ``measured`` has the figures of a part, and ``failed`` its error; then the next part runs. A case that
    trains in the precision of an earlier case has no figures.
    """
    introduce(job.backend, job.device, send)
    if job.parts == PEAKS:
        machine = import_module(f"alexnet.bench.peaks.{job.backend}")
        for number, case in enumerate(job.cases):
            measure = partial(machine.peaks, job.device, case.precision)
            _send_figures(number, "peaks", case.precision, measure, send)
        send("bandwidth", figures=machine.bandwidth(job.device))
        return
    if job.cases[0].processes is not None:
        processes.measure(job, send)
        return
    done: list[Case] = []  # with the precisions that were used
    for number, (case, loaders) in enumerate(zip(job.cases, load_data(job), strict=True)):
        try:
            bench = Bench(job, case, loaders)
        except Exception as error:
            send("failed", case=number, part="", message=message_of(error))
            continue
        if (used := replace(case, precision=bench.used)) in done:
            send("measured", case=number, precision=bench.used, figures={})
            continue
        trained = any(other.precision == bench.used for other in done)
        for part in in_turns(job.parts, case.turns):
            if part == "recipe" and trained:  # the recipe has its own batch size
                continue
            measure = partial(bench.recipe, send) if part == "recipe" else getattr(bench, part)
            if part != "loader" or not any(_same_batches(case, other) for other in done):
                _send_figures(number, part, bench.used, measure, send)
            gc.collect()  # nets hold circles of references
        done.append(used)


def _same_batches(case: Case, other: Case) -> bool:
    """Return whether the loader of two cases does the same."""
    return (case.size, case.batch_size) == (other.size, other.batch_size)


def _send_figures(
    number: int, part: str, precision: str, measure: Callable[[], Figures], send: Any
) -> None:
    """Measure a part of a case and send its figures, or its error."""
    try:
        figures = measure()
    except Exception as error:
        send("failed", case=number, part=part, message=message_of(error))
    else:
        send("measured", case=number, precision=precision, figures=figures)


def main() -> int:
    """Do the `Job` that standard input gives. Returns the exit status: 0, or 1 after an error."""
    return serve(lambda text, send: run(Job.from_json(text), send))
