"""Results that a notebook shows as a picture."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CSS_DPI = 100  # pixels per inch on a screen
BRIGHTNESS = 0.299, 0.587, 0.114  # parts of red, green and blue (ITU-R BT.601)
SHARPNESS = 2  # pixels of the file per pixel on a screen, for phones and high-resolution screens


class Shown(ABC):
    """A result with a picture. A notebook shows the picture, and a terminal shows the text."""

    @abstractmethod
    def plot(self) -> Figure:
        """Return the picture as a matplotlib figure."""

    @abstractmethod
    def __repr__(self) -> str:
        """Return what the picture shows, in words. It is also the picture's text alternative."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        """Return the picture for a notebook: the PNG file, and its size and text on the page."""
        figure, file = self.plot(), io.BytesIO()
        figure.savefig(file, format="png", dpi=SHARPNESS * CSS_DPI)
        width, height = (round(inches * CSS_DPI) for inches in figure.get_size_inches())
        return file.getvalue(), {"width": width, "height": height, "alt": repr(self)}


def ink_on(colour: Sequence[float]) -> str:
    """Return the colour of legible text on a colour, RGB or RGBA in [0, 1]: black or white.

    >>> ink_on((1.0, 0.9, 0.0)), ink_on((0.0, 0.0, 0.6))
    ('black', 'white')
    """
    brightness = sum(part * c for part, c in zip(BRIGHTNESS, colour, strict=False))
    return "black" if brightness > 0.5 else "white"
