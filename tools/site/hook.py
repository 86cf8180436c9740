"""Makes the pages of the site from the repository, for `mkdocs build` (see mkdocs.yml).

Nothing is written twice: the front page is README.md, a notebook's page comes from the notebook, and so on.
Before each build, all pages are written to `build/pages` as Markdown, with links that work on the site. A
link to another file, such as a file of code, leads to a page that shows this file.

MkDocs and its plugins make the site from that folder, once for each language.
"""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert as latex_to_mathml
from links import SITE, Page, resolved, rewritten
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import event_priority, get_plugin_logger
from mkdocs.structure.pages import Page as MkDocsPage
from notebook_pages import as_markdown, without_outputs

ROOT = Path(__file__).parent.parent.parent
PAGES = ROOT / "build" / "pages"

FOLDERS = "docs", "tools/site/pages"  # the second has what is of use on the site only
OTHERS = {  # pages outside these folders
    "README.md": Page("index.md", "en"),
    "README.zh.md": Page("index.md", "zh"),
    "CHANGELOG.md": Page("changes.md", "en"),
    "CONTRIBUTING.md": Page("contributing.md", "en"),
}
COPIED = {".svg", ".png", ".css"}  # files that the site has as they are
LISTINGS = "files"  # the folder of the pages that show a file of the repository
HIGHLIGHTED = {".py": "python", ".toml": "toml", ".yml": "yaml"}

TITLE = re.compile(r"^# .+$", re.M)
ENGLISH_ONLY = '\n\n!!! note "本页只有英文版"\n'
DOWNLOAD = {"en": "Download this notebook, without its outputs", "zh": "下载本笔记本（不含输出）"}

FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\])</(?P=tag)>',
    re.DOTALL,
)
OTHER_LANGUAGE = re.compile(r"\A\[[^\]]+\]\(README[^)]*\)\s+")  # the site has a menu of languages
BASE = re.compile(r'"base": "([./]+)"')  # the root of the site, seen from a page
ALTERNATE = re.compile(r'<link rel="alternate"[^>]*>')

log = get_plugin_logger("site")


class Pages:
    """What the repository's files are on the site."""

    def __init__(self) -> None:
        self.pages = {path: page for path, page in OTHERS.items() if (ROOT / path).exists()}
        self.copied: dict[str, str] = {}  # file of the repository: path on the site
        self.listed: dict[str, Page] = {}  # files and folders that links need pages of
        for folder in FOLDERS:
            for file in sorted((ROOT / folder).rglob("*")):
                path, uri = (file.relative_to(f).as_posix() for f in (ROOT, ROOT / folder))
                if file.suffix == ".md":
                    language = "zh" if uri.endswith(".zh.md") else "en"
                    self.pages[path] = Page(uri.replace(".zh.md", ".md"), language)
                elif file.suffix in COPIED:
                    self.copied[path] = uri
        self.notebooks = {}
        for folder, language in (("notebooks", "en"), ("notebooks/zh", "zh")):
            for file in sorted((ROOT / folder).glob("*.ipynb")):
                page = Page(f"notebooks/{file.stem}.md", language)
                self.notebooks[f"{folder}/{file.name}"] = page
        self.pages |= self.notebooks
        languages = {(page.uri, page.language) for page in self.pages.values()}
        self.translated = {uri for uri, language in languages if (uri, "zh") in languages}

    def find(self, path: str) -> Page | str:
        """Return the page of a file or a folder of the repository, or its path if it is copied.

        A missing file is a warning, which `mkdocs build --strict` makes an error.
        """
        if path in self.pages:
            return self.pages[path]
        if path in self.copied:
            return self.copied[path]
        if not (ROOT / path).exists():
            log.warning(f"A link leads to {path}, which does not exist")
        # No dot in its name: mkdocs-static-i18n takes the "py" of "torch.py.md" for a language.
        return self.listed.setdefault(path, Page(f"{LISTINGS}/{path.replace('.', '-')}.md", "en"))

    def write(self) -> None:
        """Write all pages and files to `PAGES`."""
        shutil.rmtree(PAGES, ignore_errors=True)
        for path, uri in self.copied.items():
            write(uri, (ROOT / path).read_bytes())
        for path, page in self.pages.items():
            file = ROOT / path
            text = notebook(file, page) if path in self.notebooks else file.read_text("utf-8")
            text = OTHER_LANGUAGE.sub("", text)
            write(page.file, rewritten(text, path, page, self.find, self.translated))
        for path, page in self.listed.items():
            write(page.file, listing(ROOT / path))


def write(uri: str, content: str | bytes) -> None:
    """Write a file for MkDocs."""
    file = PAGES / uri
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def notebook(file: Path, page: Page) -> str:
    """Return the Markdown of a notebook. Writes its pictures, and the notebook for readers to download."""
    content = nbformat.read(file, as_version=4)
    download = Path(page.file).with_suffix(".ipynb")
    write(download.as_posix(), without_outputs(content))

    def save(name: str, picture: bytes) -> str:
        uri = f"notebooks/pictures/{name}"
        write(uri, picture)
        return f"{SITE}{uri}"

    address = page.address.replace(".html", ".ipynb")
    return as_markdown(content, f"[{DOWNLOAD[page.language]}]({SITE}{address}){{ download }}", save)


def listing(path: Path) -> str:
    """Return a page that shows a file, or all files of a folder."""
    name = path.relative_to(ROOT).as_posix()
    page = f"---\nsearch:\n  exclude: true\n---\n\n# {name}\n"
    if path.is_file():
        return page + code(path)
    files = sorted(file for file in path.rglob("*") if file.suffix in HIGHLIGHTED)
    return page + "".join(f"\n## {file.relative_to(path)}\n{code(file)}" for file in files)


def code(file: Path) -> str:
    kind = HIGHLIGHTED.get(file.suffix, "text")
    return f"\n````` {kind}\n{file.read_text('utf-8').rstrip()}\n`````\n"


# --- events of MkDocs -------------------------------------------------------------------------------


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write the pages. MkDocs asks once for each language; the pages of both are the same files."""
    if Path(config.docs_dir) != PAGES:
        Pages().write()
        config.docs_dir = str(PAGES)
        config.theme.static_templates -= {"404.html", "sitemap.xml"}  # they need the site's address
    return config


def on_page_markdown(markdown: str, page: MkDocsPage, config: MkDocsConfig, **_: Any) -> str:
    """Tell readers of the Chinese site that a page is there in English only."""
    language, file = config.theme["language"], page.file
    if language == "zh" and file.locale != language and not file.src_uri.startswith(f"{LISTINGS}/"):
        return TITLE.sub(lambda found: found[0] + ENGLISH_ONLY, markdown, count=1)
    return markdown


def on_page_content(html: str, page: MkDocsPage, **_: Any) -> str:
    """Make addresses that begin at the root of the site relative to the page; write formulas as MathML."""
    return FORMULA.sub(formula, resolved(html, page.url))


def formula(found: re.Match[str]) -> str:
    """Return a formula as MathML, which browsers show without a script."""
    display = "inline" if found["inline"] else "block"
    return f"<{found['tag']}>{latex_to_mathml(unescape(found[display]), display=display)}</{found['tag']}>"


def on_post_page(output: str, page: MkDocsPage, config: MkDocsConfig) -> str:
    """Let a Chinese page search in the index of its language: see `on_post_build`.

    Without ``rel="alternate"`` in the head, the theme does not look for a map of each language. The menu of
    the languages has the same addresses.
    """
    output = ALTERNATE.sub("", output)
    if config.theme["language"] == "zh":
        output = BASE.sub(lambda found: f'"base": "{found[1][3:] or "."}"', output, count=1)
    return output


@event_priority(-200)  # after mkdocs-static-i18n, which merges the indexes of all languages
def on_post_build(config: MkDocsConfig) -> None:
    """Give each language its own index, so that a search finds pages in this language only."""
    file = Path(config.site_dir) / "search" / "search_index.json"
    index = json.loads(file.read_text("utf-8"))
    of_language: dict[str, list[dict[str, str]]] = {"": [], "zh/": []}
    for entry in index["docs"]:
        folder = "zh/" if entry["location"].startswith("zh/") else ""
        entry["location"] = entry["location"].removeprefix(folder)
        of_language[folder].append(entry)
    for folder, entries in of_language.items():
        new = Path(config.site_dir) / folder / "search" / "search_index.json"
        new.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(index | {"docs": entries}, ensure_ascii=False, separators=(",", ":"))
        new.write_text(text, encoding="utf-8")


def on_serve(server: LiveReloadServer, **_: Any) -> LiveReloadServer:
    """Let `mkdocs serve` watch what the pages are made from, not the pages themselves."""
    server.unwatch(str(PAGES))
    for path in (*OTHERS, *FOLDERS, "notebooks", "alexnet"):
        if (ROOT / path).exists():
            server.watch(str(ROOT / path))
    return server
