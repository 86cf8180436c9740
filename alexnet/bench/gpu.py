"""The share of time in which a GPU works, from NVIDIA's driver."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from types import TracebackType

INTERVAL = 100  # milliseconds between two readings


class GpuWatch:
    """Reads how busy a GPU is while a ``with`` block runs. Without NVIDIA's driver it reads nothing.

    ``device``: None, ``"cpu"``, ``"gpu"`` or ``"gpu:1"``.

    >>> with GpuWatch("cpu") as watch:
    ...     begun = time.perf_counter()
    >>> watch.share(begun, time.perf_counter()) is None
    True
    """

    def __init__(self, device: str | None) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.readings: list[tuple[float, float]] = []  # time (perf_counter) and percent
        self.command = _command(device)

    def __enter__(self) -> GpuWatch:
        if self.command is not None:
            with suppress(OSError):
                self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
                threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with suppress(ValueError):  # "[N/A]"
                self.readings.append((time.perf_counter(), float(line)))

    def share(self, begun: float, ended: float) -> float | None:
        """Return the share of the time from ``begun`` to ``ended`` (perf_counter), from 0 to 1.

        The driver looks at a kernel's time over up to a second before a reading, so readings of the first
        second count only if the time is shorter. None without a reading.
        """
        late = begun + min(1.0, (ended - begun) / 2)
        inside = [percent for at, percent in list(self.readings) if late <= at <= ended]
        return sum(inside) / len(inside) / 100 if inside else None


def _command(device: str | None) -> list[str] | None:
    """Return the command that prints a percentage on every line; None if there is no GPU to watch."""
    program = shutil.which("nvidia-smi")
    if device is None or not device.startswith("gpu") or program is None:
        return None
    number = int(device.partition(":")[2] or 0)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    name = visible[number] if number < len(visible) and visible[number] else str(number)
    query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    return [program, *query, f"--loop-ms={INTERVAL}", f"--id={name}"]
