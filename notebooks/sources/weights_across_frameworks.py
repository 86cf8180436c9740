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
print(f"{'':12}{'accuracy':>10}{'same answers':>15}{'largest difference of logits':>31}")
for name, found in logits.items():
    right = (found.argmax(axis=1) == labels).mean()
    same = (found.argmax(axis=1) == expected.argmax(axis=1)).sum()
    print(f"{name:12}{right:10.3f}{same:15,}{np.abs(found - expected).max():31.1e}")

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
print(description["training"]["history"]["settings"])

# %% [markdown]
# convolution

# %%
weights = alexnet.get_weights(nets["torch"])  # in the neutral layout
conv, dense = nets["tensorflow"].layers[1], nets["tensorflow"].layers[-1]
print("neutral (out, in, height, width):", weights["0.weight"].shape)
print("Keras   (height, width, in, out):", conv.kernel.shape)
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
    print(f"{name:15}{kernel.shape}  test accuracy {accuracy[name]:.3f}")

# %% [markdown]
# resume

# %%
copies = {name: folder / f"{name}.safetensors" for name in ("tensorflow", "torch", "lost")}
for copy in copies.values():
    shutil.copy(run, copy)

data = train_iter, test_iter
recipe["resume"] = True
copy = copies["tensorflow"]
resumed = alexnet.train_ch6("alexnet-28", *data, 4, **recipe, backend="tensorflow", checkpoint=copy)

# %% [markdown]
# buffers

# %%
lost = Checkpoint.read(copies["lost"])
lost.velocity = {}  # the file now has the weights, but no momentum buffers
lost.write(copies["lost"])

recipe |= {"backend": "torch", "callback": Silent()}  # without the plots
others = {
    name: alexnet.train_ch6("alexnet-28", *data, 4, **recipe, checkpoint=copies[name])
    for name in ("torch", "lost")
}


def losses(history):  # of the steps after the file
    return np.array([step["loss"] for step in history.steps[len(first.steps) :]])


wanted = losses(others["torch"])
gaps = {
    "PyTorch without its momentum buffers": np.abs(losses(others["lost"]) - wanted),
    "TensorFlow": np.abs(losses(resumed) - wanted),
}
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, gap in gaps.items():
    ax.semilogy(gap, label=name)
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
