"""The cost of each layer, by hand and against independent counts; its words, tables and pictures."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from nets import EVERY_LAYER
from rich.console import Console

import alexnet
from alexnet import backends
from alexnet.bench.cases import training_flop
from alexnet.bench.limits import Limits
from alexnet.costs.layers import PASSES, Pass
from alexnet.costs.measure import Measurement
from alexnet.costs.paint import COLOURS
from alexnet.costs.roofline import MARKERS
from alexnet.costs.text import GROUPS
from alexnet.errors import RunError, SpecError
from alexnet.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Net,
    ReLU,
    Sigmoid,
    Tanh,
    zoo,
)
from alexnet.spec.layers import LAYERS

# --- the numbers ------------------------------------------------------------------------------------

SMALL = Net(
    "small",
    (4, 9, 7),
    (
        Conv(6, 3, stride=2, padding=1, groups=2),  # 6×5×4
        BatchNorm(),
        ReLU(),
        MaxPool(3, stride=2),  # 6×2×1
        Flatten(),
        Dense(5),
    ),
)


def test_a_small_net_by_hand():
    """Batches of 3. Numbers of values: 252 in, 120 after the convolution, 12 after pooling, 5 out."""
    found = alexnet.cost(SMALL, 3)
    conv, norm, relu, pool, flatten, dense = found.layers
    weights, bias = 6 * 2 * 3 * 3, 6

    assert conv.macs == 3 * 120 * 2 * 3 * 3
    assert conv.forward == Pass(2 * conv.macs, 4 * (3 * 252 + weights + bias + 3 * 120))
    assert conv.backward == Pass(2 * conv.macs, 4 * (3 * 120 + 3 * 252 + weights + bias))

    running, statistics = 2 * 6, 2 * 6  # the running values are read and written
    assert norm.forward == Pass(8 * 360, 4 * (360 + 360 + 2 * 6 + 2 * running + statistics))
    assert norm.backward == Pass(9 * 360, 4 * (360 + 360 + statistics + 2 * 6 + 6 + 360))

    assert relu.forward == Pass(360, 4 * (360 + 360))
    assert relu.backward == Pass(360, 4 * (360 + 360 + 360))

    assert pool.forward == Pass(8 * 36, 4 * (360 + 36) + 36)  # a byte for each position
    assert pool.backward == Pass(36, 4 * 36 + 36 + 4 * 360)

    assert flatten.forward == flatten.backward == Pass(0, 0)

    assert dense.macs == 3 * 12 * 5
    assert dense.forward == Pass(2 * 180, 4 * (36 + 65 + 15))
    assert dense.backward == Pass(4 * 180, 4 * (15 + 36 + 65 + 60 + 36))

    assert [layer.output_bytes for layer in found.layers] == [
        4 * 360, 4 * 360, 4 * 360, 4 * 36, 4 * 36, 4 * 15,
    ]  # fmt: skip
    # The input of the convolution, of the normalisation, of the dense layer; the output of ReLU.
    assert found.input_bytes == 4 * 3 * 252
    assert [layer.kept_bytes for layer in found.layers] == [
        4 * 360, 4 * statistics, 4 * 360, 4 * 36 + 36, 0, 0,
    ]  # fmt: skip
    assert found.kept_bytes == found.input_bytes + 4 * (360 + 12 + 360 + 36) + 36


@pytest.mark.parametrize(
    ("layer", "forward", "backward", "kept"),
    [
        (LeakyReLU(0.2), 2 * 192, 2 * 192, "output"),
        (Sigmoid(), 4 * 192, 3 * 192, "output"),
        (Tanh(), 192, 3 * 192, "output"),
        (Dropout(0.3), 2 * 192, 2 * 192, 192),  # a mask of bytes
        (LocalResponseNorm(3), 7 * 192, 9 * 192, 4 * 192),  # the divisors; and its input
        (AvgPool(4), 16 * 12, 17 * 12, 0),
        (GlobalAvgPool(), 192, 3, 0),
        (MaxPool(4), 15 * 12, 12, 12),
        (MaxPool(17, padding=8), 288 * 3, 3, 4 * 3),  # 289 positions do not fit into a byte
    ],
    ids=lambda x: repr(x) if isinstance(x, Layer) else "",
)
def test_layers_without_multiply_adds_by_hand(layer, forward, backward, kept):
    """One image of 3×8×8 after a convolution: 192 values."""
    net = Net("one", (2, 8, 8), (Conv(3, 3, padding=1), layer, Conv(2, 1)))
    conv, found, _ = alexnet.cost(net, 1).layers
    out = math.prod(found.row.output_shape)
    besides = 0 if kept == "output" else kept
    assert found.forward == Pass(forward, 4 * (192 + out) + besides)
    read_again = {"output": 4 * out}.get(kept, besides)
    read_again += 4 * 192 if isinstance(layer, LocalResponseNorm) else 0
    assert found.backward == Pass(backward, 4 * out + read_again + 4 * 192)
    assert found.kept_bytes == 4 * out + besides  # the second convolution keeps its input
    assert conv.kept_bytes == (4 * 192 if isinstance(layer, LocalResponseNorm) else 0)


def test_lenet_by_hand():
    """The chapter's LeNet: two convolutions, three dense layers."""
    found = alexnet.cost("lenet", 2)
    macs = [layer.macs for layer in found.layers if layer.macs]
    assert macs == [
        2 * 28 * 28 * 6 * 25, 2 * 10 * 10 * 16 * 6 * 25, 2 * 400 * 120, 2 * 120 * 84, 2 * 84 * 10,
    ]  # fmt: skip
    dense = found.layers[7]
    assert dense.forward.bytes == 4 * (2 * 400 + 400 * 120 + 120 + 2 * 120)
    assert dense.forward.intensity == 2 * 2 * 400 * 120 / dense.forward.bytes


@pytest.mark.parametrize("model", zoo.ZOO)
def test_totals_are_those_of_the_table(model):
    table = zoo.get(model).resolve()
    found = alexnet.cost(model, 7)
    assert sum(layer.parameters for layer in found.layers) == table.parameter_count
    assert found.macs == 7 * table.macs
    assert found.output_bytes == 7 * table.activation_bytes
    heavy = [layer for layer in found.layers if layer.macs]
    flop = sum(layer.of(name).flop for layer in heavy for name in PASSES)
    assert flop == 7 * training_flop(table)  # as the bench counts it


def test_layers_before_the_first_weights_have_no_backward_pass():
    net = Net("softmax", (1, 6, 5), (AvgPool(2), Flatten(), Dense(3)))
    pool, _, dense = alexnet.cost(net, 2).layers
    assert pool.backward == Pass(0, 0)
    assert pool.kept_bytes == 4 * 2 * 6  # of the dense layer: its input
    assert dense.backward.flop == 2 * 2 * 18  # no gradient of the input


@pytest.mark.needs("torch")
@pytest.mark.parametrize("net", [zoo.ALEXNET, *EVERY_LAYER[:3]], ids=lambda net: net.name)
def test_training_keeps_what_a_framework_saves(net):
    """PyTorch saves the same tensors, but 8 bytes for a position. The layers left out save more in it."""
    import torch

    others = Dropout | LocalResponseNorm | LeakyReLU
    net = Net(net.name, net.input_shape, tuple(x for x in net.layers if not isinstance(x, others)))
    model = alexnet.build(net, "torch").train()
    own = {t.data_ptr() for t in model.state_dict().values()}
    saved = {}

    def keep(tensor):
        size = 1 if tensor.dtype == torch.int64 else tensor.element_size()
        if tensor.data_ptr() not in own:
            saved[tensor.data_ptr()] = size * tensor.numel(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = model(torch.rand(2, *net.input_shape))
    assert y.requires_grad
    assert alexnet.cost(net, 2).kept_bytes == sum(size for size, _ in saved.values())


def test_every_layer_has_its_arithmetic_its_group_and_its_looks():
    seen = {type(row.layer) for net in EVERY_LAYER for row in net.resolve().rows}
    assert seen == set(LAYERS.values())  # so the tests above have counted each
    assert GROUPS.keys() == LAYERS.keys()
    assert COLOURS.keys() == MARKERS.keys() == set(GROUPS.values())


# --- what may be asked ------------------------------------------------------------------------------


def test_a_name_a_net_a_size_and_a_native_net_are_accepted():
    lenet = alexnet.cost("lenet")
    assert lenet.batch_size == 128
    assert alexnet.cost(zoo.LENET).layers == lenet.layers
    assert alexnet.cost(zoo.LENET.resolve()).layers == lenet.layers
    assert alexnet.cost(alexnet.build("lenet", "numpy")).layers == lenet.layers
    assert alexnet.cost("lenet", input_shape=(1, 32, 32)).macs > lenet.macs
    assert alexnet.cost("lenet", np.int64(2)).macs == 2 * zoo.LENET.resolve().macs


class Swish(ReLU):
    """A user's layer."""


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("vgg",), SpecError, "unknown model 'vgg'; known models: alexnet, "),
        ((3,), SpecError, r"a Net, or a net that alexnet.build returned; got int"),
        (("lenet", 0), RunError, "batch_size must be a whole number of at least 1, got 0"),
        (("lenet", 2.5), RunError, "batch_size must be a whole number of at least 1, got 2.5"),
        (("lenet", True), RunError, "batch_size must be a whole number of at least 1, got True"),
        (
            (Net("mine", (3,), (Dense(2), Swish())),),
            SpecError,
            r"mine, layer 1 Swish\(\): the cost of its class is unknown",
        ),
    ],
)
def test_bad_input_gives_one_sentence(arguments, error, message):
    with pytest.raises(error, match=message):
        alexnet.cost(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "jax"}, "unknown backend 'jax'; known backends: numpy, "),
        ({"backend": "numpy", "device": "tpu"}, "unknown device 'tpu'; known: cpu, gpu"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(options, message):
    with pytest.raises(alexnet.AlexNetError, match=message):
        alexnet.cost("lenet", **options)


def test_a_framework_that_is_not_installed_has_its_command(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    with pytest.raises(alexnet.AlexNetError, match=r"Paddle is not installed; pip install -e"):
        alexnet.cost("lenet", backend="paddle")


# --- words ------------------------------------------------------------------------------------------


def measured(cost, seconds=None, peak=100e9, bandwidth=10e9):
    """A measurement written by hand: 10 FLOP for each byte, and so many seconds for every pass."""
    limits = Limits({"float32": {"matmul": [peak / 2, peak]}}, {"copy": [bandwidth]})
    found = Measurement("numpy", "cpu", "1.2.3", "cpu", "a machine", limits)
    for layer in cost.layers if seconds else ():
        found.add(layer.row.index, dict.fromkeys(PASSES, seconds))
    return replace(cost, measured=found)


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
    assert "batch of 128, it keeps 412 MB of activations; 1 ReLU alone keeps 35 %" in memory
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


def test_a_notebook_shows_tables_and_pictures():
    html = measured(alexnet.cost("lenet"), seconds=0.01)._repr_html_()
    assert html.count("<img alt=") == 2
    assert "The dense layers hold 96 %" in html
    assert alexnet.cost("lenet")._repr_html_().count("<img alt=") == 1


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
