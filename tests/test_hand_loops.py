"""The hand-written loops train the same nets as this library, on their own."""

from __future__ import annotations

import ast
import sys

import numpy as np
import pytest
from helpers import by_backend, logits, run

from alexnet import build, get_weights, set_weights
from alexnet.bench import hand
from alexnet.spec import zoo

FOLDER = hand.folder()
LOOPS = {file.stem.removesuffix("_loop"): file for file in FOLDER.glob("*_loop.py")}
NETS = ("lenet", pytest.param("alexnet", marks=pytest.mark.slow))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, 28, 28), np.uint8), np.arange(6) % 10


def loop_of(framework):
    by_backend(framework, LOOPS)
    loop = hand.load(str(FOLDER), f"{framework}_loop")
    assert loop is not None
    return loop


@pytest.mark.parametrize("model", NETS)
def test_a_loop_trains_and_returns_its_speed(framework, model, images):
    loop = loop_of(framework)
    speed = loop.train(*images, model, batch_size=2, steps=1)
    assert 0 < speed < np.inf


@pytest.mark.parametrize("model", NETS)
def test_a_loop_has_the_net_of_the_zoo(framework, model):
    """With the same weights it gives the same logits, so it has the same layers and sizes."""
    net = loop_of(framework).build(model)
    shape = zoo.get(model).input_shape
    X = np.random.default_rng(1).random((2, *shape), np.float32)
    if hasattr(net, "initialize"):  # Gluon makes the arrays when it sees the first images
        net.initialize()
    if hasattr(net, "eval"):
        net.eval()
    logits(framework, net, X)
    weights = get_weights(net)
    assert sum(array.size for array in weights.values()) == zoo.get(model).resolve().parameter_count
    ours = build(model, framework, device="cpu")
    set_weights(ours, dict(zip(get_weights(ours), weights.values(), strict=True)))
    theirs = logits(framework, net, X)
    np.testing.assert_allclose(theirs, logits(framework, ours, X), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_loop_is_a_program_of_its_own(framework):
    program = str(by_backend(framework, LOOPS))
    done = run(sys.executable, program, "--net", "lenet", "--batch-size", "8", "--steps", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" examples/sec\n")


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_torchvisions_loader_is_a_program_of_its_own():
    done = run(sys.executable, str(FOLDER / "torchvision_loader.py"))
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["of_tensors", "of_pil"]


@pytest.mark.needs("mxnet")
def test_mxnets_loop_refuses_another_precision(images):
    with pytest.raises(ValueError, match="float32 only"):
        loop_of("mxnet").train(*images, "lenet", 2, 1, "bfloat16")


def test_the_loops_do_not_use_this_library():
    for file in FOLDER.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        modules += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not any(module.split(".")[0] == "alexnet" for module in modules)
