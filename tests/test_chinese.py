"""The texts in Chinese: they have the parts of the English ones, and are written as Chinese is."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.zh.md"))]
TEXTS = [*PAGES, *sorted((ROOT / "notebooks" / "sources").glob("*.zh.md"))]

CODE = re.compile(
    r"^ *(```+).*?^ *\1$|(`+).+?\2|\]\(\S+\)|<!--.*?-->|\{\{.*?\}\}|\$.+?\$", re.M | re.S
)
CHARACTER = r"[\u4e00-\u9fff]"
CHINESE = r"[\u3001-\u303f\u4e00-\u9fff\uff00-\uff65]"  # characters and full-width punctuation
HALF_WIDTH = re.compile(rf"{CHARACTER}[*_]*[,;:!?()]|[,;:!?()][*_]*{CHARACTER}")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def text_of(page):
    """Return a page without code, links' targets and figures of a run, but with all lines."""
    return CODE.sub(lambda code: "`" + "\n" * code[0].count("\n"), page.read_text(encoding="utf-8"))


def outline(page):
    """Return the level of each heading, and the number of cells of each line of a table."""
    lines = text_of(page).splitlines()
    return [
        re.match("#+", line)[0] if line[0] == "#" else line.count("|")
        for line in lines
        if line[:1] in ("#", "|")
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_the_headings_and_tables_of_the_english_page(page):
    assert outline(page) == outline(page.with_name(page.name.replace(".zh.md", ".md")))


def test_every_english_page_is_there_in_chinese():
    english = {page for page in (ROOT / "docs").glob("*.md") if not page.name.endswith(".zh.md")}
    assert english == {ROOT / "docs" / page.name.replace(".zh.md", ".md") for page in PAGES[1:]}


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_punctuation_is_full_width(page):
    lines = enumerate(text_of(page).splitlines(), 1)
    assert [f"{number}: {line}" for number, line in lines if HALF_WIDTH.search(line)] == []


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_a_paragraph_is_one_line(page):
    """A browser shows the end of a line within a paragraph as a space, which Chinese does not have."""
    lines = text_of(page).splitlines()
    broken = rf"{CHINESE}[*_]*\n *[*_]*{CHINESE}"
    assert [pair for pair in pairwise(lines) if re.search(broken, "\n".join(pair))] == []
