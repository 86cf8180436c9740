"""`Net.replace`: several settings, names, refusals, random nets, and the table of settings."""

from __future__ import annotations

import inspect
from itertools import permutations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from nets import MIXED

from alexnet.errors import SpecError
from alexnet.parity.check import Settings, parity
from alexnet.parity.random_nets import random_net
from alexnet.spec import (
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Net,
    ReLU,
    Sigmoid,
    zoo,
)
from alexnet.spec.transform import ACTIVATIONS, SETTINGS, value_text

ALL = {
    "activation": "leaky-relu",
    "pool": "avg",
    "pool_window": (3, 2),
    "dropout": 0.25,
    "norm": "batch",
    "width": 1.5,
}


def test_the_order_of_the_keywords_does_not_matter():
    nets = {MIXED.replace(**dict(order)) for order in permutations(ALL.items())}
    (net,) = nets
    assert net.name == (
        "mixed, activation=leaky-relu, pool=avg, pool_window=3-2, dropout=0.25, norm=batch, width=1.5"
    )


def test_one_call_and_several_make_the_same_layers():
    net = MIXED
    for name, value in reversed(ALL.items()):
        net = net.replace(**{name: value})
    assert net.layers == MIXED.replace(**ALL).layers


def test_a_transformed_net_agrees_with_the_reference(covered):
    net = MIXED.replace(**ALL)
    run = Settings(steps=2, batch_size=3, dtype="float64", dropout=True)
    for found in parity(net, covered, run):
        assert found.agrees("float64"), found


def test_a_call_without_settings_returns_the_net():
    assert MIXED.replace() is MIXED


def test_the_name_has_only_what_changed():
    net = zoo.LENET.replace(activation="sigmoid", pool="avg", width=0.5)
    assert net.name == "lenet, width=0.5"
    assert zoo.LENET.replace(activation="sigmoid", norm="none", width=1.0) is zoo.LENET


def test_a_name_can_be_a_file_name(tmp_path):
    name = MIXED.replace(**ALL).name
    assert not set(name) & set('<>:"/\\|?*')  # what Windows refuses
    (tmp_path / f"{name}.json").write_text("{}")


@pytest.mark.parametrize(
    ("net", "values", "message"),
    [
        (
            zoo.ALEXNET,
            {"activation": "gelu"},
            "alexnet: activation='gelu': unknown value; "
            "known values: relu, leaky-relu, sigmoid, tanh",
        ),
        (zoo.ALEXNET, {"pool": 2}, "alexnet: pool=2: unknown value; known values: max, avg"),
        (
            zoo.ALEXNET,
            {"norm": ["lrn"]},
            "alexnet: norm=['lrn']: unknown value; known values: none, lrn, batch",
        ),
        (
            zoo.ALEXNET,
            {"pool_window": "3/2"},
            "alexnet: pool_window='3/2': a window must be a kernel size and a stride, such as (3, 2)",
        ),
        (
            zoo.LENET,
            {"pool_window": (3, 0)},
            "lenet: pool_window=(3, 0): AvgPool(3, stride=0): "
            "stride must be a whole number of at least 1, got 0",
        ),
        (
            MIXED,
            {"pool_window": (1, 2)},
            "mixed: pool_window=(1, 2): AvgPool(1, stride=2, padding=1): "
            "padding must be at most half of kernel_size (1), got 1",
        ),
        (
            zoo.ALEXNET,
            {"dropout": 1.0},
            "alexnet: dropout=1.0: Dropout(1.0): rate must be below 1, got 1.0",
        ),
        (
            zoo.LENET,
            {"width": 0.5, "dropout": 0},  # the name in the message is the given net's
            "lenet: dropout=0: the net has no dropout layer",
        ),
        *[
            (
                zoo.LENET,
                {"width": value},
                f"lenet: width={value!r}: a factor must be a finite number above 0",
            )
            for value in (0, -0.5, float("nan"), float("inf"), 10**400, True, "2")
        ],
        (
            Net("linear", (1, 8, 9), (Flatten(), Dense(3))),
            {"width": 2},
            "linear: width=2: the net has no convolution or dense layer before its last one",
        ),
        (
            Net("linear", (4,), (Dense(3), Sigmoid())),
            {"activation": "relu"},
            "linear: activation='relu': the net has no activation between layers",
        ),
        (
            Net("global", (3, 9, 7), (Conv(4, 2), GlobalAvgPool(), Flatten(), Dense(5))),
            {"pool": "max"},
            "global: pool='max': the net has no pooling layer with a window",
        ),
        (
            Net("dense", (4,), (Dense(3), BatchNorm(), ReLU(), Dense(2))),
            {"norm": "batch"},
            "dense: norm='batch': the net has no convolution",
        ),
        (
            Net("dense", (4,), (Dense(3), ReLU(), Dense(2))),
            {"norm": "none"},
            "dense: norm='none': the net has no convolution",
        ),
    ],
)
def test_a_setting_is_refused_in_one_sentence(net, values, message):
    with pytest.raises(SpecError) as caught:
        net.replace(**values)
    assert str(caught.value) == message


def test_a_net_that_does_not_fit_its_image_names_the_new_layer():
    net = zoo.LENET.replace(pool_window=(6, 4))  # 28 → 6, and 5×5 windows leave 2
    with pytest.raises(
        SpecError,
        match=r"^lenet, pool_window=6-4, layer 5 AvgPool\(6, stride=4\): input \(16, 2, 2\) is smaller",
    ):
        net.resolve()


# --- any net, any settings ------------------------------------------------------------------------

VALUES = {
    "activation": st.sampled_from(list(ACTIVATIONS)),
    "pool": st.sampled_from(["max", "avg"]),
    "pool_window": st.tuples(st.integers(4, 6), st.integers(1, 4)),  # random nets have padding 2
    "dropout": st.floats(0, 0.99),
    "norm": st.sampled_from(["none", "lrn", "batch"]),
    "width": st.floats(0.01, 4),
}
any_net = st.randoms(use_true_random=False).map(random_net)
any_setting = st.sampled_from(list(VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), VALUES[name])
)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)


def replaced(net, name, value):
    """The changed net; hypothesis looks for another one if this one has no such layer."""
    try:
        return net.replace(**{name: value})
    except SpecError as error:
        assert "the net has no" in str(error)
        assume(False)


@quick
@given(net=any_net, setting=any_setting)
def test_the_classes_never_change_and_the_table_can_be_saved(net, setting):
    new = replaced(net, *setting)
    assert Net.from_dict(new.to_dict()) == new
    try:
        assert new.resolve().output_shape == net.resolve().output_shape
    except SpecError as error:  # only a larger window can be too large for the image
        assert setting[0] == "pool_window"
        assert "is smaller than the window" in str(error)


@quick
@given(
    net=any_net, setting=any_setting.filter(lambda setting: setting[0] != "width"), data=st.data()
)
def test_the_last_value_counts(net, setting, data):
    name, value = setting
    new = replaced(net, name, value)
    assert replaced(new, name, value) is new
    other = replaced(net, name, data.draw(VALUES[name], "other"))
    assert replaced(other, name, value).layers == new.layers


@quick
@given(net=any_net)
def test_width_one_changes_nothing(net):
    assert replaced(net, "width", 1) is net


# --- the table of settings ------------------------------------------------------------------------


def test_the_settings_are_the_arguments_of_replace_in_their_order():
    assert list(SETTINGS) == list(inspect.signature(Net.replace).parameters)[1:]


@given(setting=any_setting)
def test_the_text_of_a_value_is_read_as_the_value(setting):
    name, value = setting
    assert SETTINGS[name].parse(value_text(value)) == value


@pytest.mark.parametrize(
    ("setting", "text", "message"),
    [
        ("dropout", "half", "'half' is not a number"),
        ("width", "", "'' is not a number"),
        *[
            (
                "pool_window",
                text,
                f"'{text}' is not a window; write kernel size and stride, such as 3/2",
            )
            for text in ("3", "3/2/1", "3/two", "3/2.5")
        ],
    ],
)
def test_text_that_is_no_value_is_refused(setting, text, message):
    with pytest.raises(SpecError) as caught:
        SETTINGS[setting].parse(text)
    assert str(caught.value) == message
