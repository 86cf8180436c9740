"""What each setting of `Net.replace` changes: layers and shapes, computed by hand."""

from __future__ import annotations

from nets import MIXED

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
    Sigmoid,
    Tanh,
    zoo,
)
from alexnet.spec.layers import LAYERS
from alexnet.spec.transform import ACTIVATIONS


def changed(net, **values):
    """The layers that `values` change, by index, of a net whose length stays."""
    new = net.replace(**values)
    assert len(new.layers) == len(net.layers)
    pairs = enumerate(zip(net.layers, new.layers, strict=True))
    return {index: after for index, (before, after) in pairs if after != before}


def image_shapes(net):
    return [row.output_shape for row in net.resolve().rows if len(row.output_shape) == 3]


def test_a_new_activation_is_in_the_place_of_every_old_one():
    assert changed(MIXED, activation="relu") == {2: ReLU(), 7: ReLU(), 13: ReLU()}
    assert changed(MIXED, activation="tanh") == {2: Tanh(), 7: Tanh()}
    assert changed(MIXED, activation="leaky-relu") == dict.fromkeys((2, 7, 13), LeakyReLU(0.01))


def test_an_activation_after_the_last_layer_stays():
    net = Net("out", (3,), (Dense(4), ReLU(), Dense(2), Sigmoid()))
    assert changed(net, activation="tanh") == {1: Tanh()}


def test_every_activation_of_the_spec_can_be_chosen():
    """A new layer class must be an activation here, or stand among the others."""
    others = {"Conv", "Dense", "Flatten", "Dropout", "MaxPool", "AvgPool", "GlobalAvgPool"}
    others |= {"LocalResponseNorm", "BatchNorm"}
    assert {kind.__name__ for kind in ACTIVATIONS.values()} == set(LAYERS) - others


def test_a_new_kind_of_pooling_keeps_the_windows():
    assert changed(MIXED, pool="max") == {3: MaxPool(3, stride=2, padding=1)}
    assert changed(MIXED, pool="avg") == {5: AvgPool(2)}
    assert image_shapes(MIXED.replace(pool="max")) == image_shapes(MIXED)


def test_a_new_window_changes_the_shapes():
    new = {3: AvgPool(2, stride=3, padding=1), 5: MaxPool(2, stride=3)}
    assert changed(MIXED, pool_window=(2, 3)) == new
    shapes = image_shapes(MIXED.replace(pool_window=(2, 3)))
    # (19 + 2 - 2) // 3 + 1 = 7 rows, (23 + 2 - 2) // 3 + 1 = 8 columns; then (6 - 2) // 3 + 1 = 2.
    assert shapes[3:6] == [(6, 7, 8), (9, 6, 7), (9, 2, 2)]


def test_alexnet_without_overlap_has_the_shapes_of_a_halving():
    shapes = [r.output_shape for r in zoo.ALEXNET.replace(pool_window=(2, 2)).resolve().rows]
    assert [shapes[index] for index in (2, 5, 12, 13)] == [
        (96, 27, 27), (256, 13, 13), (256, 6, 6), (9216,),
    ]  # fmt: skip


def test_a_window_that_is_already_there_changes_nothing():
    """MaxPool(2) has stride 2."""
    assert zoo.ALEXNET_28.replace(pool_window=(2, 2)) is zoo.ALEXNET_28


def test_global_pooling_stays():
    net = Net("global", (3, 9, 7), (Conv(4, 2), MaxPool(2), GlobalAvgPool(), Flatten(), Dense(5)))
    assert changed(net, pool="avg", pool_window=(3, 1)) == {1: AvgPool(3, stride=1)}


def test_a_new_rate_is_in_every_dropout_layer():
    assert changed(MIXED, dropout=0.25) == {9: Dropout(0.25), 14: Dropout(0.25)}


def test_rate_zero_keeps_the_layers_and_the_keys_of_the_weights():
    new = MIXED.replace(dropout=0)
    assert [new.layers[index] for index in (9, 14)] == [Dropout(0.0)] * 2
    assert new.resolve().parameters == MIXED.resolve().parameters


def test_none_removes_every_normalisation():
    kept = [layer for index, layer in enumerate(MIXED.layers) if index not in (1, 6, 12)]
    assert list(MIXED.replace(norm="none").layers) == kept


def test_batch_normalisation_comes_before_the_activation_of_each_convolution():
    assert MIXED.replace(norm="batch").layers == (
        Conv(6, 3, padding=1, groups=2),
        BatchNorm(),
        Sigmoid(),
        AvgPool(3, stride=2, padding=1),
        Conv(9, 2, groups=3),
        MaxPool(2),
        BatchNorm(),
        LeakyReLU(0.25),
        Conv(4, 1),
        BatchNorm(),  # no activation before Flatten
        Dropout(0.3),
        Flatten(),
        Dense(7),
        Tanh(),
        Dropout(0.5),
        Dense(5),
    )


def test_the_papers_normalisation_comes_after_the_activation_of_each_convolution():
    assert MIXED.replace(norm="lrn").layers == (
        Conv(6, 3, padding=1, groups=2),
        Sigmoid(),
        LocalResponseNorm(),
        AvgPool(3, stride=2, padding=1),
        Conv(9, 2, groups=3),
        MaxPool(2),
        LeakyReLU(0.25),
        LocalResponseNorm(),
        Conv(4, 1),
        LocalResponseNorm(),
        Dropout(0.3),
        Flatten(),
        Dense(7),
        Tanh(),
        Dropout(0.5),
        Dense(5),
    )


def test_the_papers_net_has_its_normalisation_in_these_places():
    """Krizhevsky et al. (2012), section 3.5: after the first two convolutions, before pooling."""
    new = zoo.ALEXNET_2012_PLAIN.replace(norm="lrn").layers
    paper = tuple(layer for layer in zoo.ALEXNET_2012.layers if layer != Dropout(0.5))
    assert new[:8] == paper[:8]
    assert new.count(LocalResponseNorm()) == 5


def test_a_convolution_that_gives_the_classes_is_neither_normalised_nor_scaled():
    layers = (Conv(8, 3), ReLU(), Conv(5, 1), GlobalAvgPool(), Flatten())
    net = Net("no-dense", (3, 9, 7), layers)
    assert net.replace(norm="batch", width=0.5).layers == (
        Conv(4, 3), BatchNorm(), ReLU(), *layers[2:],
    )  # fmt: skip


def test_width_scales_all_layers_but_the_classes():
    assert changed(zoo.LENET, width=0.25) == {
        0: Conv(2, 5, padding=2),  # 1.5, a half rounds up
        3: Conv(4, 5),
        7: Dense(30),
        9: Dense(21),
    }
    # 2·(25+1) + 4·(50+1) + 30·(100+1) + 21·31 + 10·22
    assert zoo.LENET.replace(width=0.25).resolve().parameter_count == 52 + 204 + 3030 + 651 + 220


def test_width_keeps_channels_divisible_by_the_groups_on_both_sides():
    """MIXED's first convolution has 2 groups, and the next one takes its channels in 3."""
    assert changed(MIXED, width=1.5) == {
        0: Conv(12, 3, padding=1, groups=2),  # 9 is between 6 and 12, and a half rounds up
        4: Conv(15, 2, groups=3),  # 13.5 = 4.5 · 3
        8: Conv(6, 1),
        11: Dense(11),  # 10.5
    }
    assert MIXED.replace(width=1.5).resolve().rows[4].parameters["4.weight"] == (15, 4, 2, 2)
    two_gpus = zoo.ALEXNET_2012_TWO_GPUS.replace(width=0.01).resolve()
    channels = [row.output_shape[0] for row in two_gpus.rows if isinstance(row.layer, Conv)]
    assert channels == [2, 2, 4, 4, 2]  # 0.96, 2.56, 3.84, 3.84, 2.56, as multiples of 2


def test_a_factor_is_the_decimal_number_that_is_written():
    """0.35 · 10 is 3.5, which rounds up; in binary it is a little less."""
    net = Net("ten", (3,), (Dense(10), Dense(2)))
    assert changed(net, width=0.35) == {0: Dense(4)}
