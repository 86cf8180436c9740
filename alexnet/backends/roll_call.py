"""The processes of a run report to one host, which tells each of them who is there.

Some engines wait forever for a process that never comes or is lost. Their processes learn here that they
must not wait. A process that ends closes its connection. A process that hangs does not answer.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import cast

from alexnet.errors import RunError

EVERY = 1.0  # seconds between two signs of life
SILENCE = 4.0  # seconds without one after which a process is silent
RETRY = 0.1  # seconds between two tries to reach the host
LONGEST_NAME = 100  # bytes
HOST = "host"  # the name of the host in a `Report`


class Host(socketserver.ThreadingTCPServer):
    """Listens for the processes of a run, in threads. A name is a rank, or begins with ``helper``.

    Raises OSError if the port is taken.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], size: int) -> None:
        self.ranks = {str(rank) for rank in range(size)}
        self.heard: dict[str, float | None] = {}  # name: when; None: its connection is closed
        self.changes, self.changed = 0, threading.Condition()
        super().__init__(address, _Connection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def note(self, name: str, when: float | None) -> None:
        """Note that a process has given a sign of life, or that it has ended (None)."""
        with self.changed:
            is_news = when is None or self.heard.get(name) is None
            self.heard[name] = when
            if is_news:
                self.changes += 1
                self.changed.notify_all()

    def wait_for_the_end(self, seconds: float) -> list[int]:
        """Wait until all ranks have come and all that came have ended. Return the ranks that never came.

        ``seconds``: how long it waits for the next rank.
        """
        with self.changed:
            while self.ranks - self.heard.keys():
                came = self.changes
                if not self.changed.wait_for(lambda: self.changes != came, seconds):  # noqa: B023
                    break
                if self._all_ended():
                    break
            missing = sorted(int(rank) for rank in self.ranks - self.heard.keys())
            self.changed.wait_for(self._all_ended, 0 if missing else None)
        return missing

    def _all_ended(self) -> bool:
        came = self.ranks & self.heard.keys()
        return bool(came) and all(self.heard[rank] is None for rank in came)


class _Connection(socketserver.StreamRequestHandler):
    """Tells one process, once a second and after each change, how long the others have been silent."""

    def handle(self) -> None:
        host = cast(Host, self.server)
        name = self.rfile.readline(LONGEST_NAME).decode(errors="replace").strip()
        if name not in host.ranks and not name.startswith("helper"):
            return
        with suppress(OSError):
            host.note(name, time.monotonic())
            while True:
                now, told = time.monotonic(), host.changes
                silent = {n: None if t is None else now - t for n, t in list(host.heard.items())}
                self.wfile.write(json.dumps(silent).encode() + b"\n")
                if not self.rfile.readline(LONGEST_NAME):
                    break
                host.note(name, time.monotonic())
                with host.changed:
                    host.changed.wait_for(lambda: host.changes != told, EVERY)  # noqa: B023
        host.note(name, None)


class Report:
    """The connection of one process to the `Host`. A thread answers the host.

    Raises RunError if the host does not answer within ``seconds``.
    """

    def __init__(self, address: tuple[str, int], name: str, seconds: float) -> None:
        self.name, self.silent, self.has_host = name, dict[str, float | None](), True
        self.heard = time.monotonic()  # the host, last
        self.changed = threading.Condition()
        self.connection = _connect(address, seconds)
        self.connection.sendall(f"{name}\n".encode())
        self.thread = threading.Thread(target=self._answer, daemon=True)
        self.thread.start()

    def _answer(self) -> None:
        with suppress(OSError, ValueError), self.connection.makefile("rb") as lines:
            for line in lines:
                with self.changed:
                    self.silent, self.heard = json.loads(line), time.monotonic()
                    self.changed.notify_all()
                self.connection.sendall(b"\n")
        with self.changed:
            self.has_host = False
            self.changed.notify_all()

    def wait_for(self, size: int, seconds: float) -> list[int]:
        """Wait until all ranks have come, or one has ended. Return the ranks that are missing."""

        def missing() -> list[int]:
            return [rank for rank in range(size) if str(rank) not in self.silent]

        with self.changed:
            self.changed.wait_for(lambda: not missing() or bool(self.ended()), seconds)
            return missing()

    def ended(self) -> list[str]:
        """Return the names of the processes that have ended. The host is `HOST`."""
        ended = [name for name, silent in self.silent.items() if silent is None]
        return ended if self.has_host else [*ended, HOST]

    def host_is_silent(self, seconds: float = SILENCE) -> bool:
        """Return whether the host has said nothing for ``seconds``, or has ended."""
        return not self.has_host or time.monotonic() - self.heard > seconds

    def lost(self) -> list[str]:
        """Return the names of the processes that are silent; without one, of those that have ended.

        A process that has lost another one ends too. So the cause is a silent process, or else a helper
        that has ended. Without the host, nothing is known of the others.
        """
        if self.host_is_silent():
            return [HOST]
        silent = [name for name, age in self.silent.items() if age and age > SILENCE]
        names = silent or self.ended()
        return [name for name in names if not name.isdigit()] or names

    def lost_ranks(self) -> list[int]:
        """Return the ranks in `lost`."""
        return sorted(int(name) for name in self.lost() if name.isdigit())


def _connect(address: tuple[str, int], seconds: float) -> socket.socket:
    ends = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection(
                address, timeout=max(RETRY, ends - time.monotonic())
            )
        except OSError as error:
            if time.monotonic() > ends:
                raise RunError(
                    f"nothing answers at {address[0]}:{address[1]} within {seconds:g} s "
                    f"({error.strerror or error})"
                ) from None
            time.sleep(RETRY)
        else:
            connection.settimeout(None)
            return connection
