"""The program of the worker that measures each layer, which `alexnet.workers.processes` starts."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from alexnet.backends import BoundNet, Passes
from alexnet.backends.nets import build
from alexnet.costs.job import Job
from alexnet.costs.layers import first_learned
from alexnet.spec import Net
from alexnet.workers.worker import introduce, message_of, serve

FEWEST, SECONDS = 3, 0.3  # runs of a layer: at least so many, and for so long


def run(job: Job, send: Any) -> None:
    """Measure the layers of a net one after another, and send a ``measured`` event after each.

    Each layer is a net of its own. Its input is the output of the layer before it, so it has the layout in
    memory that it has in the whole net. A layer that fails sends ``failed``, and ends the job.
    """
    backend, device = introduce(job.backend, job.device, send)
    table = Net.from_dict(job.net).resolve()
    first = first_learned(table)
    pixels = np.random.default_rng(0).random((job.batch_size, *table.input_shape), np.float32)
    X = BoundNet(None, backend, device).to_tensor(pixels)
    for row in table.rows:
        try:
            layer = Net(table.name, row.input_shape, (row.layer,))
            net = build(layer, job.backend, device=device)
            passes = backend.Passes(net, input_gradient=row.index > first)
            with backend.computing_in(net, "float32"):
                figures, X = measure(
                    passes, X, row.index >= first, lambda: backend.synchronize(device)
                )
        except Exception as error:
            send("failed", case=row.index, part="", message=message_of(error))
            return
        send("measured", case=row.index, precision="float32", figures=figures)
        del net, passes
        gc.collect()  # nets hold circles of references


def measure(
    passes: Passes, X: Any, goes_back: bool, wait: Callable[[], None]
) -> tuple[dict[str, float], Any]:
    """Return the seconds of the fastest forward and backward pass, and the output.

    ``goes_back``: whether there is a backward pass. Its gradient of the output is the output itself: the
    values do not change the time, and it has the right shape, layout and device. ``wait`` waits for the
    device. The first run does not count, because it compiles and allocates.
    """
    y: Any = None

    def once() -> tuple[float, float]:
        nonlocal y
        wait()
        begun = time.perf_counter()
        y = passes.forward(X)
        wait()
        turned = time.perf_counter()
        if goes_back:
            passes.backward(y)
            wait()
        return turned - begun, time.perf_counter() - turned

    once()
    runs, ends = list[tuple[float, float]](), time.perf_counter() + SECONDS
    while len(runs) < FEWEST or time.perf_counter() < ends:
        runs.append(once())
    forward, backward = map(min, zip(*runs, strict=True))
    return {"forward": forward} | ({"backward": backward} if goes_back else {}), y


def main() -> int:
    """Do the `Job` that standard input gives. Returns the exit status: 0, or 1 after an error."""
    return serve(lambda text, send: run(Job.from_json(text), send))
