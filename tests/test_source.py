"""The printed source, run as a program, makes the same net."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from html import unescape

import numpy as np
import pytest
from helpers import alexnet as command
from helpers import alexnet_here, layers_of, logits, native
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nets import EVERY_LAYER, example, rendered

from alexnet import backends
from alexnet.backends.source import source
from alexnet.errors import BackendError, SpecError
from alexnet.parity.random_nets import random_net
from alexnet.spec import Dense, Net, zoo
from alexnet.spec.weights import initial_weights
from alexnet.views.code import Code, show


def run(program):
    """The net that a program makes."""
    names = {"__name__": "pasted"}
    exec(program, names)
    return names["net"]


def neutral(shape):
    """A shape with channels last in the neutral order, without the batch."""
    return (shape[-1], *shape[1:-1])


def outputs(name, net, images):
    """The shapes of all layers' outputs, as in the chapter's loop, and the last output."""
    X, found = native(name, images), []
    for layer in layers_of(net):
        X = layer(X)
        if "Padding2D" not in type(layer).__name__:
            shape = tuple(X.shape)
            found.append(neutral(shape) if backends.framework(name).channels_last else shape[1:])
    return found, backends.to_numpy(X)


def expected_logits(table, weights, images):
    """The reference's logits, computed once for all backends."""
    return logits("numpy", rendered("numpy", table, weights), images)


def assert_same_net(name, table, weights, images, expected):
    backend, resolved = backends.load(name), table.resolve()
    net = run(source(resolved, name))
    if name == "mxnet":
        backend.predict(net, native(name, images))  # lets Gluon infer its shapes
    backend.set_weights(net, weights)
    if name in ("torch", "paddle"):
        net.eval()
    shapes, found = outputs(name, net, images)
    assert shapes == [row.output_shape for row in resolved.rows]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@cache
def zoo_example(model):
    """A net's weights, an image, and the reference's logits."""
    net = zoo.get(model)
    weights = initial_weights(net.resolve().parameters, 1)
    images = np.random.default_rng(0).standard_normal((1, *net.input_shape)).astype(np.float32)
    return weights, images, expected_logits(net, weights, images)


@pytest.mark.slow
@pytest.mark.parametrize("model", zoo.ZOO)
def test_the_program_of_every_net_of_the_zoo_makes_the_same_net(name, model):
    assert_same_net(name, zoo.get(model), *zoo_example(model))


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_the_program_of_every_layer_makes_the_same_net(name, net):
    weights, images, _ = example(net)
    assert_same_net(name, net, weights, images, expected_logits(net, weights, images))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(source_of_nets=st.randoms(use_true_random=False))
def test_the_programs_of_random_nets_make_the_same_nets(covered, source_of_nets):
    drawn = random_net(source_of_nets)
    net = Net("drawn", drawn.input_shape, drawn.layers)
    weights, images, _ = example(net)
    expected = expected_logits(net, weights, images)
    for name in covered:
        assert_same_net(name, net, weights, images, expected)


@pytest.mark.parametrize("backend", backends.FRAMEWORKS)
def test_programs_pass_ruff(backend, tmp_path):
    """With lines of at most 88 characters, and without the framework."""
    for net in (*zoo.ZOO.values(), *EVERY_LAYER):
        (tmp_path / f"{net.name.replace('-', '_')}.py").write_text(source(net.resolve(), backend))
    ruff = [sys.executable, "-m", "ruff"]
    for check in (["format", "--diff"], ["check", "--select", "E,F,W,I"]):
        found = subprocess.run(
            [*ruff, *check, "--isolated", "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stdout


def test_a_program_begins_with_its_net_and_size():
    program = source(zoo.ALEXNET.resolve((1, 96, 96)), "torch")
    assert program.startswith("# alexnet, for images of 1×96×96: 21,598,922 parameters\n")
    assert "    nn.Conv2d(1, 96, kernel_size=11, stride=4, padding=1),  # 96×22×22\n" in program


@pytest.mark.parametrize("backend", backends.FRAMEWORKS)
def test_a_nets_name_is_not_read_as_code(backend):
    plain, named = (
        source(Net(name, (3,), (Dense(2),)).resolve(), backend)
        for name in ("plain", "Any Conv, or MaxPool")
    )
    assert named.replace("Any Conv, or MaxPool", "plain") == plain


def test_an_unknown_backend_is_refused():
    with pytest.raises(BackendError, match="unknown backend 'jax'"):
        source(zoo.LENET.resolve(), "jax")


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_a_program_to_paste():
    found = command("show", "lenet", "--backend", "torch")
    assert found.returncode == 0, found.stderr
    assert found.stdout == source(zoo.LENET.resolve(), "torch")


def test_the_command_prints_the_programs_of_all_backends():
    found = alexnet_here("show", "alexnet", "--size", "96")
    programs = [source(zoo.ALEXNET.resolve((1, 96, 96)), name) for name in backends.FRAMEWORKS]
    assert found.stdout == "\n\n".join(programs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lennet"], "unknown net 'lennet'"),
        (["lenet", "--backend", "jax"], "unknown backend 'jax'"),
        (["alexnet", "--size", "32"], "alexnet, layer 5 MaxPool"),
    ],
)
def test_the_command_refuses_a_wrong_argument_in_one_sentence(arguments, message):
    found = alexnet_here("show", *arguments)
    assert found.returncode == 1
    assert found.stderr.startswith(f"error: {message}")
    assert found.stderr.count("\n") == 1


# --- in Python, and in a notebook -----------------------------------------------------------------


def test_show_has_the_program_of_each_framework():
    net = zoo.ALEXNET.resolve((1, 96, 96))
    assert show(net, "torch").programs == {"PyTorch": source(net, "torch")}
    titles = [entry.title for entry in backends.FRAMEWORKS.values()]
    assert list(show("lenet").programs) == titles
    assert list(show("lenet", ["paddle", "mxnet"]).programs) == ["Paddle", "MXNet"]


def test_show_refuses_wrong_names():
    with pytest.raises(SpecError, match="unknown net 'lennet'"):
        show("lennet")
    with pytest.raises(BackendError, match="unknown backend 'jax'"):
        show("lenet", "jax")


def test_a_notebook_shows_every_program_even_without_its_style():
    """GitHub removes styles."""
    code = show("alexnet-2012", ["torch", "tensorflow"])
    page = code._repr_html_()
    assert "<script" not in page and "http" not in page
    assert page.count(" checked>") == 1
    bare = re.sub(r"<style>.*?</style>|<[^>]+>", "", page, flags=re.S)
    places = [unescape(bare).index(part) for pair in code.programs.items() for part in pair]
    assert places == sorted(places)


@pytest.mark.slow
def test_tabs_open_by_mouse_and_by_keys(browser):
    """Two displays of one program on a page do not disturb each other."""
    code = Code("a < b", {"one": "1 < 2", "two": "# 2\nx = '2'", "three": "3"})
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = context.new_page()
    page.set_content(code._repr_html_() + code._repr_html_())

    def seen():
        return page.locator("pre:visible").all_inner_texts()

    assert seen() == ["1 < 2\n", "1 < 2\n"]
    page.get_by_text("two", exact=True).first.click()
    assert seen() == ["# 2\nx = '2'\n", "1 < 2\n"]
    page.keyboard.press("ArrowRight")
    assert seen() == ["3\n", "1 < 2\n"]
    assert page.get_by_role("radiogroup", name="a < b").count() == 2
    context.close()
