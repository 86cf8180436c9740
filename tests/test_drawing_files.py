"""Drawings in files, from the command line, and in notebooks."""

from __future__ import annotations

import re
from html import unescape

import pytest
from helpers import alexnet_here
from matplotlib.image import imread

import alexnet
from alexnet import ZOO, Net
from alexnet.errors import DataError, SpecError
from alexnet.spec import Conv, Dense
from alexnet.views.tables import as_text, summary_table

ONE_LAYER = Net("one layer", (3, 9, 7), (Conv(4, 3),))


# --- in files -------------------------------------------------------------------------------------


def test_a_drawing_is_saved_by_its_suffix(tmp_path):
    drawing = ONE_LAYER.draw()
    assert drawing.save(tmp_path / "new" / "net.SVG").read_text(encoding="utf-8") == drawing.svg
    picture = imread(drawing.save(str(tmp_path / "net.png")))
    assert picture.shape[0] == pytest.approx(2 * drawing.page.height, abs=1)
    assert picture[0, 0] == pytest.approx(1)  # white, not transparent
    assert picture[..., :3].std() > 0.05


def test_a_very_high_picture_gets_fewer_pixels(tmp_path, monkeypatch):
    long = Net("long", (4,), (Dense(4),) * 20)
    monkeypatch.setattr("alexnet.drawing.paint.LARGEST", 1000)
    picture = imread(long.draw().save(tmp_path / "net.png"))
    assert picture.shape[0] == pytest.approx(1000, abs=1)


@pytest.mark.parametrize("file", ["net.jpg", "net", "net.svg.gz", ".svg"])
def test_another_suffix_is_refused(file, tmp_path):
    with pytest.raises(DataError, match=r"a drawing's file name must end in \.svg or \.png$"):
        ONE_LAYER.draw().save(tmp_path / file)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"net\.svg: cannot write the drawing"):
        ONE_LAYER.draw().save(tmp_path / "file" / "net.svg")
    with pytest.raises(DataError, match=r"cannot write the drawing \(embedded null byte\)"):
        ONE_LAYER.draw().save(tmp_path / "\0net.svg")


def test_a_drawing_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = ONE_LAYER.draw().save(tmp_path / "net.svg")
    before = path.read_text(encoding="utf-8")
    monkeypatch.setattr("alexnet.drawing.paint.figure", lambda page: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ZOO["lenet"].draw().save(path)
    assert path.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_drawing_needs_a_net():
    with pytest.raises(DataError, match="a drawing needs at least one net"):
        alexnet.draw()
    with pytest.raises(SpecError, match="unknown net 'vgg'; known nets: "):
        alexnet.draw("lenet", "vgg")
    built = alexnet.build("lenet", backend="numpy")
    with pytest.raises(SpecError, match=rf"^a net is a Net or .*; got {type(built).__name__}$"):
        alexnet.draw(built)


def test_another_input_shape():
    assert ">6×32×30</text>" in ZOO["lenet"].draw((1, 32, 30)).svg
    resolved = ZOO["lenet"].resolve((1, 32, 30))
    assert resolved.draw().svg == alexnet.draw(resolved).svg
    with pytest.raises(SpecError, match="the smallest image that fits is 65×65"):
        ZOO["alexnet"].draw((1, 30, 30))


# --- the command ----------------------------------------------------------------------------------


def test_the_command_names_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = alexnet_here("draw", "lenet", "alexnet-28")
    assert (found.returncode, found.stdout) == (0, "lenet-alexnet-28.svg\n")
    expected = alexnet.draw("lenet", "alexnet-28").svg
    assert (tmp_path / "lenet-alexnet-28.svg").read_text(encoding="utf-8") == expected
    found = alexnet_here("draw", "lenet", "--size", "40", "--out", "there/lenet.png")
    assert found.returncode == 0, found.stderr
    assert imread(tmp_path / "there" / "lenet.png").size
    assert alexnet_here("draw").stdout == "alexnet.svg\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vgg"], "unknown net 'vgg'; known nets: alexnet, "),
        (
            ["lenet", "--out", "lenet.pdf"],
            "lenet.pdf: a drawing's file name must end in .svg or .png",
        ),
        (["alexnet", "--size", "64"], "the smallest image that fits is 65×65"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_the_command_refuses_in_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = alexnet_here("draw", *arguments)
    assert found.returncode == 1
    assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1
    assert message in found.stderr
    assert list(tmp_path.iterdir()) == []


# --- in a notebook --------------------------------------------------------------------------------


def test_a_net_in_a_notebook_is_its_table_and_its_drawing():
    page = ZOO["lenet"]._repr_html_()
    assert page == ZOO["lenet"].resolve()._repr_html_()
    lines = re.findall("<tr>(.*?)</tr>", page)
    cells = [tuple(re.findall("<t[dh][^>]*>([^<]*)<", line)) for line in lines]
    assert cells == ZOO["lenet"].resolve().table()
    (picture,) = re.findall(r'<img alt="([^"]*)" .* src="data:image/svg\+xml;base64,', page)
    assert unescape(picture) == ZOO["lenet"].draw().description


def test_several_nets_in_a_notebook_are_pictures_at_one_scale():
    """Pictures of their own are below each other on a phone."""
    page = alexnet.draw("lenet", "alexnet")._repr_html_()
    assert page.count("<img ") == 2
    assert page.count("square-root scale") == 2


def test_a_net_that_does_not_fit_says_so_in_a_notebook():
    page = Net("a<b", (1, 8, 8), (Dense(3),))._repr_html_()
    assert "a&lt;b, layer 0 Dense(3): input (1, 8, 8) is not a vector" in page
    assert "<img" not in page


def test_the_table_of_a_terminal_has_the_lines_of_the_table_in_a_notebook():
    net = ZOO["alexnet"].resolve()
    lines = as_text([summary_table(net)]).splitlines()
    assert lines[0].strip() == net.title == "alexnet, input 1×224×224"
    for line in net.table():
        assert any(all(cell in printed for cell in line) for printed in lines)
