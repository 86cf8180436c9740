"""Compare the model of the time of a step on several processes with measurements over limited links.

    python benchmarks/links.py [--rates 100mbit,1gbit,none] [--nets lenet,alexnet] [--processes 2]

Needs Linux, root, and the programs ``ip`` and ``tc`` (package iproute2). Each process of PyTorch runs in
its own network namespace with one thread. A virtual switch joins the namespaces; ``tc`` limits what each
sends. All namespaces are removed at the end.

For each rate and net, prints the measured and the modelled time (`alexnet.costs.scaling`) of a training
step and of an evaluation, and the error of the model. The inputs of the model are measured in the same run:
the step of a process on its rows without communication ("alone"); how much longer it takes if the processes
add up 64 numbers after it (latency); the rate of a limited link, through plain sockets; and, for the link
without a limit, an all-reduce of 32 MB (rate and copying).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import alexnet
from alexnet.backends.nets import BoundNet, build
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps
from alexnet.backends.world import World
from alexnet.costs.scaling import Link, all_reduce, step_time
from alexnet.spec import zoo
from alexnet.train import epochs_on
from alexnet.training.loop import fraction_right
from alexnet.workers.worker import keep_freed_memory

CASES = {"lenet": (None, 256, 1000, 8, 12), "alexnet": (224, 16, 32, 4, 2)}
"""For each net: size of the images, batch of all processes together, test images, turns, and steps in each
turn. In a turn, all times are measured, one after the other."""
BURSTS = {"100mbit": "16kb", "1gbit": "128kb", "10gbit": "1mb"}
"""For each rate: what a link may send at once after a pause. With less, the timers are too slow."""
PROBE, STREAM = 32_000_000, 8_000_000  # bytes
LOGITS = 8 * 10  # bytes that an evaluation sends for an image: ten classes in float64
PORT = 29501
SWITCH, PREFIX = "alexnet-switch", "alexnet-"
TIMEOUT = 400  # seconds for one rate


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def address(rank: int) -> str:
    return f"10.77.0.{rank + 1}"


@contextmanager
def network(processes: int, rate: str) -> Iterator[list[str]]:
    """Yield the names of joined network namespaces, in which ``rate`` limits what each sends."""
    names = [f"{PREFIX}{number}" for number in range(processes)]
    try:
        run("ip", "netns", "add", SWITCH)
        run("ip", "-n", SWITCH, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", SWITCH, "link", "set", "br0", "up")
        for number, name in enumerate(names):
            run("ip", "netns", "add", name)
            own = ("ip", "-n", name)
            port = f"port{number}"
            run(*own, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", SWITCH)
            run("ip", "-n", SWITCH, "link", "set", port, "master", "br0", "up")
            run(*own, "addr", "add", f"{address(number)}/24", "dev", "eth0")
            run(*own, "link", "set", "lo", "up")
            run(*own, "link", "set", "eth0", "up")
            if rate != "none":
                words = f"root tbf rate {rate} burst {BURSTS[rate]} latency 100ms".split()
                run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "eth0", *words)
        yield names
    finally:
        for name in (*names, SWITCH):
            with suppress(subprocess.CalledProcessError):
                run("ip", "netns", "delete", name)


def measure(rate: str, nets: Sequence[str], processes: int) -> dict[str, Any]:
    """Return what process 0 measures, in seconds."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "eth0",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    with network(processes, rate) as names:
        started = []
        try:
            for rank, name in enumerate(names):
                launcher = ["-m", "torch.distributed.run", "--nnodes", str(processes)]
                launcher += ["--node-rank", str(rank), "--nproc-per-node", "1"]
                launcher += ["--master-addr", address(0), "--master-port", "29500"]
                command = [
                    sys.executable,
                    *launcher,
                    __file__,
                    "--member",
                    "--nets",
                    ",".join(nets),
                ]
                started.append(
                    subprocess.Popen(
                        ["ip", "netns", "exec", name, *command],
                        env=environment,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
            printed = started[0].communicate(timeout=TIMEOUT)[0]
            if started[0].returncode:
                raise SystemExit(f"the processes failed at rate {rate}; see the messages above")
            for process in started:
                process.wait(TIMEOUT)
        finally:
            for process in started:
                process.terminate()
                process.wait()
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def seconds(work: Callable[[], Any], times: int, world: World) -> list[float]:
    """Return the seconds that each call takes. All processes start each call at the same time."""
    found = []
    for _ in range(times):
        world.wait()
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return found


def of_slowest(found: list[float], world: World) -> list[float]:
    """Return the seconds of the slowest process in each call."""
    everyone = [0.0] * (world.size * len(found))
    everyone[world.rank * len(found) : (world.rank + 1) * len(found)] = found
    everyone = world.total(everyone)
    return [max(everyone[n :: len(found)]) for n in range(len(found))]


def times_of(name: str) -> tuple[dict[str, float], World]:
    """Measure a net. Return the medians of the slowest process, in seconds."""
    size, batch, test_images, turns, steps = CASES[name]
    train_iter, test_iter = alexnet.load_fashion_mnist(
        batch, size, source="sample", subset=(batch, test_images)
    )
    native = build(name, "torch", 0, input_shape=train_iter.image_shape, device="cpu")
    net = BoundNet.of(native)
    world = World.of(net)
    X, y = next(iter(epochs_on(train_iter, net, world)(0)))

    def own(labels: Any) -> Any:
        return labels[world.rows(len(labels))[0]]

    test_batches = list(epochs_on(test_iter, net, world)(0))
    own_y, own_batches = own(y), [(images, own(labels)) for images, labels in test_batches]
    plain = net.backend.Trainer(native, 0.01, 0.0)
    reduced = Steps(net, Schedule("constant", 0.01, 1, None), world=world)
    predict = partial(net.backend.predict, native)
    works: dict[str, tuple[Callable[[], Any], int]] = {
        "compute": (lambda: float(plain.step(X, own_y)[0]), steps),
        "few numbers": (lambda: (float(plain.step(X, own_y)[0]), world.total([0.0] * 64)), steps),
        "step": (lambda: float(reduced.step(X, y)[0]), steps),
        "predict": (lambda: fraction_right(predict, own_batches), 3),
        "evaluation": (lambda: fraction_right(predict, test_batches, None, world), 3),
    }
    measured: dict[str, list[float]] = {work: [] for work in works}
    for _ in range(turns):
        for work, (call, times) in works.items():
            call()  # the first call after another work is slower
            measured[work] += of_slowest(seconds(call, times, world), world)
    return {work: statistics.median(values) for work, values in measured.items()}, world


def stream(world: World) -> None:
    """Send bytes to the next process, through a plain socket, while as many come from the one before."""
    with socket.create_server((address(world.rank), PORT)) as server:
        world.wait()
        there = socket.create_connection((address((world.rank + 1) % world.size), PORT))
        here, _ = server.accept()
    with there, here, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(there.sendall, bytes(STREAM))
        left = STREAM
        while left:
            left -= len(here.recv(1 << 20))
        sent.result()


def take_part(nets: Sequence[str]) -> None:
    """Measure in one process, together with the others; process 0 prints what it found as JSON."""
    keep_freed_memory()
    found: dict[str, Any] = {}
    for name in nets:
        found[name], world = times_of(name)
    import torch

    found["stream"] = statistics.median(of_slowest(seconds(lambda: stream(world), 5, world), world))
    values = torch.zeros(PROBE // 4)
    found["probe"] = statistics.median(
        seconds(lambda: torch.distributed.all_reduce(values), 5, world)
    )
    if not world.rank:
        print(json.dumps(found))


def link_of(rate: float, times: dict[str, float], processes: int, copying: float) -> Link:
    """Return the link that the model uses. ``rate``: bytes per second."""
    waited = max(0.0, times["few numbers"] - times["compute"])
    latency = waited / (2 * (processes - 1))
    return Link(rate, latency, copying)


def show(*cells: object) -> None:
    print("".join(f"{cell:>13}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", default="none,1gbit,100mbit")
    parser.add_argument("--nets", default="lenet,alexnet")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--member", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    nets, processes = given.nets.split(","), given.processes
    if given.member:
        take_part(nets)
        return
    if sys.platform != "linux" or os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        raise SystemExit(
            "links.py needs Linux, root, and the programs ip and tc (package iproute2)"
        )
    print(f"PyTorch, {processes} processes of one thread; times in ms")
    show("net", "link", "what", "alone", "measured", "model", "error")
    free = measure("none", nets, processes)
    copying = free["probe"] / (2 * (processes - 1) / processes * PROBE)
    for rate in given.rates.split(","):
        found = free if rate == "none" else measure(rate, nets, processes)
        per_second = 1 / copying if rate == "none" else STREAM / found["stream"]
        print(f"{rate}: {8e-6 * per_second:,.0f} Mbit/s")
        for name in nets:
            times = found[name]
            link = link_of(per_second, times, processes, copying)
            net = zoo.get(name).resolve()
            modelled = {
                "step": step_time(net, processes, times["compute"], link).total,
                "evaluation": times["predict"]
                + all_reduce(LOGITS * CASES[name][2], processes, link),
            }
            alone = {"step": times["compute"], "evaluation": times["predict"]}
            for what, expected in modelled.items():
                error = expected / times[what] - 1
                in_ms = (f"{1000 * value:.1f}" for value in (alone[what], times[what], expected))
                show(name, rate, what, *in_ms, f"{error:+.0%}")


if __name__ == "__main__":
    main()
