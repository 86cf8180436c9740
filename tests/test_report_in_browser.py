"""The report in headless Chromium, on a phone and on a desktop, light and dark."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from reports import comparison, labels, row

from alexnet.backends import framework
from alexnet.backends.source import source
from alexnet.comparison.report import write_report
from alexnet.parity.check import Differences
from alexnet.spec.zoo import get
from alexnet.workers.machine import describe


@pytest.fixture(scope="module")
def report(covered, tmp_path_factory):
    """The report of a run of all backends, written by hand, with text as long as in a real run."""
    folder = tmp_path_factory.mktemp("report")
    rows = []
    for number, name in enumerate(covered):
        classes = labels()
        classes[number] = (classes[number] + 1) % 10  # each is wrong about another image
        parity = Differences(name, 1.5e-7, 2.5e-8, 3.5e-6, 4.5e-8, "gradient of 0.weight")
        more = {"machine": describe(), "peak_memory": 512_000_000, "logits_difference": 1.5e-7}
        rows.append(row(name, classes, parity=parity, **more))
    return write_report([comparison(folder, rows)], folder / "report.html")


PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(params=[(PHONE, "dark"), (DESKTOP, "light")], ids=["phone", "desktop"])
def page(request, browser, report):
    """The open report; afterwards, no message and no request was made."""
    size, scheme = request.param
    heard, asked = [], []
    context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith("data:") else asked.append(r.url))
    page.goto(report.as_uri())
    yield page
    assert heard == []
    assert asked == [report.as_uri()]
    context.close()


def visible(page):
    return page.locator(".panel:visible").count()


@pytest.mark.slow
def test_every_tab_opens(page, covered):
    groups = page.locator(".tabs")
    assert groups.count() == 2  # curves and code
    for number in range(groups.count()):
        tabs, panels = groups.nth(number).locator("label"), groups.nth(number).locator(".panel")
        wanted = ["per epoch", "per step", "per second", "per example"]
        assert tabs.all_inner_texts() == (
            wanted if number == 0 else [framework(name).title for name in covered]
        )
        for chosen in range(tabs.count()):
            tabs.nth(chosen).click()
            shown = [panels.nth(n).is_visible() for n in range(panels.count())]
            assert shown == [n == chosen for n in range(panels.count())]
            assert panels.nth(chosen).bounding_box()["height"] > 100


@pytest.mark.slow
def test_tabs_are_reached_and_changed_by_keys(page):
    """Tab goes to the group of buttons, an arrow to its next button."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "unit":
            break
    assert page.evaluate("document.activeElement.id") == "unit-1"
    label = page.locator("label[for=unit-1]")
    assert label.evaluate("x => getComputedStyle(x).outlineStyle") == "solid"
    for number in (2, 3, 4, 1):
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.id") == f"unit-{number}"
        assert page.locator(".tabs").first.locator(".panel").nth(number - 1).is_visible()


MEASURE = """pictures => Promise.all(pictures.map(async x => {
    await x.decode();  // fails unless it is a picture
    const box = x.getBoundingClientRect();
    return [x.alt, x.naturalWidth, x.naturalHeight, box.width, box.height];
}))"""


@pytest.mark.slow
def test_every_picture_is_visible(page):
    for label in page.locator(".tabs label").all():
        label.click()
        for alt, *sizes in page.locator("img:visible").evaluate_all(MEASURE):
            assert alt
            assert min(sizes) > 20, alt
    shown = page.locator(".panel img").first.evaluate("x => x.currentSrc")
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    place = ".panel source" if dark else ".panel img"
    assert shown == page.locator(place).first.get_attribute("srcset" if dark else "src")


@pytest.mark.slow
def test_a_page_fits_its_window_and_is_not_blank(page, tmp_path):
    """Wide tables and listings scroll by themselves."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for label in page.locator(".tabs label").all():
        label.click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=tmp_path / "page.png")
    seen = imread(tmp_path / "page.png")[..., :3].mean(axis=2)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (np.median(seen) < 0.3) == dark
    assert seen.max() - seen.min() > 0.7


@pytest.mark.slow
def test_text_copied_from_the_page_is_the_program(page, covered):
    """`alexnet show` prints the same."""
    for name in covered:
        title = framework(name).title
        page.locator(".tabs").nth(1).get_by_text(title, exact=True).first.click()
        listing = page.locator(".highlight:visible pre").inner_text()
        assert listing.strip() == source(get("lenet").resolve(), name).strip()
