"""Where the links of a page lead on the site. In the repository they lead from file to file."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

SITE = "site:"
"""How an address begins that is given from the root of the site. `resolved` makes it relative to a page."""

# Code comes first, so that nothing in it is taken for a link.
LINK = re.compile(
    r"""
    (?P<code>^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,}).*?^(?P=indent)(?P=fence)[ \t]*$|`[^`\n]+`)
    | (?P<before>\]\(|^\[[^\]]+\]:[ ]*)(?P<address>[^)\s]+)
    | (?P<tag>\b(?:href|src|srcset)=")(?P<attribute>[^"]+)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
IN_HTML = re.compile(rf'\b(href|src|srcset)="{SITE}([^"]*)"')


@dataclass(frozen=True)
class Page:
    """A page of the site: ``uri``, its Markdown file without the suffix of a language, and its language."""

    uri: str
    language: str

    @property
    def file(self) -> str:
        """The Markdown file, as mkdocs-static-i18n wants it."""
        return self.uri if self.language == "en" else f"{self.uri[:-3]}.{self.language}.md"

    @property
    def address(self) -> str:
        """The address from the root of the site."""
        folder = "" if self.language == "en" else f"{self.language}/"
        return f"{folder}{self.uri[:-3]}.html"


def rewritten(
    text: str, source: str, page: Page, find: Callable[[str], Page | str], translated: Set[str]
) -> str:
    """Return the Markdown of a page with links that lead to pages and files of the site.

    ``source`` is the file of the page in the repository. ``find`` returns what a file of the repository is
    on the site: a page, or the path of another file. ``translated`` has the ``uri`` of each page that
    exists in both languages. On the Chinese site, a link to any other page leads to its English text.
    """

    def stays(target: Page, anchor: str) -> bool:
        """Return whether a reader of either site stays on it when following a link."""
        if target.uri not in translated:
            return True
        if anchor and page.uri not in translated:  # the anchor is that of the English page
            return False
        return target.language == page.language

    def address(link: str, *, in_html: bool) -> str:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not parts.path:
            return link
        target = find(
            posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(parts.path)))
        )
        anchor = f"#{parts.fragment}" if parts.fragment else ""
        if isinstance(target, Page):
            if in_html or not stays(target, anchor):
                return f"{SITE}{target.address}{anchor}"
            target = target.uri
        elif in_html:
            return f"{SITE}{target}"
        return posixpath.relpath(target, posixpath.dirname(page.uri) or ".") + anchor

    def replace(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        if found["tag"]:
            return found["tag"] + address(found["attribute"], in_html=True)
        return found["before"] + address(found["address"], in_html=False)

    return LINK.sub(replace, text)


def resolved(html: str, address: str) -> str:
    """Return the HTML of a page with addresses that are relative to the address of the page."""
    folder = posixpath.dirname(address) or "."

    def relative(found: re.Match[str]) -> str:
        path, mark, anchor = found[2].partition("#")
        return f'{found[1]}="{posixpath.relpath(path, folder)}{mark}{anchor}"'

    return IN_HTML.sub(relative, html)
