"""Tables in HTML, for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table_html(title: str, lines: Sequence[Sequence[str]]) -> str:
    """Return a table in HTML. The first line is the header; the last line has the totals.

    Numbers are on the right, and the column "layer" is on the left.

    >>> page = table_html("tiny", [("layer", "kB"), ("ReLU()", "0.1"), ("total", "0.1")])
    >>> '<td style="text-align:left">ReLU()</td><td style="text-align:right">0.1</td>' in page
    True
    """
    header, *rows, totals = lines
    left = [name == "layer" for name in header]

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>{}</tr>".format(
            "".join(
                f'<{tag} style="text-align:{"left" if at_left else "right"}">{escape(cell)}</{tag}>'
                for cell, at_left in zip(cells, left, strict=True)
            )
        )

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div style="overflow-x:auto;white-space:nowrap"><table><caption>{escape(title)}</caption>'
        f"<thead>{line(header, 'th')}</thead><tbody>{body}</tbody>"
        f"<tfoot>{line(totals, 'th')}</tfoot></table></div>"
    )
