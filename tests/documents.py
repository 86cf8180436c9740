"""Finds what the pages show: blocks of code, commands, pieces of code in the text, links and their targets.

The pages are README.md and the files of docs/. A page ``X.md`` is in Chinese in ``X.zh.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
EVERY = [ROOT / "README.md", *sorted(ROOT.glob("README.*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
CHINESE = [page for page in EVERY if page.name.endswith(".zh.md")]
PAGES = [page for page in EVERY if page not in CHINESE]
OTHERS = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]  # English only

TEXT = ("text", "code_inline")  # the parts of a heading that its name is made of

# The first line of a tab or of a note in Material for MkDocs. Its contents are indented by four spaces.
BOX = re.compile(r"(===|!!!|\?\?\?)\+? ")


@dataclass(frozen=True)
class Piece:
    """A block of code, a piece of code in the text, or the target of a link."""

    page: Path
    line: int  # its first line in the page, from 1
    text: str
    language: str = ""  # of a block

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}: {self.text}"


def name_of(page: Path) -> str:
    """Return the path of a page from the project's folder: ``docs/cost.md``."""
    return page.relative_to(ROOT).as_posix()


def english_of(page: Path) -> Path:
    """Return the English page of a Chinese one."""
    return page.with_name(page.name.replace(".zh.md", ".md"))


def blocks(page: Path) -> list[Piece]:
    """Return the blocks of code, also those in tabs and notes."""
    return [
        Piece(page, token.map[0] + 2, token.content, token.info.strip())
        for token in _tokens(page)
        if token.type == "fence" and token.map
    ]


def spans(page: Path) -> list[Piece]:
    """Return the pieces of code in the text: between single backquotes."""
    return [
        Piece(page, line, token.content)
        for line, token in _inline(page)
        if token.type == "code_inline"
    ]


def commands(code: str) -> list[str]:
    """Return the commands of a bash block, without comments."""
    lines = re.sub(r"\\\n\s*", "", code).splitlines()
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines]
    return [command.strip() for line in lines if line for command in line.split("&&")]


def links(page: Path) -> list[Piece]:
    """Return the targets of links and pictures, also those in HTML."""
    found = []
    for line, token in _inline(page):
        target = token.attrGet("href") or token.attrGet("src")
        targets = [target] if target else _Tags(token).targets
        found += [Piece(page, line, str(target)) for target in targets]
    return found


def anchors(page: Path) -> set[str]:
    """Return the names of the places in a page that a link can lead to.

    A heading's name is made as on GitHub: its text in lower case, with hyphens for spaces, without other
    signs. Equal headings get numbers.
    """
    slugs: list[str] = []
    tokens = _tokens(page)
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            text = "".join(t.content for t in following.children or () if t.type in TEXT)
            slugs.append(re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-"))
    earlier = [slugs[:number].count(slug) for number, slug in enumerate(slugs)]
    headings = (f"{s}-{n}" if n else s for s, n in zip(slugs, earlier, strict=True))
    return {*headings, *(name for _, token in _inline(page) for name in _Tags(token).names)}


@cache
def _tokens(page: Path) -> list[Token]:
    lines = page.read_text(encoding="utf-8").splitlines()
    while any(BOX.match(line) for line in lines):  # boxes can stand in boxes
        lines = list(_unboxed(lines))
    return MarkdownIt("commonmark").enable("table").parse("\n".join(lines))


def _unboxed(lines: list[str]) -> Iterator[str]:
    """Take the contents out of the boxes of Material for MkDocs. Every line keeps its number."""
    inside = False
    for line in lines:
        if inside and (not line.strip() or line.startswith("    ")):
            yield line[4:]
        else:
            inside = bool(BOX.match(line))
            yield "" if inside else line


def _inline(page: Path) -> Iterator[tuple[int, Token]]:
    """Yield what is in the text (code, links, HTML), each with its line, and blocks of HTML."""
    line = 1
    for token in _tokens(page):
        line = token.map[0] + 1 if token.map else line
        if token.type == "html_block":
            yield line, token
        within = line
        for child in token.children or ():
            within += child.type in ("softbreak", "hardbreak")
            yield within, child


class _Tags(HTMLParser):
    """The targets and the names in a piece of HTML."""

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: list[str] = []
        if token.type.startswith("html"):
            self.feed(token.content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if value and key in ("href", "src", "srcset"):
                self.targets.append(value)
            elif value and key in ("id", "name"):
                self.names.append(value)
