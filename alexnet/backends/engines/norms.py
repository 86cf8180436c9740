"""Batch normalisation with the statistics of the whole batch: what the engines share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alexnet.errors import RunError


def not_possible(why: str, device: Any) -> RunError:
    """Return the error of a framework that has no synchronised layer for a net on ``device``."""
    return RunError(
        f"sync_batch_norm=True is not possible here: {why}, and this net is on {device}"
    )


@contextmanager
def changed(attributes: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Give objects other attributes inside the ``with`` block; then give them their own ones back.

    ``attributes``: objects, names and values. A layer is also an attribute of the net that has it.
    """
    before = [getattr(owner, name) for owner, name, _ in attributes]
    try:
        for owner, name, value in attributes:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), own in zip(attributes, before, strict=True):
            setattr(owner, name, own)
