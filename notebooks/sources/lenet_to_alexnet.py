# %% [markdown]
# opening

# %%
# extras: torch

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import alexnet
from alexnet import backends
from alexnet.datasets.resize import resize_matrix
from alexnet.spec import Dropout
from alexnet.training.callbacks import Silent

# A GPU uses all images; set True to do it on a CPU.
FULL = bool(backends.load("torch").gpus())
SOURCE = None if FULL else "sample"
RUNS = {"full": True} if FULL else {"data": "sample", "full": False}

# %% [markdown]
# drawings

# %%
alexnet.draw("lenet", "alexnet")

# %% [markdown]
# sizes


# %%
def print_sizes(*nets):
    """Print parameters, multiply-adds and the memory of all outputs, for the forward pass of one image."""
    print(f"{'net':36}{'parameters':>12}{'multiply-adds':>15}{'outputs':>11}")
    for net in map(alexnet.Net.resolve, nets):
        print(
            f"{net.title:36}{net.parameter_count:12,}{net.macs:15,}"
            f"{net.activation_bytes / 1000:8,.0f} kB"
        )


lenet, big = alexnet.ZOO["lenet"], alexnet.ZOO["alexnet"]
print_sizes(lenet, big)

# %% [markdown]
# where

# %%
alexnet.cost(big, batch_size=128).plot()

# %% [markdown]
# activation

# %%
schedule = {"batch_size": 32, "num_epochs": 5, "schedule": "one-cycle", "normalize": True}
found = alexnet.sweep(lenet, activation=["sigmoid", "relu"], lr=[0.1, 0.3, 1.0], **schedule, **RUNS)
found

# %% [markdown]
# steps

# %%
steps = {"as in the book": lenet}
steps["ReLU"] = lenet.replace(activation="relu")
steps["max pooling"] = steps["ReLU"].replace(pool="max")
steps["overlapping windows"] = steps["max pooling"].replace(pool_window=(3, 2))
steps["batch normalisation"] = steps["overlapping windows"].replace(norm="batch")
steps["twice as wide"] = wide = steps["batch normalisation"].replace(width=2)
steps["dropout"] = replace(wide, layers=(*wide.layers[:-1], Dropout(0.5), wide.layers[-1]))


def train(net, lr, images=60_000, seeds=2, num_epochs=5, **options):
    """Train a net on the first images, with several seeds, and return the histories."""
    size = net.input_shape[-1]
    data = alexnet.load_fashion_mnist(
        32, resize=size, source=SOURCE, normalize=True, subset=(images, 10_000)
    )
    options = {"num_epochs": num_epochs, "schedule": "one-cycle", "backend": "torch", **options}
    return [
        alexnet.train_ch6(net, *data, lr=lr, seed=seed, callback=Silent(), **options)
        for seed in range(seeds)
    ]


def tested(histories):
    """Return the test accuracy after the last epoch, for each seed."""
    return np.array([history.last.test_accuracy for history in histories])


print(f"{'step':22}{'test accuracy':>15}{'images/s':>10}{'parameters':>12}{'multiply-adds':>15}")
accuracy = {}
for name, net in steps.items():
    histories, row = train(net, lr=1.0 if net is lenet else 0.1), net.resolve()
    accuracy[name] = tested(histories)
    speed = np.mean([history.examples_per_sec for history in histories])
    print(
        f"{name:22}{accuracy[name].mean():7.3f} ±{np.ptp(accuracy[name]) / 2:6.3f}{speed:11,.0f}"
        f"{row.parameter_count:12,}{row.macs:15,}"
    )

# %% [markdown]
# relatives

# %%
for name in ("alexnet", "alexnet-mnist"):
    try:
        alexnet.ZOO[name].resolve((1, 28, 28))
    except alexnet.SpecError as error:
        print(error)

# %% [markdown]
# same-work


# %%
def resized(net, size):
    """Return a net for images of size×size pixels."""
    return replace(net, input_shape=(1, size, size))


modern = steps["batch normalisation"]
small, deep = alexnet.ZOO["alexnet-28"], alexnet.ZOO["alexnet-28-wide"]
same_work = min(
    (modern.replace(width=width) for width in np.arange(1, 3, 0.1).round(1)),
    key=lambda net: abs(net.resolve().macs - small.resolve().macs),
)
relatives = [
    replace(same_work, name=f"lenet, width {same_work.name.rpartition('=')[2]}"),
    small,
    resized(alexnet.ZOO["alexnet-mnist"], 32),
    deep,
]
print_sizes(*relatives)

# %% [markdown]
# data

# %%
momentum = {"momentum": 0.9, "nesterov": True}
amounts = [500, 5000, 60_000] if FULL else [500, 1500, 5000]
_, axes = plt.subplots(figsize=(6, 4), layout="constrained")
reached = {}
for net in relatives:
    runs = [train(net, 0.02, images, num_epochs=4, **momentum) for images in amounts]
    accuracies = np.array([tested(histories) for histories in runs])  # (amounts, seeds)
    reached[net.name] = accuracies.mean(axis=1)
    line = axes.plot(amounts, reached[net.name], "o-", label=net.name)
    axes.plot(amounts, accuracies, ".", color=line[0].get_color(), alpha=0.5)
axes.set(xscale="log", xlabel="training images", ylabel="test accuracy after 4 epochs")
axes.set_xticks(amounts, [f"{images:,}" for images in amounts])
axes.legend()
axes.minorticks_off()

# %% [markdown]
# enlarge

# %%
print_sizes(*(resized(small, size) for size in (28, 56, 112, 224)))

# %% [markdown]
# nothing-new

# %%
image = alexnet.load_fashion_mnist(1, resize=None, source="sample")[1].pixels[0] / 255
R = resize_matrix(224, 28)  # (224, 28)
enlarged = R @ image @ R.T  # (224, 224)
back = np.linalg.pinv(R)  # (28, 224)
print(f"largest difference of a pixel: {abs(back @ enlarged @ back.T - image).max():.1e}")

# %% [markdown]
# enlarged-training

# %%
print(f"{'size':>7}{'test accuracy':>15}{'images/s':>10}{'seconds':>10}")
by_size = {}
for size in (28, 56, 112):
    (by_size[size],) = train(resized(small, size), 0.02, seeds=1, num_epochs=2, **momentum)
    last, speed = by_size[size].last, by_size[size].examples_per_sec
    seconds = sum(epoch.seconds for epoch in by_size[size].epochs)
    print(f"{size:3}×{size:3}{last.test_accuracy:15.3f}{speed:10,.0f}{seconds:10.1f}")

# %% [markdown]
# alexnet

# %%
if FULL:
    data = alexnet.load_fashion_mnist(128)
    history = alexnet.train_ch6("alexnet", *data, 10, 0.01, backend="torch")
else:
    data = alexnet.load_fashion_mnist(16, source="sample", normalize=True, subset=(1536, 512))
    history = alexnet.train_ch6(
        "alexnet", *data, 1, 0.01, backend="torch", schedule="one-cycle", **momentum
    )

# %% [markdown]
# closing
