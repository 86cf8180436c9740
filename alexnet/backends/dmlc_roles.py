"""The roles of the processes of an MXNet run: one scheduler, servers and workers.

The environment variables DMLC_* give each process its role. ``import mxnet`` in a scheduler or a server
does not return: it serves the workers. MXNet waits forever for a worker that is lost. So the scheduler also
holds the roll call (`alexnet.backends.roll_call`), at the port after its own. The scheduler and the servers
end when all workers have ended.

On several machines, every process runs the same script, which imports alexnet before mxnet. Each has
DMLC_ROLE, DMLC_PS_ROOT_URI and DMLC_PS_ROOT_PORT (of the scheduler), DMLC_NUM_WORKER, DMLC_NUM_SERVER and
DMLC_NODE_HOST (its own address). A worker also has DMLC_TASK_ID, its number from 0.

The processes listen at DMLC_PS_ROOT_URI (scheduler) and DMLC_NODE_HOST (the others). They have no password,
and a server unpickles commands that it receives. So let them listen only in a network that you trust.
https://mxnet.apache.org/versions/1.9.1/api/faq/distributed_training
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from alexnet.backends.entry import Place, place_from
from alexnet.backends.roll_call import SILENCE, Host, Report
from alexnet.backends.timeout import timeout
from alexnet.errors import BackendError, RunError

ROLE, HOST, PORT = "DMLC_ROLE", "DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT"
WORKERS, RANK = "DMLC_NUM_WORKER", "DMLC_TASK_ID"
OWN_HOST = "DMLC_NODE_HOST"
LOOPBACK = ("127.0.0.1", "localhost")

HELPERS = ("scheduler", "server")  # roles of the processes that serve the workers


def free_port() -> int:
    """Return a port of this machine that is free, like the one after it, which the roll call needs."""
    while True:
        with socket.socket() as first, socket.socket() as second, suppress(OSError, OverflowError):
            first.bind((LOOPBACK[0], 0))
            port: int = first.getsockname()[1]
            second.bind((LOOPBACK[0], port + 1))
            return port


def on_this_machine(workers: int, port: int) -> dict[str, str]:
    """Return the environment variables that all processes of a run on this machine have in common."""
    return {WORKERS: str(workers), "DMLC_NUM_SERVER": "1", HOST: LOOPBACK[0], PORT: str(port)}


def worker(rank: int) -> dict[str, str]:
    """Return the variables of one worker."""
    return {ROLE: "worker", RANK: str(rank)}


def place() -> Place | None:
    """Return the place of this worker: number DMLC_TASK_ID of DMLC_NUM_WORKER.

    All workers run on this machine if the scheduler's address is 127.0.0.1 or localhost. Otherwise each
    runs on its own machine. Raises BackendError if DMLC_TASK_ID is not set: not all of MXNet's launchers
    number the workers.
    """
    if os.environ.get(ROLE) != "worker":
        return None
    found = place_from(RANK, WORKERS, RANK, WORKERS, HOST, PORT)
    if found is None:
        size = os.environ.get(WORKERS, "1")
        if size != "1" and not os.environ.get(RANK):
            raise BackendError(
                f"{RANK} must be the number of this worker, from 0, of the {size} workers"
            )
        return None
    return found if _on_this_machine() else Place(found.rank, found.size, 0, 1)


def _on_this_machine() -> bool:
    return os.environ.get(HOST) in LOOPBACK


def address() -> tuple[str, int]:
    """Return host and port of the roll call. Raises BackendError if its port is not a number."""
    port = os.environ.get(PORT, "")
    if not port.isdigit():
        raise BackendError(f"the environment variable {PORT} must be a number, got {port!r}")
    return os.environ.get(HOST, ""), int(port) + 1


def prepare() -> None:
    """Prepare this process for its role, before MXNet is imported.

    Raises BackendError if the scheduler's port or the port after it is taken.
    """
    role = os.environ.get(ROLE)
    if role is not None and _on_this_machine():
        os.environ.setdefault(OWN_HOST, "127.0.0.1")  # otherwise MXNet listens at another address
    if role == "scheduler":
        host = _host_roll_call()
        threading.Thread(target=_end_scheduler, args=(host,), daemon=True).start()
    elif role == "server":
        threading.Thread(target=_end_server, daemon=True).start()


def _host_roll_call() -> Host:
    name, after = address()
    workers = os.environ.get(WORKERS, "")
    if not workers.isdigit():
        raise BackendError(f"the environment variable {WORKERS} must be a number, got {workers!r}")
    port = after - 1
    try:
        with socket.socket() as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind((name, port))
        port = after
        return Host((name, port), int(workers))
    except OSError as error:
        raise BackendError(
            f"port {port} is taken at {name}, choose another {PORT}: {error.strerror}"
        ) from None


def _end_scheduler(host: Host) -> None:
    """End this process when all workers have ended. Python cannot end it: it runs in MXNet's code."""
    missing = host.wait_for_the_end(timeout() + SILENCE)  # the workers report it first
    os._exit(1 if missing else 0)


def _end_server() -> None:
    """End this process when the scheduler has ended."""
    try:
        report = Report(address(), f"helper {socket.gethostname()} {os.getpid()}", timeout())
    except (BackendError, RunError) as error:
        print(f"the scheduler is missing: {error}", flush=True)
        os._exit(1)
    report.thread.join()
    os._exit(0)
