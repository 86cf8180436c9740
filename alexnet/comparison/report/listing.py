"""The source code of a report's nets in each framework, highlighted by Pygments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from alexnet.backends.source import source

if TYPE_CHECKING:
    from alexnet.comparison.report.entries import Entry

LIGHT, DARK = (HtmlFormatter(style=style) for style in ("default", "github-dark"))
CODE_STYLES = {"light": Markup(LIGHT.get_style_defs()), "dark": Markup(DARK.get_style_defs())}
"""Style sheets for the HTML of `listings`, for a light page and a dark page."""


def listings(entries: Sequence[Entry]) -> dict[str, dict[str, Markup]]:
    """Return, by net and then by framework, the program that `alexnet show` prints, as HTML."""
    found: dict[str, dict[str, Markup]] = {}
    for e in entries:
        programs = found.setdefault(e.net, {})
        if e.title not in programs:
            program = source(e.table, e.row.backend)
            programs[e.title] = Markup(highlight(program, PythonLexer(), LIGHT))
    return found
