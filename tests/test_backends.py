"""Every backend renders the same net: shapes, values, gradients, weights, devices."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import by_backend, layers_of, logits, native, render
from nets import ALEXNET_SHAPES, EVERY_LAYER, LENET_SHAPES, example, rendered

import alexnet
from alexnet import backends
from alexnet.datasets.resize import ImageTransform, resize_matrix
from alexnet.errors import BackendError, SpecError, WeightsError
from alexnet.spec import (
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    Net,
    zoo,
)

# --- shapes ---------------------------------------------------------------------------------------


def layer_shapes(name, net, shape):
    """The shapes that the chapter's loop prints: ``for layer in net: X = layer(X)``, as (C, H, W)."""
    X = native(name, np.random.default_rng(0).random((1, *shape)))
    shapes = []
    for layer in layers_of(net):
        X = layer(X)
        if "Padding" in type(layer).__name__:  # Keras pads in a layer of its own
            continue
        _, *sizes = X.shape
        if backends.framework(name).channels_last and len(sizes) == 3:
            sizes = [sizes[2], *sizes[:2]]
        shapes.append(tuple(sizes))
    return shapes


@pytest.mark.parametrize(
    ("model", "shapes"), [("alexnet", ALEXNET_SHAPES), ("lenet", LENET_SHAPES)]
)
def test_shapes_of_all_layers_are_the_chapters(name, model, shapes):
    net = alexnet.build(model, backend=name)
    assert layer_shapes(name, net, zoo.get(model).input_shape) == shapes


def test_build_gives_the_frameworks_own_sequential(name):
    net = alexnet.build("lenet", backend=name)
    expected = {
        "numpy": "alexnet.backends.reference.Sequential",
        "torch": "torch.nn.modules.container.Sequential",
        "mxnet": "mxnet.gluon.nn.basic_layers.HybridSequential",
        "tensorflow": "keras.src.models.sequential.Sequential",
        "paddle": "paddle.nn.layer.container.Sequential",
    }
    assert f"{type(net).__module__}.{type(net).__name__}" == by_backend(name, expected)


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_logits_agree_with_the_reference(framework, net):
    weights, images, _ = example(net)
    expected = logits("numpy", rendered("numpy", net, weights), images)
    found = logits(framework, rendered(framework, net, weights), images)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_a_training_step_agrees_with_the_reference(framework, net):
    """Loss, hits and every weight after one step: gradients, by value, of every layer."""
    weights, images, labels = example(net)
    after = {}
    for name in ("numpy", framework):
        backend = backends.load(name)
        model = rendered(name, net, weights)
        trainer = backend.Trainer(model, 0.1, 0.0)
        loss, hits = trainer.step(native(name, images), backend.to_tensor(labels, backend.cpu()))
        after[name] = float(loss), int(hits), backend.get_weights(model)
    (loss, hits, expected), (found_loss, found_hits, found) = after["numpy"], after[framework]
    assert found_loss == pytest.approx(loss, rel=1e-5)
    assert found_hits == hits
    for key, w in expected.items():
        moved = np.abs(w - weights[key]).max()  # 0 for a bias that a BatchNorm cancels
        assert moved > 0 or key == "0.bias"
        assert np.abs(found[key] - w).max() <= 1e-4 * moved + 1e-6, key


def test_running_variance_moves_towards_that_of_the_batch(framework):
    """Every framework updates it with the biased variance, by which it normalises."""
    net = Net("norm", (3, 4, 5), (BatchNorm(momentum=0.25), Flatten(), Dense(5)))
    weights, images, labels = example(net)
    backend = backends.load(framework)
    model = rendered(framework, net, weights)
    trainer = backend.Trainer(model, 0.1, 0.0)
    trainer.step(native(framework, images), backend.to_tensor(labels, backend.cpu()))
    expected = 0.75 * weights["0.running_var"] + 0.25 * images.var(axis=(0, 2, 3))
    assert backend.get_weights(model)["0.running_var"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_gradients_agree_with_the_reference(framework, net):
    """By value, in double precision, for exactly the arrays that are learned."""
    weights, images, labels = example(net)
    found = {}
    for name in ("numpy", framework):
        backend = backends.load(name)
        model = render(name, net, "float64")
        backend.set_weights(model, {key: w.astype(np.float64) for key, w in weights.items()})
        batch = native(name, images, "float64"), backend.to_tensor(labels, backend.cpu())
        found[name] = [backend.gradients(model, *batch) for _ in range(2)][
            -1
        ]  # they do not accumulate
    (loss, expected), (found_loss, gradients) = found["numpy"], found[framework]
    assert found_loss == pytest.approx(loss, rel=1e-7)
    assert set(gradients) == {key for key in weights if "running" not in key}
    largest = max(np.abs(g).max() for g in expected.values())
    for key, g in expected.items():
        assert np.abs(gradients[key] - g).max() <= 1e-7 * largest, key


def test_gradients_left_by_an_earlier_loop_do_not_count(framework):
    """Gradients of a reader's own backward pass do not enter the first step."""
    net = EVERY_LAYER[1]
    weights, images, labels = example(net)
    after = []
    for left_behind in (False, True):
        backend = backends.load(framework)
        model = rendered(framework, net, weights)
        batch = native(framework, images), backend.to_tensor(labels, backend.cpu())
        if left_behind:
            backend.gradients(model, *batch)
        backend.Trainer(model, 0.1, 0.0).step(*batch)
        after.append(backend.get_weights(model))
    for key, w in after[0].items():
        assert np.abs(after[1][key] - w).max() < 1e-6, key


def test_momentum_agrees_with_the_reference(framework):
    net = EVERY_LAYER[0]
    weights, images, labels = example(net)
    found = {}
    for name in ("numpy", framework):
        backend = backends.load(name)
        model = rendered(name, net, weights)
        trainer = backend.Trainer(model, 0.05, 0.9)
        for _ in range(4):
            trainer.step(native(name, images), backend.to_tensor(labels, backend.cpu()))
        found[name] = backend.get_weights(model)
    for key, w in found["numpy"].items():
        assert np.abs(found[framework][key] - w).max() <= 1e-5 * max(1, np.abs(w).max()), key


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 225, 231])
def test_alexnets_logits_agree_on_real_images(covered, real_images, size):
    """The same weights, 32 real images: within 1e-4 of the largest logit in every framework."""
    transform = ImageTransform(resize_matrix(size, 28))
    found = {}
    for name in covered:
        backend = backends.load(name)
        net = alexnet.build("alexnet", backend=name, seed=0, input_shape=(1, size, size))
        images = backend.images(real_images, transform, backend.cpu())
        found[name] = backend.to_numpy(backend.predict(net, images))
    expected = found["numpy"]
    for name, values in found.items():
        assert np.abs(values - expected).max() <= 1e-4 * np.abs(expected).max(), name


@pytest.mark.parametrize("size", [28, 29, 56, 225])
def test_images_are_the_same_tensor_in_every_backend(framework, real_images, size):
    transform = ImageTransform(resize_matrix(size, 28), mean=0.3, std=0.4)
    found = []
    for name in ("numpy", framework):
        backend = backends.load(name)
        tensor = backend.to_numpy(backend.images(real_images[:4], transform, backend.cpu()))
        last = backends.framework(name).channels_last
        found.append(tensor.transpose(0, 3, 1, 2) if last else tensor)
    assert found[1].shape == (4, 1, size, size)
    assert found[1].dtype == np.float32
    assert np.abs(found[1] - found[0]).max() < 1e-6


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_weights_come_back_as_they_were_set(name, net):
    weights, _, _ = example(net)
    back = backends.load(name).get_weights(rendered(name, net, weights))
    assert list(back) == list(weights)
    for key, w in weights.items():
        assert back[key].dtype == np.float32
        assert np.array_equal(back[key], w), key


def test_initial_weights_are_the_same_bits(framework):
    expected = alexnet.get_weights(alexnet.build("lenet", backend="numpy", seed=7))
    found = alexnet.get_weights(alexnet.build("lenet", backend=framework, seed=7))
    for key, w in expected.items():
        assert found[key].tobytes() == w.tobytes(), key


def test_get_weights_returns_copies(name):
    net = alexnet.build("lenet", backend=name)
    alexnet.get_weights(net)["0.weight"][:] = 0
    assert np.abs(alexnet.get_weights(net)["0.weight"]).max() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("0.bias"), r"missing arrays: 0\.bias"),
        (lambda w: w.update(extra=np.zeros(1)), "not in the net: extra"),
        (
            lambda w: w.update({"0.bias": np.zeros(7)}),
            r"0\.bias must have shape \(6,\), got \(7,\)",
        ),
        (lambda w: w["0.bias"].fill(np.nan), r"0\.bias has values that are not finite"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(name, change, message):
    net = alexnet.build("lenet", backend=name)
    before = alexnet.get_weights(net)
    alexnet.set_weights(net, {key: w.astype(np.float64) for key, w in before.items()})
    wrong = alexnet.get_weights(alexnet.build("lenet", backend=name, seed=1))
    change(wrong)
    with pytest.raises(WeightsError, match=message):
        alexnet.set_weights(net, wrong)
    after = alexnet.get_weights(net)
    assert all(np.array_equal(after[key], w) for key, w in before.items())


# --- devices --------------------------------------------------------------------------------------


def fake_gpus(monkeypatch, name, count):
    """Make a framework report this number of GPUs."""
    if name == "torch":
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    elif name == "mxnet":
        import mxnet

        monkeypatch.setattr(mxnet.context, "num_gpus", lambda: count)
    elif name == "tensorflow":
        import tensorflow as tf

        found = [SimpleNamespace(name=f"GPU:{i}") for i in range(count)]
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: found)
        grown = []
        monkeypatch.setattr(
            tf.config.experimental, "set_memory_growth", lambda gpu, on: grown.append((gpu, on))
        )
        return grown
    elif name == "paddle":
        import paddle

        monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
        monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: count)
        monkeypatch.setattr(paddle, "CUDAPlace", lambda i: f"Place(gpu:{i})")
    return None


GPU_NAMES = {"torch": "cuda:1", "mxnet": "gpu(1)", "tensorflow": "/GPU:1", "paddle": "Place(gpu:1)"}
CPU_NAMES = {
    "numpy": "cpu",
    "torch": "cpu",
    "mxnet": "cpu(0)",
    "tensorflow": "/CPU:0",
    "paddle": "Place(cpu)",
}


def test_try_gpu_takes_the_gpu_asked_for(monkeypatch, framework):
    expected = by_backend(framework, GPU_NAMES)
    fake_gpus(monkeypatch, framework, 2)
    assert str(alexnet.try_gpu(1, backend=framework)) == expected


def test_try_gpu_falls_back_to_the_cpu(monkeypatch, name):
    fake_gpus(monkeypatch, name, 0 if name == "numpy" else 1)
    assert str(alexnet.try_gpu(3, backend=name)) == by_backend(name, CPU_NAMES)


@pytest.mark.needs("torch")
def test_torch_takes_apples_gpu_where_there_is_no_cuda(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert str(alexnet.try_gpu(backend="torch")) == "mps"
    with pytest.raises(BackendError, match="cannot use 'cuda'"):
        alexnet.build("lenet", backend="torch", device="cuda")


@pytest.mark.needs("tensorflow")
def test_tensorflow_does_not_take_the_whole_gpu(monkeypatch):
    grown = fake_gpus(monkeypatch, "tensorflow", 2)
    backends.load("tensorflow").gpus()
    assert [on for _, on in grown] == [True, True]


def test_a_missing_gpu_is_refused(name):
    with pytest.raises(BackendError, match=re.escape("cannot use 'gpu:9'; available GPUs: none")):
        alexnet.build("lenet", backend=name, device="gpu:9")


@pytest.mark.parametrize("device", ["gpus", "gpu:one", "cpu:3", "", 0])
def test_an_unknown_device_is_refused(name, device):
    with pytest.raises(BackendError, match=f"unknown device {device!r}; known devices: cpu"):
        alexnet.build("lenet", backend=name, device=device)


def test_a_request_for_the_cpu_does_not_look_for_gpus(monkeypatch, name):
    """So a broken driver does not matter."""

    def broken():
        raise RuntimeError("the driver is broken")

    monkeypatch.setattr(backends.load(name), "gpus", broken)
    assert alexnet.build("lenet", backend=name, device="cpu") is not None


def test_a_device_request_means_the_same_in_every_backend(name):
    backend = backends.load(name)
    for request in (None, "cpu", alexnet.try_gpu()):
        assert str(backends.resolve_device(backend, request)) == by_backend(name, CPU_NAMES)


# --- the registry ---------------------------------------------------------------------------------


def test_the_error_for_an_unknown_backend_lists_the_known_ones():
    with pytest.raises(
        BackendError, match=r"unknown backend 'torhc' \(did you mean torch\?\).*paddle"
    ):
        alexnet.build("lenet", backend="torhc")


def test_a_layer_of_a_table_is_refused_as_a_net():
    with pytest.raises(BackendError, match="Conv is not a net of NumPy, PyTorch"):
        alexnet.get_weights(Conv(3, 3))


def test_an_image_too_small_is_refused_before_the_framework(name):
    with pytest.raises(SpecError, match=r"alexnet, layer 12 .*65×65"):
        alexnet.build("alexnet", backend=name, input_shape=(1, 64, 64))


def test_owner_names_the_framework_of_a_net(name):
    assert backends.owner(alexnet.build("lenet", backend=name)) == name
