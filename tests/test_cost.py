"""The cost of each layer, by hand and against independent counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nets import EVERY_LAYER

import alexnet
from alexnet.bench.cases import training_flop
from alexnet.costs.layers import PASSES, Pass
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
        (("vgg",), SpecError, "unknown net 'vgg'; known nets: alexnet, "),
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
    monkeypatch.setattr("alexnet.backends.loading.installed", lambda name: name == "numpy")
    with pytest.raises(alexnet.AlexNetError, match="Paddle is not installed; run pip"):
        alexnet.cost("lenet", backend="paddle")
