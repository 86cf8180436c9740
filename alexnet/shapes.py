"""Shapes, and how they are written."""

from __future__ import annotations

Shape = tuple[int, ...]
"""Sizes without the batch axis: ``(C, H, W)`` for images, ``(N,)`` for vectors."""


def shape_text(shape: Shape) -> str:
    """Return a shape as readable text.

    >>> shape_text((96, 54, 54))
    '96×54×54'
    """
    return "×".join(map(str, shape))
