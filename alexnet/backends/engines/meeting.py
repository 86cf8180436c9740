"""The processes of a run meet before an engine starts that would wait for them forever."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from alexnet.errors import RunError

RETRY = 0.1  # seconds between two tries to reach a process


def meet(addresses: Sequence[str], rank: int, seconds: float) -> None:
    """Wait until all processes have come. ``addresses``: ``host:port`` of each process, by rank.

    Process 0 calls the others, which listen at their addresses. It does not listen, because its port
    belongs to the engine. Raises RunError, which names the processes that did not come in ``seconds``, or
    the port that is taken.
    """
    ends = time.monotonic() + seconds
    with socket.socket() as own:
        host, port = _split(addresses[rank])
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            own.bind((host, port))
            if rank:
                own.listen()
        except OSError as error:
            raise RunError(f"port {port} is taken at {host}: {error.strerror}") from None
        missing = _wait_for_call(own, ends) if rank else []
    if not rank:
        missing = _call(addresses, ends)
    if missing:
        raise did_not_join(missing, len(addresses), seconds)


def did_not_join(ranks: Sequence[int], size: int, seconds: float) -> RunError:
    """Return the error that names the processes which did not come."""
    who = " and ".join(map(str, ranks))
    return RunError(f"process {who} of the {size} of this run did not join within {seconds:g} s")


def _call(addresses: Sequence[str], ends: float) -> list[int]:
    """Call all other processes, and tell them who is missing. Return the ranks that are missing."""
    missing = list(range(1, len(addresses)))
    with ExitStack() as stack:
        reached: list[socket.socket] = []
        while missing and time.monotonic() < ends:
            for rank in tuple(missing):
                with suppress(OSError):
                    connection = socket.create_connection(_split(addresses[rank]), timeout=1.0)
                    reached.append(stack.enter_context(connection))
                    missing.remove(rank)
            time.sleep(RETRY if missing else 0)
        for connection in reached:
            with suppress(OSError):
                connection.sendall(f"{' '.join(map(str, missing))}\n".encode())
    return missing


def _wait_for_call(own: socket.socket, ends: float) -> list[int]:
    """Wait until process 0 says who is missing. Return the ranks: 0 if it does not say so in time."""
    with suppress(OSError, ValueError):  # a TimeoutError is an OSError
        own.settimeout(max(0.01, ends - time.monotonic()))
        connection, _ = own.accept()
        with connection, connection.makefile() as lines:
            connection.settimeout(max(0.01, ends - time.monotonic()) + 1.0)  # process 0 came later
            line = lines.readline()
            if line.endswith("\n"):
                return [int(rank) for rank in line.split()]
    return [0]


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
