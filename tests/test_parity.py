"""Every backend computes what the reference computes: the zoo, random nets, dropout."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import alexnet as command
from helpers import alexnet_here
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from alexnet import backends, build, set_weights
from alexnet.errors import BackendError, RunError, SpecError, WeightsError
from alexnet.parity.check import Settings, parity, parity_of_nets, worst_of_random
from alexnet.parity.kinks import near_kinks
from alexnet.parity.random_nets import random_net
from alexnet.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    LocalResponseNorm,
    MaxPool,
    Net,
    ReLU,
    Tanh,
    zoo,
)
from alexnet.spec.layers import LAYERS
from alexnet.spec.weights import match_by_position

# --- the zoo --------------------------------------------------------------------------------------


def shapes_of(net, kinds):
    return [r.output_shape for r in net.resolve().rows if type(r.layer).__name__ in kinds]


@pytest.mark.parametrize("model", ["alexnet-2012", "alexnet-2012-two-gpus", "alexnet-2012-plain"])
def test_the_papers_nets_have_the_papers_shapes(model):
    """Figure 2 of the paper: 55, 27, 27, 13, 13, 13, 6."""
    net = zoo.get(model)
    assert shapes_of(net, {"Conv", "MaxPool"}) == [
        (96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13), (384, 13, 13), (384, 13, 13),
        (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip
    assert shapes_of(net, {"Dense"}) == [(4096,), (4096,), (1000,)]


def test_two_gpus_have_the_papers_sixty_million_parameters():
    assert zoo.ALEXNET_2012_TWO_GPUS.resolve().parameter_count == 60_965_224


def test_padding_changes_the_shape_at_225_and_not_at_224():
    padded, unpadded = zoo.ALEXNET, zoo.ALEXNET_UNPADDED
    for size, equal in ((224, True), (225, False)):
        shapes = [net.resolve((1, size, size)).rows[0].output_shape for net in (padded, unpadded)]
        assert (shapes[0] == shapes[1]) == equal


def shapes_of_the_pool(side):
    try:
        return zoo.ALEXNET_MNIST.resolve((1, side, side)).rows[5].output_shape
    except SpecError:
        return None


def test_the_small_net_takes_the_sizes_that_its_first_dense_layer_fits():
    fitting = [side for side in range(60, 130) if shapes_of_the_pool(side) == (192, 5, 5)]
    assert fitting == list(range(95, 111))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "the net needs 2 arrays, got 0"),
        (
            {"a": np.ones((3, 2)), "b": np.ones(2)},
            r"a must have shape \(2, 3\) for 0.weight, got \(3, 2\)",
        ),
        (
            {"a": np.ones((2, 3)), "b": np.array([1, np.nan])},
            "0.bias has values that are not finite",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tensors, message):
    with pytest.raises(WeightsError, match=f"tiny: {message}"):
        match_by_position(tensors, {"0.weight": (2, 3), "0.bias": (2,)}, "tiny")


# --- parity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("model", ["lenet", "alexnet-mnist", "alexnet-28", "alexnet-28-wide"])
def test_small_nets_agree_with_the_reference(covered, model, dropout, dtype):
    """The reference is computed once for all backends."""
    run = Settings(steps=3, batch_size=2, dtype=dtype, dropout=dropout)
    for found in parity(model, covered, run):
        assert found.agrees(dtype), found


@pytest.mark.release
@pytest.mark.slow
def test_the_papers_net_agrees_with_the_reference(covered):
    """With normalisation, groups and dropout, over a few steps; docs/parity.md's command has twenty."""
    names = [n for n in backends.import_order() if n in covered]
    for found in parity(
        "alexnet-2012-two-gpus",
        names,
        Settings(steps=2, batch_size=2, dropout=True, dtype="float64"),
    ):
        assert found.agrees("float64"), found


def test_a_backend_that_computes_something_else_is_found(framework, monkeypatch):
    backend = backends.load(framework)
    right = backend.set_weights

    def wrong(net, weights):
        right(net, {k: w * 1.001 if k == "3.weight" else w for k, w in weights.items()})

    monkeypatch.setattr(backend, "set_weights", wrong)
    (found,) = parity("lenet", [framework], Settings(steps=1))
    assert not found.agrees("float32")
    assert found.largest > 1e-4


def test_a_backend_that_fails_is_a_row_that_says_so(framework, monkeypatch):
    def fail(net, X):
        raise ValueError("no such kernel\nand more")

    monkeypatch.setattr(backends.load(framework), "predict", fail)
    broken, fine = parity("lenet", [framework, "numpy"], Settings(steps=1, dtype="float64"))
    assert broken.problem == "ValueError: no such kernel"
    assert not broken.agrees("float64")
    assert fine.agrees("float64")


def test_a_wrong_dtype_is_refused():
    with pytest.raises(RunError, match="dtype must be float32 or float64, got 'half'"):
        Settings(dtype="half")


# --- random nets ----------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=st.randoms(use_true_random=False), seed=st.integers(0, 1000))
def test_random_nets_agree_with_the_reference(covered, source, seed):
    """Values, gradients and trained weights of nets that hypothesis draws."""
    net = random_net(source)
    run = Settings(steps=2, seed=seed, dropout=True, dtype="float64")
    ((_, differences),) = parity_of_nets([net], covered, run)
    for found in differences:
        assert found.agrees("float64"), (net.layers, found)


def test_a_float64_net_with_masks_computes_its_loss_in_float64(framework):
    # A bias before two nearly equal logits has a small gradient, which a loss in float32 would lose.
    layers = GlobalAvgPool(), Flatten(), Dense(1), Dropout(0.0), Dense(2)
    run = Settings(steps=2, seed=1, dropout=True, dtype="float64")
    ((_, (found,)),) = parity_of_nets([Net("net", (3, 5, 5), layers)], [framework], run)
    assert not found.problem
    assert found.largest < 1e-11


def valid(*values):
    return st.sampled_from(values)


ANY_LAYER = {
    Conv: {
        "out_channels": st.integers(0, 8),
        "kernel_size": st.integers(0, 7),
        "stride": st.integers(0, 4),
        "padding": st.integers(-1, 3),
        "groups": st.integers(0, 3),
    },
    MaxPool: {
        "kernel_size": st.integers(0, 5),
        "stride": st.none() | st.integers(0, 4),
        "padding": st.integers(-1, 3),
    },
    AvgPool: {"kernel_size": st.integers(0, 5), "padding": st.integers(-1, 3)},
    GlobalAvgPool: {},
    Flatten: {},
    Dense: {"out_features": st.integers(0, 5)},
    Dropout: {"rate": valid(0, 0.25, 0.5, 1, -0.5, 1.5, math.nan)},
    LocalResponseNorm: {
        "size": st.integers(0, 6),
        "alpha": valid(0.0, 0.25, -1.0),
        "beta": valid(0.5, 0.75, 0.0, math.inf),
        "k": valid(1.0, 2.0, 0.0, "two"),
    },
    BatchNorm: {"momentum": valid(0.25, 0.5, 1.5), "epsilon": valid(2**-10, 0.0)},
    Tanh: {},
}


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_the_spec_accepts_every_backend_computes_alike(covered, data):
    """For any arguments of layers: the spec refuses a net, naming the layer, or all backends agree."""
    kinds = data.draw(st.lists(st.sampled_from(list(ANY_LAYER)), max_size=4), "layers")
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3) | st.tuples(st.integers(1, 9)), "shape")
    try:
        layers = [kind(**data.draw(st.fixed_dictionaries(ANY_LAYER[kind]))) for kind in kinds]
        net = Net("any", shape, (*layers, Flatten(), Dense(3)))
        net.resolve()
    except SpecError as error:
        event("refused")
        assert any(f"{kind.__name__}(" in str(error) for kind in (*kinds, Dense))
        return
    event("computed")
    run = Settings(steps=2, dropout=True, dtype="float64")
    ((_, differences),) = parity_of_nets([net], covered, run)
    for found in differences:
        assert found.agrees("float64"), (net.layers, found)


def test_random_nets_have_every_kind_of_layer():
    import random

    nets = [random_net(random.Random(n)) for n in range(300)]
    kinds = {type(layer).__name__ for net in nets for layer in net.layers}
    assert kinds == set(LAYERS)
    assert any(getattr(layer, "groups", 1) > 1 for net in nets for layer in net.layers)
    assert {net.input_shape[0] for net in nets} == {1, 2, 3, 4}


@pytest.mark.slow
def test_random_parity_keeps_the_worst_net_and_reports_disagreement(framework, monkeypatch):
    said = []
    (fine,) = worst_of_random(
        5, [framework], Settings(2, dtype="float64", dropout=True), said.append
    )
    assert not said
    assert 0 < fine.largest <= 1e-6
    assert fine.worst.startswith("net ")
    backend = backends.load(framework)
    right = backend.gradients

    def wrong(net, X, y):
        loss, gradients = right(net, X, y)
        return loss * 1.01, gradients

    monkeypatch.setattr(backend, "gradients", wrong)
    (bad,) = worst_of_random(
        5, [framework], Settings(2, dtype="float64", dropout=True), said.append
    )
    assert len(said) == 5
    assert bad.problem.startswith("net 0: ")


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_prints_a_table(covered):
    found = alexnet_here("parity", "lenet", "--steps", "2", "--backends", ",".join(covered))
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "lenet, 2 steps of SGD on batches of 4, float32, without dropout"
    assert {line.split()[0] for line in lines[3 : 3 + len(covered)]} == set(covered)
    assert max(map(len, lines)) <= 100


def test_the_command_compares_random_nets():
    found = command("parity", "--random", "3", "--backends", "numpy")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("3 random nets, 3 steps each, with dropout, in float64\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lennet"], "unknown net 'lennet'"),
        (["lenet", "--dtype", "half"], "dtype must be float32 or float64, got 'half'"),
        (["lenet", "--backends", "jax"], "unknown backend 'jax'"),
    ],
)
def test_the_command_refuses_a_wrong_argument_in_one_sentence(arguments, message):
    found = alexnet_here("parity", *arguments)
    assert found.returncode == 1
    assert found.stderr.startswith(f"error: {message}")
    assert found.stderr.count("\n") == 1


def test_an_unknown_backend_is_refused():
    from alexnet.parity.check import backends_to_compare

    with pytest.raises(BackendError, match="unknown backend 'jax'"):
        backends_to_compare(["numpy", "jax"])


# --- kinks ----------------------------------------------------------------------------------------


def edgy(layer, X):
    """Which inputs are on a kink of a layer."""
    found = near_kinks(build(Net("kink", X.shape[1:], (layer,)), backend="numpy"), X)
    return found.reshape(len(X), -1).any(axis=1).tolist()


def test_a_rectifier_has_a_kink_near_zero_but_not_at_zero():
    assert edgy(ReLU(), np.array([[1.0, -1.0], [1e-7, 1.0], [-1e-7, 1.0], [0.0, 1.0]])) == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_pool_has_a_kink_where_its_two_largest_values_are_nearly_equal():
    windows = [[3.0, 1, 2, -5], [3.0, 1, 3 + 1e-7, -5], [3.0, 1, 1 + 1e-7, -5], [3.0, 3.0, 1, 2]]
    X = np.array(windows).reshape(4, 1, 2, 2)
    assert edgy(MaxPool(2), X) == [False, True, False, False]
    assert edgy(MaxPool(2, stride=3, padding=1), X) == [False] * 4  # one value in each window


def test_a_kink_deep_in_a_net_is_found():
    net = build(Net("deep", (2,), (Dense(2), ReLU())), backend="numpy")
    set_weights(net, {"0.weight": np.eye(2), "0.bias": np.array([0.0, -1.0])})
    assert near_kinks(net, np.array([[2.0, 2.0], [2.0, 1 + 1e-7]])).tolist() == [False, True]


def test_only_the_pixels_around_a_kink_are_marked():
    X = np.ones((2, 3, 40, 20))
    X[1, 2, 30, 5] = 1e-9
    net = build(
        Net("kink", X.shape[1:], (ReLU(), MaxPool(2), Flatten(), Dense(2))), backend="numpy"
    )
    set_weights(net, {"3.weight": np.ones((2, 600)), "3.bias": np.zeros(2)})
    marked = np.argwhere(near_kinks(net, X))
    assert set(marked[:, 0]) == {1}
    assert marked[:, 1].min() in range(27, 31) and marked[:, 1].max() in range(30, 34)
    assert marked[:, 2].min() in range(3, 6) and marked[:, 2].max() in range(5, 8)


@pytest.mark.slow
def test_alexnet_agrees_with_the_reference_in_single_precision(covered):
    """On images away from its kinks; elsewhere rounding may change a gradient by a thousandth."""
    run = Settings(steps=2, batch_size=1, dtype="float32")
    names = [n for n in backends.import_order() if n in covered]
    for found in parity("alexnet", names, run):
        assert found.agrees("float32"), found
