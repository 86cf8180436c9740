"""Measures training steps in several processes, with and without the sums over all of them.

A worker process (`alexnet.bench.worker`) measures one process by itself. For more, it starts them with the
framework's own launcher.
"""

from __future__ import annotations

from typing import Any

from alexnet.backends.world import World
from alexnet.bench.cases import STEPS
from alexnet.bench.job import Job
from alexnet.bench.measure import Bench, load_data
from alexnet.train import epochs_on
from alexnet.workers import parallel
from alexnet.workers.member import Member


def measure(job: Job, send: Any) -> None:
    """Measure the only case of a job. Send ``measured`` after each turn.

    Raises what `alexnet.workers.parallel.run` raises.
    """
    (case,) = job.cases
    number = case.processes or 1
    if number == 1:
        take_turns(job, send)
    else:
        parallel.run(job, number, __name__, lambda event: send(event.pop("event"), **event))


def take_part(text: str, member: Member) -> None:
    """Measure in one process of several. Process 0 sends the times of the slowest process."""
    take_turns(Job.from_json(text), _send_nothing if member.rank else member.send)


def _send_nothing(event: str, **fields: Any) -> None:
    pass


def take_turns(job: Job, send: Any) -> None:
    """Measure both kinds of steps in turn, in this process and at the same time in the others.

    The plain step trains a net on the rows of this process. The reduced step does the same with another
    net, and adds up the gradients of all processes; it is left out if this process is alone. Every process
    begins at the same time. The slowest one decides. The first turn has the order of the job's parts; then
    every turn has the opposite order of the turn before.
    """
    ((case, loaders),) = zip(job.cases, load_data(job), strict=True)
    bench = Bench(job, case, loaders)
    net = bench.net()
    world = World.of(net)
    X, y = next(epochs_on(bench.train_iter, net, world)(0))  # own rows of X, all labels
    rows, _ = world.rows(len(y))
    plain, reduced = STEPS
    ways = {plain: (bench.steps(net), X, y[rows])}
    if world.size > 1:
        ways[reduced] = (bench.steps(bench.net(), world), X, y)
    for way in ways.values():
        for _ in range(2):  # frameworks compile in the first steps, and arrange their buffers
            bench.take(*way)
    order = [name for name in job.parts if name in ways]
    for turn in range(case.turns):
        figures = {}
        for name in order[:: -1 if turn % 2 else 1]:
            world.wait()
            figures[name] = _slowest(world, bench.seconds_per_step(*ways[name]))
        send("measured", case=0, precision=bench.used, figures=figures)


def _slowest(world: World, seconds: float) -> float:
    """Return the largest of the seconds that all processes give."""
    values = [0.0] * world.size
    values[world.rank] = seconds
    return max(world.total(values))
