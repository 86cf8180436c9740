"""The page of a sweep: one HTML file that loads nothing and has no scripts."""

from __future__ import annotations

PAGE = "sweep.html"


def keep_page(sweep):
    return ""
