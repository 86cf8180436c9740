"""The source of a report's nets in each framework, highlighted by Pygments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from alexnet.recipes import net_for
from alexnet.source import source

if TYPE_CHECKING:
    from alexnet.report import Entry

LIGHT, DARK = (HtmlFormatter(style=style) for style in ("default", "github-dark"))
CODE_STYLES = {"light": Markup(LIGHT.get_style_defs()), "dark": Markup(DARK.get_style_defs())}
"""Style sheets for what `listings` gives, for a light page and a dark one."""


def listings(entries: Sequence[Entry]) -> dict[str, dict[str, Markup]]:
    """By net, then by framework: the program that `alexnet show` prints, as HTML."""
    found: dict[str, dict[str, Markup]] = {}
    for e in entries:
        net = net_for(e.row.model, e.comparison.plan.recipes[e.row.model])
        program = source(net, e.row.backend)
        size = f"{net.input_shape[1]}×{net.input_shape[2]}"
        programs = found.setdefault(f"{net.name} at {size}", {})
        programs.setdefault(e.title, Markup(highlight(program, PythonLexer(), LIGHT)))
    return found
