"""Read by mypy, never run: each of these files has all that `Backend` asks for, with its types."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.backends import mxnet, numpy, paddle, tensorflow, torch
    from alexnet.backends.interface import Backend

    BACKENDS: tuple[Backend, ...] = (numpy, torch, mxnet, tensorflow, paddle)
