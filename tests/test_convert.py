"""Checkpoints converted to the frameworks' own formats."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import saved
from helpers import alexnet as command
from helpers import alexnet_here, by_backend, logits, python, render
from nets import EVERY_LAYER, rendered

from alexnet.errors import CheckpointError
from alexnet.spec import Net, zoo
from alexnet.training.checkpoint import convert

LENET_IN = {
    "torch": """
import safetensors.torch, torch
from torch import nn
net = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, 2),
    nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2, 2), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
net.load_state_dict(safetensors.torch.load_file(path))
found = net(torch.from_numpy(images)).detach().numpy()
""",
    "mxnet": """
import numpy
numpy.__dict__.setdefault("bool", bool)
from mxnet import np as mnp, npx
from mxnet.gluon import nn
npx.set_np()
net = nn.HybridSequential()
net.add(
    nn.Conv2D(6, 5, padding=2), nn.Activation("sigmoid"), nn.AvgPool2D(2, 2),
    nn.Conv2D(16, 5), nn.Activation("sigmoid"), nn.AvgPool2D(2, 2), nn.Flatten(),
    nn.Dense(120), nn.Activation("sigmoid"), nn.Dense(84), nn.Activation("sigmoid"), nn.Dense(10))
net.load_parameters(path)
found = net(mnp.array(images)).asnumpy()
""",
    "paddle": """
import paddle
from paddle import nn
net = nn.Sequential(
    nn.Conv2D(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2D(2, 2),
    nn.Conv2D(6, 16, 5), nn.Sigmoid(), nn.AvgPool2D(2, 2), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
net.set_state_dict(paddle.load(path))
found = net(paddle.to_tensor(images)).numpy()
""",
    "tensorflow": """
import keras
found = keras.models.load_model(path)(images.transpose(0, 2, 3, 1)).numpy()
""",
}


def read_without_us(program, path, images, folder):
    """The logits of a program that cannot import this library."""
    np.save(folder / "images.npy", images)
    found = python(
        "import sys\nsys.modules['alexnet'] = None\nimport numpy as np\n"
        f"path, images = {str(path)!r}, np.load({str(folder / 'images.npy')!r})\n"
        f"{program}\nnp.save({str(folder / 'found.npy')!r}, found)\n"
    )
    assert found.returncode == 0, found.stderr
    return np.load(folder / "found.npy")


@pytest.mark.slow
def test_a_framework_reads_what_is_converted_without_this_library(framework, tmp_path, real_images):
    weights, _ = saved(tmp_path / "lenet.safetensors", zoo.LENET)
    images = real_images[:, None] / np.float32(255)
    done = command("convert", str(tmp_path / "lenet.safetensors"), "--to", framework)
    assert done.returncode == 0, done.stderr
    path = done.stdout.strip()
    expected = logits("numpy", rendered("numpy", zoo.LENET, weights), images)
    found = read_without_us(by_backend(framework, LENET_IN), path, images, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_keras_reads_layers_that_it_does_not_have(tmp_path):
    net = EVERY_LAYER[0]  # it has local response normalisation and a maximum over padding
    weights, images = saved(tmp_path / "net.safetensors", net)
    path = convert(tmp_path / "net.safetensors", "tensorflow")
    found = read_without_us(LENET_IN["tensorflow"], path, images, tmp_path)
    expected = logits("numpy", rendered("numpy", net, weights), images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_numpys_format_is_an_archive_of_the_arrays(tmp_path):
    weights, _ = saved(tmp_path / "net.safetensors")
    with np.load(convert(tmp_path / "net.safetensors", "numpy")) as found:
        assert set(found) == set(weights)
        for key, w in weights.items():
            np.testing.assert_array_equal(found[key], w)


def test_a_conversion_includes_running_statistics(framework, tmp_path):
    """The framework reads them into a net of the same layers."""
    net = Net("norm", (1, 9, 14), EVERY_LAYER[3].layers)
    weights, images = saved(tmp_path / "net.safetensors", net)
    path = str(convert(tmp_path / "net.safetensors", framework))
    model = render(framework, net)
    match framework:
        case "torch":
            from safetensors.torch import load_file as load_torch

            model.load_state_dict(load_torch(path))
        case "mxnet":
            model.load_parameters(path)
        case "paddle":
            import paddle

            model.set_state_dict(paddle.load(path))
        case "tensorflow":
            import keras

            model = keras.models.load_model(path)
        case _:
            by_backend(framework, {})
    expected = logits("numpy", rendered("numpy", net, weights), images)
    np.testing.assert_allclose(logits(framework, model, images), expected, rtol=0, atol=2e-5)


def test_an_impossible_conversion_is_refused(tmp_path):
    saved(tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match=r"must end in \.npz"):
        convert(tmp_path / "net.safetensors", "numpy", tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="No such file"):
        convert(tmp_path / "none.safetensors", "numpy")
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert(tmp_path / "net.safetensors", "numpy", tmp_path / "net.safetensors" / "a.npz")
    refused = alexnet_here("convert", str(tmp_path / "none.safetensors"), "--to", "numpy")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)


@pytest.mark.slow
def test_a_conversion_on_a_full_disk_leaves_no_file(name, tmp_path):
    """The process may write at most 2,000 bytes to a file, as on a disk that is nearly full."""
    saved(tmp_path / "net.safetensors", zoo.LENET)
    found = python(
        "import resource, signal, sys\n"
        "from alexnet import backends\n"
        "from alexnet.training.checkpoint import convert\n"
        f"backends.load({name!r})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"convert({str(tmp_path / 'net.safetensors')!r}, {name!r})\n"
    )
    assert "\nalexnet.errors.CheckpointError: " in found.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.needs("torch")
def test_a_conversion_never_overwrites_its_checkpoint(tmp_path):
    saved(tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match="is the checkpoint itself"):
        convert(tmp_path / "net.safetensors", "torch", tmp_path / "net.safetensors")
