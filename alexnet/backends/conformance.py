"""A static check that mypy reads and nothing runs: every backend file matches the `Backend` protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.backends import mxnet, numpy, paddle, tensorflow, torch
    from alexnet.backends.interface import Backend

    BACKENDS: tuple[Backend, ...] = (numpy, torch, mxnet, tensorflow, paddle)
