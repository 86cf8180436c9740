"""The words, the tables and the pictures of a net's cost."""

from __future__ import annotations

import json
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from cost_results import measured
from matplotlib import rcParams
from rich.console import Console

import alexnet
from alexnet.bench.cases import training_flop
from alexnet.costs.layers import PASSES, Pass
from alexnet.costs.measure import Measurement
from alexnet.errors import RunError
from alexnet.spec import BatchNorm, Dense, Flatten, Net, ReLU, zoo
from alexnet.views.svg import drawing_style

# --- words ------------------------------------------------------------------------------------------


def test_the_words_on_alexnet_follow_its_table():
    table = zoo.ALEXNET.resolve()
    dense = [row for row in table.rows if isinstance(row.layer, Dense)]
    held = sum(row.parameter_count for row in dense) / table.parameter_count
    done = sum(row.macs for row in dense) / table.macs
    parts, memory, traffic = alexnet.cost("alexnet").sentences()
    assert parts == (
        f"The dense layers hold {100 * held:.0f} % of the 46.8 M parameters, but do {100 * done:.0f} % "
        f"of the 120 G multiply-adds. The convolutions hold {100 - 100 * held:.0f} % of the parameters, "
        f"but do {100 - 100 * done:.0f} % of the multiply-adds."
    )
    assert "374 MB for the weights and their gradients" in memory  # 8 * 46,764,746 bytes
    assert "batch of 128, it keeps 412 MB of activations; layer 1 ReLU alone keeps 35 %" in memory
    first_relu = 4 * 128 * 96 * 54 * 54
    assert round(100 * first_relu / alexnet.cost("alexnet").kept_bytes) == 35
    assert "moves at least 3.80 GB and takes 712 GFLOP" in traffic
    assert 128 * training_flop(table) / 1e9 == pytest.approx(711.8, abs=0.1)


def test_the_batch_from_which_activations_need_more_than_the_weights():
    said = " ".join(alexnet.cost("alexnet").sentences())
    assert "In batches of 117 or more, the activations are the larger part." in said
    for batch_size, larger in ((116, False), (117, True)):
        found = alexnet.cost("alexnet", batch_size)
        assert (found.kept_bytes > 8 * found.parameters) is larger


def test_the_words_on_nets_of_one_kind():
    (only,) = alexnet.cost(Net("shape", (2, 3, 3), (ReLU(), Flatten()))).sentences()[:1]
    assert only == "The net has no parameters."
    dense, *_ = alexnet.cost(Net("line", (8,), (Dense(3), ReLU(), Dense(2)))).sentences()
    assert dense.startswith("The dense layers hold 100 % of the 35 parameters and do 100 % of the ")
    norm, *_ = alexnet.cost(Net("norm", (8,), (BatchNorm(),))).sentences()
    assert norm == "The normalisation layers hold 100 % of the 16 parameters."


def test_each_layer_is_limited_by_memory_below_the_ridge():
    cost = measured(alexnet.cost("alexnet"))
    text = " ".join(cost.sentences())
    assert "at most 100 GFLOP/s and its memory moves at most 10.0 GB/s" in text
    assert "fewer than 10 FLOP for each byte" in text
    below = [x.name for x in cost.layers if x.macs and x.forward.intensity < 10]
    assert below == ["20 Dense"]
    assert (
        "Forward and backward, memory bandwidth limits 20 Dense, pooling layers, activation functions and "
        "dropout layers; arithmetic limits convolutions, 14 Dense and 17 Dense." in text
    )
    fast = " ".join(measured(alexnet.cost("alexnet"), peak=1e9, bandwidth=1e12).sentences())
    assert "Forward, memory bandwidth limits" not in fast
    assert "arithmetic limits every layer" in fast


def test_a_pass_at_the_limits_takes_the_longer_of_two_times():
    found = measured(alexnet.cost("lenet")).measured
    assert found.least_seconds(Pass(flop=1000, bytes=10)) == pytest.approx(1000 / 100e9)
    assert found.least_seconds(Pass(flop=1000, bytes=1000)) == pytest.approx(1000 / 10e9)
    assert Measurement("numpy", "cpu").least_seconds(Pass(1, 1)) is None


def test_the_measured_time_is_the_sum_of_the_layers():
    cost = measured(alexnet.cost("lenet"), seconds=0.5)
    text = " ".join(cost.sentences())
    assert "NumPy 1.2.3 on cpu takes 6.00 s forward, 6.00 s backward" in text
    assert (
        "layers other than convolutions and dense layers take 58 % of the time" in text
    )  # 7 of 12
    assert "6 Flatten, which moves nothing, takes 500 ms forward: the time of a call." in text
    assert "cache" not in text
    assert "cache" in " ".join(measured(alexnet.cost("lenet"), seconds=1e-6).sentences())


# --- tables and pictures ----------------------------------------------------------------------------


@pytest.mark.parametrize("model", zoo.ZOO)
def test_the_tables_fit_a_terminal_of_80_characters(model):
    cost = measured(alexnet.cost(model), seconds=0.123)
    console = Console(width=200)
    for part in cost.summary():
        if not isinstance(part, str):
            assert console.measure(part).maximum <= 80


def test_the_tables_have_a_line_for_each_layer():
    lines = repr(measured(alexnet.cost("alexnet"), seconds=2.0)).splitlines()
    (conv, speed) = (line.split() for line in lines if line.startswith(" 3 Conv"))
    assert conv == [
        "3", "Conv", "615", "k", "53.2", "G", "88.6", "MB", "–", "124", "MB", "855", "160", "MB", "1,329",
    ]  # fmt: skip
    least = 2 * 53.16e9 / 100e9  # seconds at the peak
    share = f"{100 * least / 2:.0f}"
    assert speed[2:9] == ["2.00", "s", "53.2", "G", share, "%", "FLOP/s"]
    assert f"{100 * 2 * least / 2:.0f}" in speed[9:]
    (total,) = (line.split() for line in lines if "total" in line)
    assert total[1:5] == ["46.8", "M", "120", "G"]


def test_the_bars_show_the_numbers():
    cost = alexnet.cost("lenet", 4)
    parameters, macs, activations, moved = cost.plot().axes
    for axes, expected in (
        (parameters, [layer.parameters for layer in cost.layers]),
        (macs, [layer.macs for layer in cost.layers]),
        (activations, [layer.output_bytes for layer in cost.layers]),
        (moved, [layer.forward.bytes for layer in cost.layers]),
    ):
        widths = [bar.get_width() for bar in axes.patches[: len(cost.layers)]]
        assert widths == pytest.approx(expected)
    kept = [bar.get_width() for bar in activations.patches[len(cost.layers) :]]
    assert sum(kept) == cost.kept_bytes
    backward = [bar.get_width() for bar in moved.patches[len(cost.layers) :]]
    assert backward == pytest.approx([layer.backward.bytes for layer in cost.layers])
    labels = [label.get_text() for label in parameters.get_yticklabels()]
    assert labels == ["input", *(layer.name for layer in cost.layers)]


def test_the_points_of_the_roofline_are_the_measured_speeds():
    cost = measured(alexnet.cost("lenet"), seconds=0.01)
    for axes, name in zip(cost.roofline().axes, PASSES, strict=True):
        drawn = np.concatenate(
            [c.get_offsets() for c in axes.collections if len(c.get_offsets()) > 0]
        )
        points = {(x, y) for x, y in drawn.tolist() if y > 0}
        working = [layer.of(name) for layer in cost.layers if layer.of(name).flop]
        expected = {(work.intensity, work.flop / 0.01) for work in working}
        assert len(points & expected) == len(expected)
        (roof,) = axes.lines
        x, y = roof.get_data()
        assert (x[1], y[1]) == (10.0, 100e9)
        assert y[0] == pytest.approx(10e9 * x[0])


def test_a_layer_without_a_time_lies_on_the_line():
    cost = measured(alexnet.cost("lenet"))
    points = np.concatenate([c.get_offsets() for c in cost.roofline().axes[0].collections[1:]])
    assert all(y == pytest.approx(min(100e9, 10e9 * x)) for x, y in points)


def test_without_limits_there_is_no_roofline():
    with pytest.raises(RunError, match="a roofline needs the limits of the machine"):
        alexnet.cost("lenet").roofline()


def test_the_pictures_have_their_text_and_both_pages():
    cost = measured(alexnet.cost("lenet"), seconds=0.01)
    pictures = cost.pictures()
    assert list(pictures) == ["bars", "roofline"]
    for picture, description in pictures.values():
        root = ET.fromstring(picture)
        assert root.find("{*}desc").text == description
        assert "prefers-color-scheme: dark" in root.find("{*}style").text
        assert "lenet" in description
        drawn = " ".join("".join(text.itertext()) for text in root.findall(".//{*}text"))
        assert "3 Conv" in drawn
    assert "The dense layers hold 96 %" in pictures["bars"][1]
    assert "limited by memory bandwidth" in pictures["roofline"][1]


def test_a_chinese_name_is_text_in_the_picture_and_gives_no_warning():
    net = Net("我的网", (4,), (Dense(3),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture, _ = alexnet.cost(net).pictures()["bars"]
    drawn = ["".join(text.itertext()) for text in ET.fromstring(picture).findall(".//{*}text")]
    assert any("我的网" in text for text in drawn)


def test_a_notebook_shows_tables_and_pictures():
    html = measured(alexnet.cost("lenet"), seconds=0.01)._repr_html_()
    assert html.count("<img alt=") == 2
    assert "The dense layers hold 96 %" in html
    assert alexnet.cost("lenet")._repr_html_().count("<img alt=") == 1


def test_after_a_picture_a_notebook_still_shows_the_readers_own_figures(monkeypatch):
    monkeypatch.setitem(rcParams, "interactive", False)
    before = rcParams.copy()
    with drawing_style():
        rcParams["interactive"] = True  # a notebook's backend does this when it loads
    assert rcParams == before | {"interactive": True}


def test_the_folder_has_the_numbers_the_table_and_the_pictures(tmp_path):
    cost = measured(alexnet.cost("lenet"), seconds=0.01)
    names = cost.save(tmp_path)
    assert sorted(names) == sorted(file.name for file in tmp_path.iterdir())
    saved = json.loads((tmp_path / "cost.json").read_text(encoding="utf-8"))
    assert saved["parameters"] == 61706
    conv = saved["layers"][0]
    assert conv["forward"]["intensity"] == conv["forward"]["flop"] / conv["forward"]["bytes"]
    assert saved["measured"]["seconds"]["0"] == {"forward": 0.01, "backward": 0.01}
    assert saved["text"] == cost.sentences()
    assert (tmp_path / "table.txt").read_text(encoding="utf-8") == repr(cost)
