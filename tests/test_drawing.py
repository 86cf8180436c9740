"""Drawings: what is in them, to scale, legible, light and dark, as text, in files and notebooks."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import combinations
from math import log2

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.image import imread
from matplotlib.style import context
from matplotlib.text import Text
from nets import EVERY_LAYER

import alexnet
from alexnet import ZOO, Net
from alexnet.drawing.elements import Area
from alexnet.drawing.paint import COLOURS, STYLE, figure
from alexnet.drawing.solids import RIGHT, UP
from alexnet.spec import (
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool,
    ReLU,
    shape_text,
)

SVG = "{http://www.w3.org/2000/svg}"

ONLY_DENSE = Net("only dense", (64,), (Dense(32), ReLU(), Dense(3)))
ONE_LAYER = Net("one layer", (3, 9, 7), (Conv(4, 3),))
NO_BOX = Net("only labels", (5,), (ReLU(),) * 12)
LONG = Net("long", (3, 32, 32), (Conv(8, 3, padding=1), BatchNorm(), ReLU()) * 40)
WIDE = Net("wide", (3, 20, 80), (Conv(64, 3, groups=1), MaxPool(2), GlobalAvgPool(), Flatten()))
HUGE = Net("huge", (3, 2048, 2048), (Conv(50_000, 31, stride=32), Flatten(), Dense(100_000)))
NAMED = Net('我的 $x_1$ <net> & "q"\n\0 of a reader who likes long names', (4,), (Dense(2),))
# A renderer of PNG pictures has no Chinese letters, but a viewer of SVG pictures has.
MISSING = "ignore:Glyph .* missing from font"
NETS = [*ZOO.values(), ONLY_DENSE, ONE_LAYER, NO_BOX, LONG, WIDE, HUGE, NAMED]


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def legend(svg):
    """The sentences below the picture. The lines of a picture come from the lowest up."""
    return " ".join(reversed(texts(svg)))


def sizes(svg, name):
    """Width and height of a face, measured in the SVG file."""
    (group,) = (e for e in ET.fromstring(svg).iter() if e.get("id") == name)
    numbers = re.findall(r"-?[\d.]+", group.find(f".//{SVG}path").get("d"))
    return np.ptp(np.array(numbers, float).reshape(-1, 2), axis=0)


# --- what is in a drawing -------------------------------------------------------------------------


@pytest.mark.parametrize("net", [*NETS, *EVERY_LAYER], ids=lambda net: net.name)
def test_every_layer_is_named_and_has_its_shape(net):
    drawing = net.draw()
    found = texts(drawing.svg)
    lines = drawing.description.splitlines()
    resolved = net.resolve()
    assert found.count(shape_text(net.input_shape)) >= 1
    for row, step, line in zip(resolved.rows, resolved.diagram().steps, lines[2:], strict=False):
        assert step.name in found
        assert not step.details or step.details in found
        assert shape_text(row.output_shape) in found
        assert line.startswith(f"Layer {row.index}, {step.title}, ")
        assert shape_text(row.output_shape) in line
    assert len(lines) == 3 + len(resolved.rows)  # the net, the input, the layers, the scale


def test_layers_have_the_names_of_the_books_figure():
    lenet = [step.title for step in ZOO["lenet"].resolve().diagram().steps]
    assert lenet[:3] == ["5×5 Conv (6), pad 2", "Sigmoid", "2×2 AvgPool, stride 2"]
    assert lenet[6:8] == ["Flatten", "FC (120)"]
    paper = [step.title for step in ZOO["alexnet-2012-two-gpus"].resolve().diagram().steps]
    assert paper[:3] == ["11×11 Conv (96), stride 4, pad 3", "ReLU", "LocalResponseNorm"]
    assert paper[4] == "5×5 Conv (256), pad 2, 2 groups"
    assert "Dropout (0.5)" in paper
    assert Net("n", (2,), (Dense(1),)).resolve().diagram().steps[0].title == "FC (1)"


@dataclass(frozen=True, repr=False)
class Crop(Layer):
    """A layer of a reader's own: the first rows of an image."""

    def output_shape(self, shape):
        return shape[0], shape[1] // 2, shape[2]


def test_a_layer_of_a_readers_own_is_drawn_by_its_shapes():
    net = Net("mine", (2, 8, 8), (Crop(), ReLU()))
    steps = net.resolve().diagram().steps
    assert [(step.name, step.kind) for step in steps] == [("Crop", "reshape"), ("ReLU", "label")]
    assert {"Crop", "2×4×8"} <= set(texts(net.draw().svg))


# --- to scale -------------------------------------------------------------------------------------


def test_sides_are_proportional_where_all_are_large_enough():
    svg = ZOO["lenet"].draw().svg
    pixels = {"input": 28, "layer0": 28, "layer2": 14, "layer3": 10, "layer5": 5}
    unit = sizes(svg, "net0-input-front")[0] / 28
    for name, side in pixels.items():
        np.testing.assert_allclose(sizes(svg, f"net0-{name}-front")[0], unit * side, rtol=1e-4)
    assert "Heights and widths are to scale" in legend(svg)


def test_sides_have_a_square_root_scale_where_they_were_too_small():
    svg = ZOO["alexnet"].draw().svg
    pixels = {"input": 224, "layer0": 54, "layer2": 26, "layer5": 12, "layer10": 12, "layer12": 5}
    unit = sizes(svg, "net0-input-front")[0] ** 2 / 224
    for name, side in pixels.items():
        found = sizes(svg, f"net0-{name}-front")[0]
        np.testing.assert_allclose(found**2, unit * side, rtol=1e-4)
    assert "square-root scale (4 times the pixels, twice" in legend(svg)


def test_heights_go_into_the_depth_and_channels_up():
    svg = Net("n", (3, 10, 40), (Conv(63, 3, padding=1),)).draw().svg
    width, thickness = sizes(svg, "net0-input-front")
    top = sizes(svg, "net0-input-top")
    depth = top[1] / UP
    np.testing.assert_allclose(width / depth, 40 / 10, rtol=1e-4)
    np.testing.assert_allclose(top[0], width + RIGHT * depth, rtol=1e-4)
    thicker = sizes(svg, "net0-layer0-front")[1]
    np.testing.assert_allclose(thicker / thickness, log2(1 + 63) / log2(1 + 3), rtol=1e-4)
    assert "Channels: log scale." in legend(svg)


def test_bars_have_a_log_scale():
    svg = ONLY_DENSE.draw().svg
    lengths = [sizes(svg, f"net0-{name}-front")[0] for name in ("input", "layer0", "layer2")]
    expected = [log2(1 + n) / log2(1 + 64) for n in (64, 32, 3)]
    np.testing.assert_allclose(np.array(lengths) / lengths[0], expected, rtol=1e-4)


def test_nets_beside_each_other_have_one_scale():
    svg = alexnet.draw("lenet", ZOO["alexnet"]).svg
    lenet, big = (sizes(svg, f"net{i}-input-front") for i in (0, 1))
    np.testing.assert_allclose((lenet[0] / big[0]) ** 2, 28 / 224, rtol=1e-4)
    assert lenet[1] == pytest.approx(big[1], abs=1e-4)  # one channel each
    ends = sizes(svg, "net0-layer11-front"), sizes(svg, "net1-layer20-front")
    np.testing.assert_allclose(*ends, rtol=1e-4)  # ten classes each
    alone = sizes(ZOO["alexnet"].draw().svg, "net0-input-front")
    np.testing.assert_allclose(big, alone, rtol=1e-4)


def test_windows_have_the_scale_of_the_images():
    net = Net("n", (3, 12, 12), (Conv(7, 5), MaxPool(4, stride=2), GlobalAvgPool()))
    drawing = net.draw()
    marks = [e for e in drawing.page.elements if isinstance(e, Area) and e.role.endswith("window")]
    conv, channels, pixel, pool, whole = (np.ptp(np.array(e.points), axis=0) for e in marks)
    unit = drawing.scale.side(12) / 12
    for found, side in ((conv, 5), (pool, 4), (whole, 3)):
        np.testing.assert_allclose(found, [side * unit * (1 + RIGHT), side * unit * UP])
    np.testing.assert_allclose(channels, [5 * unit, drawing.scale.thickness(3)])
    np.testing.assert_allclose(pixel, [unit, drawing.scale.thickness(7)])


def test_each_group_of_a_convolution_has_its_channels():
    page = Net("n", (6, 9, 9), (Conv(300, 3, groups=3),)).draw().page
    areas = [e for e in page.elements if isinstance(e, Area) and e.role.startswith("convolution")]
    roles = [e.role.removeprefix("convolution ") for e in areas if "beam" not in e.role]
    assert roles == ["window", *["window", "group", "window"] * 2]  # the top; below it, the output


# --- legible --------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
@pytest.mark.filterwarnings(MISSING)
def test_no_text_covers_a_text_or_a_box_and_nothing_leaves_the_page(net):
    check_places(net.draw().page)


@pytest.mark.filterwarnings(MISSING)
def test_nets_beside_each_other_do_not_meet():
    check_places(alexnet.draw("lenet", "alexnet", ONE_LAYER, NAMED).page)


def check_places(page):
    renderer = RendererAgg(10, 10, 96)
    with context(STYLE):
        drawn = figure(page).findobj(lambda artist: isinstance(artist, Text) and artist.get_text())
        boxes = np.array([text.get_window_extent(renderer).extents for text in drawn])
    corners = [e.points for e in page.elements if isinstance(e, Area)]
    areas = np.array([[*np.min(p, axis=0), *np.max(p, axis=0)] for p in corners])
    every = np.concatenate([boxes, areas])
    assert every[:, :2].min() >= 0
    assert (every[:, 2] <= page.width).all() and (every[:, 3] <= page.height).all()
    others = [*combinations(boxes, 2), *((box, area) for box in boxes for area in areas)]
    first, second = np.array(others).transpose(1, 0, 2)
    apart = (first[:, :2] >= second[:, 2:]) | (second[:, :2] >= first[:, 2:])
    assert apart.any(axis=1).all()


@pytest.mark.parametrize("net", ZOO.values(), ids=lambda net: net.name)
def test_a_net_of_the_zoo_is_as_wide_as_a_phone(net):
    assert net.draw().page.width <= 390


def luminance(colour):
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_contrast(dark):
    """4.5:1, as WCAG asks for."""
    paper = luminance(COLOURS["paper"][dark])
    for role in ("ink", "quiet", "convolution", "pooling", "dense", "reshape"):
        light, low = sorted([paper, luminance(COLOURS[role][dark])], reverse=True)
        assert (light + 0.05) / (low + 0.05) >= 4.5, role


def test_every_colour_has_another_one_on_a_dark_page():
    svg = alexnet.draw("lenet", "alexnet-2012-two-gpus").svg
    style = ET.fromstring(svg).find(f"{SVG}style").text
    assert "@media (prefers-color-scheme: dark)" in style
    used = {m for e in ET.fromstring(svg).iter() for m in re.findall(PAINT, e.get("style", ""))}
    assert len(used) > 12
    for name, colour in used:
        rule = re.escape(f'[style*="{name}: {colour}"] {{ {name}: ')
        (other,) = re.findall(rf"{rule}(#\w{{6}}) !important", style)
        assert other != colour


PAINT = re.compile(r"(fill|stroke): (#\w{6})")

PLACES = """texts => texts.map(text => {
    const box = text.getBoundingClientRect();
    return [box.left, box.top, box.right, box.bottom];
})"""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_on_a_phone(browser, scheme, tmp_path):
    """With the browser's own fonts, no texts overlap. The picture is light or dark like its page."""
    page = browser.new_page(viewport={"width": 390, "height": 1200}, color_scheme=scheme)
    page.goto(ZOO["alexnet-2012"].draw().save(tmp_path / "net.svg").as_uri())
    boxes = np.array(page.locator("text").evaluate_all(PLACES))
    assert boxes.min() >= 0 and boxes[:, 2].max() <= 390
    heights = boxes[:, 3] - boxes[:, 1]
    assert heights.min() >= 10
    overlap = [
        min(a[3], b[3]) - max(a[1], b[1])
        for a, b in combinations(boxes, 2)
        if min(a[2], b[2]) > max(a[0], b[0])
    ]
    assert max(overlap) < 0.2 * heights.min()  # a box of a text is higher than its letters
    page.screenshot(path=tmp_path / "page.png")
    assert (np.median(imread(tmp_path / "page.png")[..., :3]) < 0.3) == (scheme == "dark")
    page.close()


def test_the_users_settings_of_matplotlib_change_nothing():
    expected = ONE_LAYER.draw().svg
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "lines.linewidth": 9}):
        assert ONE_LAYER.draw().svg == expected


# --- as text --------------------------------------------------------------------------------------


def test_the_text_alternative_is_in_the_picture():
    drawing = ONE_LAYER.draw()
    assert drawing.description == repr(drawing)
    assert drawing.description == (
        "one layer, 112 parameters. From the input to the output:\n"
        "The input has 3×9×7 values.\n"
        "Layer 0, 3×3 Conv (4), gives 4×7×5 values.\n"
        "The input is at the bottom. Heights and widths are to scale. Channels: log scale. "
        "In colour: one position of each window."
    )
    root = ET.fromstring(drawing.svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Architecture of one layer"
    assert root.find(f"{SVG}desc").text == drawing.description


def test_several_nets_are_described_in_their_order():
    lines = alexnet.draw("lenet", ONLY_DENSE).description.splitlines()
    starts = [line.split(", ")[0] for line in lines if "From the input" in line]
    assert starts == ["lenet", "only dense"]
