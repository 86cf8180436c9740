# %% [markdown]
# opening

# %%
# extras: all

# %%
import json
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

import alexnet
from alexnet import backends
from alexnet.training.callbacks import Silent
from alexnet.training.checkpoint_file import Checkpoint

FRAMEWORKS = ["numpy", "torch", "mxnet", "paddle", "tensorflow"]  # Paddle comes before TensorFlow
FULL = bool(backends.load("torch").gpus())  # a GPU trains on all images; True: also a CPU
DOWNLOAD = False  # True: torchvision's trained weights, 244 MB from the network

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# train

# %%
train_iter, test_iter = alexnet.load_fashion_mnist(
    batch_size=32, resize=None, source=None if FULL else "sample", normalize=True
)
recipe = {"lr": 0.02, "momentum": 0.9}
run = folder / "run.safetensors"
first = alexnet.train_ch6(
    "alexnet-28", train_iter, test_iter, 2, **recipe, backend="torch", checkpoint=run
)

# %% [markdown]
# predict

# %%
nets = {name: alexnet.load(run, backend=name) for name in FRAMEWORKS}
logits = {name: alexnet.predict(net, test_iter) for name, net in nets.items()}  # (images, 10) each

expected, labels = logits["torch"], test_iter.labels
print("           accuracy    same  Δ logits")
for name, found in logits.items():
    right = (found.argmax(axis=1) == labels).mean()
    same = (found.argmax(axis=1) == expected.argmax(axis=1)).sum()
    print(f"{name:11}{right:8.3f}{same:8,}{np.abs(found - expected).max():10.1e}")

# %% [markdown]
# file

# %%
with safe_open(run, framework="numpy") as file:
    for key in sorted(file.keys()):
        print(f"{key:20}{tuple(file.get_slice(key).get_shape())}")
    checksum, _, text = file.metadata()["alexnet"].partition(" ")

# %%
description = json.loads(text)
print(*description["net"]["layers"][:2], sep="\n")
settings = description["training"]["history"]["settings"]
print({name: settings[name] for name in ("num_epochs", "batch_size", "lr", "momentum", "seed")})

# %% [markdown]
# convolution

# %%
weights = alexnet.get_weights(nets["torch"])  # in the neutral layout
conv, dense = nets["tensorflow"].layers[1], nets["tensorflow"].layers[-1]
print("(out, in, height, width)", weights["0.weight"].shape)
print("(height, width, in, out)", conv.kernel.shape)
np.array_equal(conv.kernel, weights["0.weight"].transpose(2, 3, 1, 0))

# %% [markdown]
# flatten

# %%
image = np.array([[["a1", "a2"], ["a3", "a4"]], [["b1", "b2"], ["b3", "b4"]]])  # (C, H, W)
print("channels first:", *image.reshape(-1))
print("channels last: ", *image.transpose(1, 2, 0).reshape(-1))

# %% [markdown]
# dense

# %%
W = weights["8.weight"]  # (10, 1568): ten classes, 32 channels of 7×7 pixels
naive = W.T  # (1568, 10)
rows = W.reshape(10, 32, 7, 7).transpose(2, 3, 1, 0).reshape(1568, 10)  # channels last

accuracy = {}
for name, kernel in {"naive": naive, "channels last": rows}.items():
    dense.kernel.assign(kernel)
    accuracy[name] = alexnet.evaluate(nets["tensorflow"], test_iter)
    print(f"{name:14}{kernel.shape} accuracy {accuracy[name]:.3f}")

# %% [markdown]
# resume

# %%
copies = {name: folder / f"{name}.safetensors" for name in (*FRAMEWORKS[1:], "without")}
for copy in copies.values():
    shutil.copy(run, copy)

recipe |= {"num_epochs": 4, "resume": True}
data = train_iter, test_iter
resumed = alexnet.train_ch6(
    "alexnet-28", *data, **recipe, backend="tensorflow", checkpoint=copies["tensorflow"]
)

# %% [markdown]
# buffers

# %%
without = Checkpoint.read(copies["without"])
without.velocity = {}  # this file has the weights, but no momentum
without.write(copies["without"])

histories = {"tensorflow": resumed}
for name in ("torch", "mxnet", "paddle", "without"):
    backend = "torch" if name == "without" else name
    histories[name] = alexnet.train_ch6(
        "alexnet-28", *data, **recipe, backend=backend, checkpoint=copies[name], callback=Silent()
    )


def losses(history):  # of the steps after the file
    return np.array([step["loss"] for step in history.steps[len(first.steps) :]])


gaps = {name: abs(losses(h) - losses(histories["torch"])) for name, h in histories.items()}
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name in ("without", "mxnet", "paddle", "tensorflow"):
    label = "torch, without its momentum" if name == "without" else name
    colour = "black" if name == "without" else backends.framework(name).style["color"]
    ax.semilogy(range(1, len(gaps[name]) + 1), gaps[name], color=colour, label=label)
ax.set(xlabel="step after the file", title="difference of the loss from PyTorch's")
ax.legend()
plt.show()

# %% [markdown]
# formats

# %%
for name in FRAMEWORKS:
    path = alexnet.convert(run, to=name)
    print(f"{path.name:24}{path.stat().st_size / 1000:8.1f} kB")

# %% [markdown]
# keras

# %%
import keras

keras_net = keras.models.load_model(folder / "run.keras")
X, y = next(iter(test_iter))  # (32, 1, 28, 28), (32,)
found = keras_net.predict(X.transpose(0, 2, 3, 1), verbose=0)
print(f"largest difference of the logits: {np.abs(found - expected[: len(X)]).max():.1e}")

# %% [markdown]
# pytorch

# %%
net = nn.Sequential(
    nn.Conv2d(1, 16, kernel_size=5, stride=2, padding=2),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.Conv2d(16, 32, kernel_size=3, padding=1),
    nn.MaxPool2d(kernel_size=2, stride=2),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(1568, 10),
)
net.load_state_dict(load_file(folder / "run.torch.safetensors"))
net.eval()
with torch.no_grad():
    found = net(torch.from_numpy(X)).numpy()
print(f"largest difference of the logits: {np.abs(found - expected[: len(X)]).max():.1e}")

# %% [markdown]
# torchvision

# %%
theirs = torchvision.models.alexnet(weights="DEFAULT" if DOWNLOAD else None)
alexnet.save(theirs, folder / "theirs.safetensors", model="alexnet-torchvision")
ours = alexnet.load(folder / "theirs.safetensors", backend="mxnet")

rng = np.random.default_rng(0)
noise = rng.standard_normal((4, 3, 224, 224), np.float32)  # four images of noise, three colours
batches = [(noise, np.zeros(4, int))]  # any labels
here, there = (alexnet.predict(net, batches) for net in (theirs, ours))  # (4, 1000) each
print(
    f"largest logit {np.abs(here).max():.4f}, largest difference {np.abs(here - there).max():.1e}"
)

# %% [markdown]
# refused

# %%
try:
    alexnet.save(theirs, folder / "wrong.safetensors", model="alexnet-2012-plain")
except alexnet.CheckpointError as error:
    print(error)

# %% [markdown]
# damage

# %%
content = bytearray(run.read_bytes())
content[-1000] ^= 1  # flip one bit
damaged = folder / "damaged.safetensors"
damaged.write_bytes(content)

try:
    alexnet.load(damaged)
except alexnet.CheckpointError as error:
    print(str(error).replace(str(folder), "…"))

# %%
shutil.rmtree(folder)

# %% [markdown]
# end
