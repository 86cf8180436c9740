"""What the pictures of costs share: their colours, their width and the text below them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

GROUP_COLOURS = {
    "convolutions": ("#0072b2", "#56a9e0"),
    "dense layers": ("#c04a00", "#f08a4b"),
    "pooling layers": ("#00805e", "#3cbf98"),
    "activation functions": ("#a8488e", "#dd8fc6"),
    "normalisation layers": ("#7a6000", "#cdb04a"),
    "dropout layers": ("#5a5a5a", "#b4b4b4"),
    "reshaping layers": ("#5b5b5b", "#b5b5b5"),
}
"""The colour of each group on a light page and on a dark page (after Wong, Nature Methods, 2011)."""

COLOURS = {group: light for group, (light, _) in GROUP_COLOURS.items()}
DARK = dict(GROUP_COLOURS.values())  # the colour on a dark page, by that on a light page

WIDTH = 4.5  # inches; a phone shows the whole width, with letters of ten pixels
CHARACTERS = 68  # in a line of the text below a picture
LINE, TEXT = 0.155, 8.5  # inches between two lines; points


def below(sentences: Iterable[str]) -> str:
    """Return the lines of the text below a picture. A number stays with the word after it."""
    joined = (re.sub(r"(?<=\d) ", "\N{NO-BREAK SPACE}", sentence) for sentence in sentences)
    return "\n".join(textwrap.fill(sentence, CHARACTERS) for sentence in joined)
