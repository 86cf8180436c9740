"""matplotlib figures as SVG pictures that are light or dark like the page around them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

from alexnet.drawing.svg import INK, PAPER, QUIET, for_both_pages

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def drawing_style() -> Iterator[None]:
    """Return a context in which figures get these colours, not the user's own settings of matplotlib.

    The first figure of a notebook loads its backend, which makes matplotlib interactive. This stays:
    otherwise the notebook would not show the user's own figures.
    """
    from matplotlib import interactive, is_interactive
    from matplotlib.style import context

    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    papered = ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")
    settings: dict[Any, Any] = {
        **dict.fromkeys(inked, INK),
        **dict.fromkeys(papered, PAPER),
        "grid.color": QUIET,
        "grid.alpha": 0.25,
        "font.size": 9,
        "svg.fonttype": "none",  # text as text
        "svg.hashsalt": "alexnet",  # the same ids every time
    }
    with context(["default", settings]):
        yield
        shows_figures = is_interactive()
    interactive(shows_figures)


def svg(figure: Figure, description: str, dark: Mapping[str, str]) -> str:
    """Return a figure as SVG, with a text alternative. Closes the figure.

    ``dark`` maps further colours of the figure to those for a dark page. A viewer that does not know dark
    pages shows the light colours.
    """
    import matplotlib.pyplot as plt

    file = io.StringIO()
    with drawing_style(), catch_warnings():
        filterwarnings("ignore", "Glyph .* missing")  # the viewer has other fonts
        figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    return for_both_pages(file.getvalue(), {"desc": description}, dark)
