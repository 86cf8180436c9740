"""The table: shapes, counts, and refusals that name the layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import ALEXNET_SHAPES, EVERY_LAYER, LENET_SHAPES

from alexnet import spec
from alexnet.errors import SpecError
from alexnet.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LeakyReLU,
    LocalResponseNorm,
    MaxPool,
    Net,
    ReLU,
    zoo,
)
from alexnet.spec.layers import LAYERS


@pytest.mark.parametrize(
    ("net", "shapes"), [(zoo.ALEXNET, ALEXNET_SHAPES), (zoo.LENET, LENET_SHAPES)]
)
def test_shapes_of_a_table_are_the_chapters(net, shapes):
    assert [row.output_shape for row in net.resolve().rows] == shapes


def test_alexnet_has_the_totals_of_the_chapter():
    net = zoo.ALEXNET.resolve()
    assert net.parameter_count == 46_764_746
    assert net.macs == 938_146_176
    assert net.activation_bytes == 4 * sum(
        a if not rest else a * rest[0] * rest[1] for a, *rest in ALEXNET_SHAPES
    )


def test_lenet_has_the_parameters_of_the_chapter():
    assert zoo.LENET.resolve().parameter_count == 61_706


def test_padding_changes_the_shape_at_225():
    """At 224, padding 1 and none give the same shape; a pixel more tells them apart."""
    assert Conv(96, 11, stride=4, padding=1).output_shape((1, 225, 225)) == (96, 55, 55)
    assert Conv(96, 11, stride=4).output_shape((1, 225, 225)) == (96, 54, 54)


def test_groups_divide_the_channels():
    conv = Conv(256, 5, padding=2, groups=2)
    assert conv.parameters((96, 27, 27))["weight"] == (256, 48, 5, 5)
    assert conv.macs((96, 27, 27)) == 256 * 27 * 27 * 48 * 25


def test_statistics_are_not_counted_as_learned():
    net = Net("norm", (3, 4, 5), (BatchNorm(),)).resolve()
    assert net.parameter_count == 6
    assert list(net.parameters) == ["0.weight", "0.bias", "0.running_mean", "0.running_var"]


@given(
    size=st.integers(1, 40),
    kernel=st.integers(1, 9),
    stride=st.integers(1, 5),
    padding=st.integers(0, 4),
)
def test_a_window_visits_every_position_that_fits(size, kernel, stride, padding):
    conv = Conv(1, kernel, stride=stride, padding=padding)
    starts = range(0, size + 2 * padding - kernel + 1, stride)
    if len(starts):
        assert conv.output_shape((1, size, size + 1))[1] == len(starts)
    else:
        with pytest.raises(SpecError, match="smaller than the window"):
            conv.output_shape((1, size, size))


@given(side=st.integers(1, 200))
def test_the_smallest_image_named_is_the_smallest_that_fits(side):
    shape = (1, side, side)
    if side >= 65:
        zoo.ALEXNET.resolve(shape)
    else:
        with pytest.raises(SpecError, match=r"the smallest image that fits is 65×65$"):
            zoo.ALEXNET.resolve(shape)


def test_an_image_too_small_names_the_layer():
    with pytest.raises(SpecError) as caught:
        zoo.ALEXNET.resolve((1, 64, 64))
    assert str(caught.value) == (
        "alexnet, layer 12 MaxPool(3, stride=2): input (256, 2, 2) is smaller than the window; "
        "the smallest image that fits is 65×65"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0, 3), r"Conv\(0, 3\): out_channels must be a whole number of at least 1"),
        (lambda: Conv(8, 3, stride=0), "stride must be a whole number of at least 1, got 0"),
        (lambda: Conv(8, 3, padding=-1), "padding must be a whole number of at least 0, got -1"),
        (lambda: Conv(8, 2.5), "kernel_size must be a whole number of at least 1, got 2.5"),
        (lambda: Conv(8, True), "kernel_size must be a whole number of at least 1, got True"),
        (lambda: Conv(9, 3, groups=2), r"out_channels must be a multiple of groups \(2\), got 9"),
        (lambda: Conv(8, 3, kernel=2), "unexpected keyword argument 'kernel'; its arguments are"),
        (lambda: Conv(8), "missing a required argument: 'kernel_size'"),
        (lambda: Dense(10, 20), "too many positional arguments"),
        (
            lambda: MaxPool(3, padding=2),
            r"padding must be at most half of kernel_size \(3\), got 2",
        ),
        (lambda: AvgPool(3, stride="2"), "stride must be a whole number of at least 1, got '2'"),
        (lambda: Dropout(1.0), "rate must be below 1, got 1.0"),
        (lambda: LeakyReLU(1.5), "slope must be at most 1, got 1.5"),
        (lambda: LeakyReLU(-0.1), "slope must be a finite number of at least 0.0, got -0.1"),
        (lambda: Dropout(float("nan")), "rate must be a finite number"),
        (lambda: LocalResponseNorm(4), "size must be odd"),
        (lambda: LocalResponseNorm(k=0), "k must be a finite number above 0"),
        (lambda: BatchNorm(momentum=1.5), "momentum must be at most 1"),
        (lambda: BatchNorm(epsilon=0), "epsilon must be a finite number above 0"),
        (lambda: Net("n", (1, 8, 8), ()), "n: a net must have at least one layer"),
        (lambda: Net("n", (1, 8, 8), (ReLU,)), "n, layer 0: .* is not a layer"),
        (lambda: Net("n", (1, 8), (ReLU(),)), r"input shape must be .*, got \(1, 8\)"),
        (lambda: Net("n", (1, 8, 0), (ReLU(),)), r"input shape must be .*, got \(1, 8, 0\)"),
        (lambda: Net("n", 8, (ReLU(),)), "input shape must be .*, got 8"),
    ],
)
def test_a_wrong_value_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([ReLU(), Dense(4)], r"n, layer 1 Dense\(4\): input \(2, 8, 8\) is not a vector"),
        ([Flatten(), Conv(4, 3)], r"n, layer 1 Conv\(4, 3\): input \(128,\) is not an image"),
        (
            [Flatten(), GlobalAvgPool()],
            r"layer 1 GlobalAvgPool\(\): input \(128,\) is not an image",
        ),
        ([Flatten(), LocalResponseNorm()], "layer 1 .* is not an image"),
        ([Conv(3, 1), Conv(4, 1, groups=2)], "layer 1 .*: input channels must be a multiple"),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(layers, message):
    with pytest.raises(SpecError, match=message):
        Net("n", (2, 8, 8), tuple(layers)).resolve()


def test_the_error_for_an_unknown_model_lists_the_known_ones():
    with pytest.raises(
        SpecError, match=r"unknown net 'alexnt' \(did you mean alexnet\?\); .*lenet"
    ):
        zoo.get("alexnt")


def test_layers_cannot_be_changed():
    with pytest.raises(AttributeError):
        Conv(8, 3).stride = 2


def test_every_layer_is_tested_in_every_backend():
    """`nets.EVERY_LAYER` has one of each, so that no rendering is missing."""
    kinds = {
        cls
        for cls in vars(spec).values()
        if isinstance(cls, type)
        and issubclass(cls, spec.Layer)
        and not cls.__name__.startswith("_")
    }
    used = {type(layer) for net in EVERY_LAYER for layer in net.layers}
    assert used == kinds - {spec.Layer}
    assert {cls.__name__ for cls in used} == set(LAYERS) <= set(spec.__all__)


@pytest.mark.parametrize("net", [*zoo.ZOO.values(), *EVERY_LAYER], ids=lambda net: net.name)
def test_a_net_is_printed_as_the_code_that_makes_it(net):
    assert eval(repr(net), vars(spec)) == net
    assert repr(net).count("\n") == len(net.layers) + 1
