"""The documentation site: it builds without a warning, its links work, it loads nothing from elsewhere."""

from __future__ import annotations

import http.server
import inspect
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import alexnet

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]  # one build of the site

ROOT = Path(__file__).parent.parent
ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)  # with a scheme or a host
IN_STYLE = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""")


@dataclass
class Content(HTMLParser):
    """What a page has: ids, addresses of links, and addresses that a browser loads by itself."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.in_style = False

    def handle_starttag(self, tag, attrs):
        found = {name: value or "" for name, value in attrs}
        self.in_style = tag == "style"
        if "id" in found:
            self.ids.add(found["id"])
        followed = tag == "a" or found.get("rel") in ("prev", "next")  # by a reader
        if followed and "href" in found:
            self.links.append(found["href"])
        else:
            self.loads += [
                found[name] for name in ("src", "href", "data", "poster") if name in found
            ]
        self.loads += [
            part.split()[0] for part in found.get("srcset", "").split(",") if part.strip()
        ]
        self.loads += IN_STYLE.findall(found.get("style", ""))

    def handle_data(self, data):
        if self.in_style:
            self.loads += IN_STYLE.findall(data)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """The content of every page, by its path in the site."""
    found = {}
    for path in site.rglob("*.html"):
        found[path.relative_to(site).as_posix()] = content = Content()
        content.feed(path.read_text(encoding="utf-8"))
    return found


def test_every_page_is_there_in_both_languages(pages):
    english = {path for path in pages if not path.startswith("zh/")}
    assert {f"zh/{path}" for path in english} == pages.keys() - english
    guides = {path.stem for path in (ROOT / "docs").glob("*.md") if not path.stem.endswith(".zh")}
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    others = {"index", "changes", "api/training"}
    assert {f"{name}.html" for name in guides | notebooks | others} <= english


def test_nothing_is_loaded_from_another_host(site, pages):
    loads = {path: content.loads for path, content in pages.items()}
    for style in site.rglob("*.css"):
        loads[style.name] = IN_STYLE.findall(style.read_text(encoding="utf-8"))
    for drawing in site.rglob("*.svg"):
        content = Content()
        content.feed(drawing.read_text(encoding="utf-8"))
        loads[drawing.name] = content.loads
    elsewhere = [
        (path, address)
        for path, addresses in loads.items()
        for address in addresses
        if ADDRESS.match(address) and not address.startswith("data:")
    ]
    assert elsewhere == []
    assert sum(map(len, loads.values())) > 100  # the test sees what pages load


def test_every_link_leads_to_a_page_and_a_place_on_it(site, pages):
    broken = []
    for path, content in pages.items():
        for address in [*content.links, *content.loads]:
            if ADDRESS.match(address):
                if not address.startswith(("http:", "https:", "mailto:", "data:")):
                    broken.append((path, address))
                continue
            target, anchor = map(unquote, urldefrag(address))
            file = Path(os.path.normpath(site / path / ".." / target)) if target else site / path
            if not file.is_file():
                broken.append((path, address))
            elif anchor and file.suffix == ".html":
                name = file.relative_to(site).as_posix()
                if anchor not in pages[name].ids and not anchor.startswith("__"):
                    broken.append((path, address))
    assert broken == []


def test_the_api_has_every_public_name(pages):
    ids = {name for content in pages.values() for name in content.ids}
    for name in alexnet.__all__:
        thing = getattr(alexnet, name)
        full = f"{thing.__module__}.{name}" if hasattr(thing, "__module__") else name
        if name != "__version__":
            assert {f"alexnet.{name}", full, f"alexnet.spec.zoo.{name}"} & ids, name


def test_the_api_explains_every_argument_of_train_ch6(site):
    page = (site / "api" / "training.html").read_text(encoding="utf-8")
    text = page[page.index('id="alexnet.train_ch6"') : page.index('id="alexnet.evaluate"')]
    for name in inspect.signature(alexnet.train_ch6).parameters:
        assert re.search(rf"<li[^>]*>\s*<b>.{{0,80}}{name}", text, re.DOTALL), name
    assert "&gt;&gt;&gt; </span>" in text  # the example is highlighted
    assert "doctest:" not in text


@pytest.fixture(scope="module")
def address(site):
    """The address of a server of the site."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=site)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser, address):
    """A page on a phone. Afterwards, nothing was asked of another host, and there was no error."""
    heard, asked = [], []
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert heard == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize(
    ("start", "words", "found"),
    [
        ("index.html", "dropout", "/comparing.html"),
        ("zh/index.html", "暂退法", "/zh/comparing.html"),
    ],
)
def test_a_search_finds_pages_in_the_language_of_the_page(page, address, start, words, found):
    page.goto(address + start)
    page.locator("label[for=__search]:visible").first.click()
    page.locator(".md-search__input").fill(words)
    page.keyboard.press("End")
    results = page.locator(".md-search-result__link")
    results.first.wait_for()
    links = results.evaluate_all("links => links.map(link => new URL(link.href).pathname)")
    assert found in links
    assert all(link.startswith("/zh/") == start.startswith("zh/") for link in links)


def test_pages_fit_a_phone(page, pages, address):
    """Wide tables, listings and pictures scroll by themselves."""
    notebooks = [path for path in pages if path.startswith("notebooks/")]
    for path in ["index.html", "zh/index.html", "commands.html", "api/nets.html", *notebooks]:
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
