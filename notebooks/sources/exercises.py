# %% [markdown]
# opening

# %%
# extras: torch

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import alexnet
from alexnet import ZOO, Net, backends
from alexnet.spec import Conv, Dense, Dropout, Flatten, LocalResponseNorm, MaxPool, ReLU
from alexnet.training.callbacks import Silent

FULL = bool(backends.load("torch").gpus())  # a GPU trains at full size; set True to do it on a CPU
DATA = None if FULL else "sample"

# %% [markdown]
# method

# %%
PLAIN = {}  # SGD with one learning rate, as in the book
CYCLE = {"momentum": 0.9, "nesterov": True, "schedule": "one-cycle"}  # learns faster


def load(images, batch_size, size=None, *, seed=0, dataset=alexnet.load_fashion_mnist, **options):
    """Return the training and the test images, with normalised pixels unless the options say no."""
    options = {"normalize": True, "source": DATA, "seed": seed, **options}
    return dataset(batch_size, size, subset=(images, 10_000), **options)


def train(net, recipe, num_epochs, lr, **images):
    """Train a net with three seeds. A seed sets the weights, the order of the images and dropout."""
    runs = []
    for seed in range(3):
        recipe = {**recipe, "backend": "torch", "seed": seed, "callback": Silent()}
        runs.append(alexnet.train_ch6(net, *load(**images, seed=seed), num_epochs, lr, **recipe))
    return runs


def values(runs, name="test_accuracy"):
    """Return a figure of the last epoch for each seed."""
    return np.array([getattr(run.last, name) for run in runs])


def score(values):
    """Return the mean and the standard deviation over the seeds as text."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def gap(new, old):
    """Return the difference between two mean test accuracies."""
    return values(new).mean() - values(old).mean()


def show(results):
    """Print training and test accuracy, and how the test accuracy differs from the first row."""
    first, width = next(iter(results.values())), max(map(len, results))
    accuracy, images = values(first).mean(), first[0].settings["test_examples"]
    of_images = 2 * np.sqrt(accuracy * (1 - accuracy) / images)
    print(f"{'':{width}}  training       test")
    for name, runs in results.items():
        line = f"{name:{width}}  {score(values(runs, 'train_accuracy'))}  {score(values(runs))}"
        if runs is not first:
            of_seeds = values(runs).std(ddof=1) + values(first).std(ddof=1)
            more = abs(gap(runs, first)) > max(of_seeds, of_images)
            line += f"  {gap(runs, first):+.3f}, {'more than' if more else 'within'} the spread"
        print(line)


# %% [markdown]
# epochs

# %%
ALEXNET, LENET = ZOO["alexnet"], ZOO["lenet"]
small = ALEXNET if FULL else ALEXNET.replace(width=0.25)
size = 224 if FULL else 65
if FULL:  # three times the book's epochs
    longer = {
        "LeNet": train(LENET, PLAIN, 30, lr=0.9, images=60_000, batch_size=256, normalize=False),
        "AlexNet": train(
            small, PLAIN, 30, lr=0.01, images=60_000, batch_size=128, size=size, normalize=False
        ),
    }
else:
    images = {"images": 2_000, "batch_size": 16}
    longer = {
        "LeNet": train(LENET, PLAIN, 8, lr=0.5, **images),
        "AlexNet": train(small, {"momentum": 0.9}, 8, lr=0.01, **images, size=size),
    }
alexnet.plot_by_net([run for runs in longer.values() for run in runs])


# %%
def after(runs, epochs, name="test_accuracy"):
    """Return a figure after a number of epochs for each seed."""
    return [getattr(run.epochs[epochs - 1], name) for run in runs]


epochs = len(longer["LeNet"][0].epochs)
for name, runs in longer.items():
    for number in (epochs // 4, epochs // 2, epochs):
        seen = np.mean(after(runs, number, "train_accuracy"))
        print(f"{name:7} {number:2} epochs: training {seen:.3f}, test {score(after(runs, number))}")

# %% [markdown]
# epochs-answer

# %% [markdown]
# simpler

# %%
narrow = ALEXNET.replace(width=0.25)
layers = narrow.layers  # without two convolutions and without the second dense layer
fewer = Net("fewer layers", (1, 224, 224), layers[:8] + layers[12:17] + layers[20:])
nets = {
    "a quarter as wide": narrow,
    "an eighth": ALEXNET.replace(width=0.125),
    "fewer layers": fewer,
}
if FULL:
    nets = {"AlexNet": ALEXNET, **nets}
    short = {"num_epochs": 10, "images": 60_000, "batch_size": 128}
    simpler = {
        name: train(net, PLAIN, lr=0.01, **short, size=size, normalize=False)
        for name, net in nets.items()
    }
else:
    short = {"num_epochs": 3, "images": 2_048, "batch_size": 16}
    simpler = {name: train(net, CYCLE, lr=0.02, **short, size=size) for name, net in nets.items()}
simpler["alexnet-28"] = train("alexnet-28", CYCLE, lr=0.1, **short)
show(simpler)

# %%
tables = {name: net.resolve((1, size, size)) for name, net in nets.items()}
tables = {"AlexNet": ALEXNET.resolve(), **tables, "alexnet-28": ZOO["alexnet-28"].resolve()}
speed = {name: np.mean([run.examples_per_sec for run in runs]) for name, runs in simpler.items()}
for name, table in tables.items():
    counts = f"{table.parameter_count:>10,} parameters {table.macs / 1e6:>6.1f} M multiply-adds"
    print(f"{name:17} {counts}", f"{speed[name]:>6,.0f} images/s" if name in speed else "")

# %%
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, runs in simpler.items():
    mean, deviation = values(runs).mean(), values(runs).std(ddof=1)
    axes.errorbar(speed[name], mean, deviation, fmt="o", capsize=4, label=name)
axes.set(xscale="log", xlabel="training images per second", ylabel="test accuracy")
axes.legend()
plt.show()

# %% [markdown]
# simpler-answer

# %% [markdown]
# batch

# %%
batches = {
    (batch_size, lr): train(
        "alexnet-28", CYCLE, 2, lr, images=60_000 if FULL else 5_000, batch_size=batch_size
    )
    for batch_size, lr in ((16, 0.025), (64, 0.025), (64, 0.1), (256, 0.1), (256, 0.4))
}
show({f"batches of {size:3}, lr {lr}": runs for (size, lr), runs in batches.items()})

# %% [markdown]
# memory


# %%
def kept_by_torch(net, batch_size):
    """Return the bytes of the tensors that PyTorch keeps for the backward pass, without the weights."""
    model = alexnet.build(net, backend="torch", device="cpu").train()
    weights = {tensor.data_ptr() for tensor in model.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(torch.zeros(batch_size, *ZOO[net].input_shape))
    assert output.requires_grad
    return sum(tensor.nbytes for tensor in kept.values())


kept = {}
for batch_size in (1, 16, 128):
    cost = alexnet.cost("alexnet", batch_size)
    kept[batch_size] = kept_by_torch("alexnet", batch_size)
    print(
        f"batches of {batch_size:3}: weights and gradients {8 * cost.parameters / 1e6:.0f} MB, "
        f"activations {cost.kept_bytes / 1e6:.0f} MB; in PyTorch {kept[batch_size] / 1e6:.0f} MB"
    )

# %% [markdown]
# batch-answer

# %% [markdown]
# cost

# %%
cost = alexnet.cost("alexnet", batch_size=16, backend="torch")
cost.plot()

# %%
cost.roofline()

# %% [markdown]
# cost-answer

# %% [markdown]
# lenet

# %%
modern = LENET.replace(activation="relu")
*hidden, last = modern.layers
with_dropout = Net(
    "lenet, dropout", (1, 28, 28), (*hidden[:9], Dropout(0.5), *hidden[9:], Dropout(0.5), last)
)
if FULL:
    short = {"num_epochs": 10, "images": 60_000, "batch_size": 256}
else:
    short = {"num_epochs": 5, "images": 3_072, "batch_size": 16}
relu, sigmoid = {"lr": 0.1, **short}, {"lr": 0.9 if FULL else 0.5, **short}
lenet = {
    "ReLU, normalised": train(modern, PLAIN, **relu),
    "with dropout": train(with_dropout, PLAIN, **relu),
    "not normalised": train(modern, PLAIN, **relu, normalize=False),
    "sigmoid": train(LENET, PLAIN, **sigmoid),
    "sigmoid, not normalised": train(LENET, PLAIN, **sigmoid, normalize=False),
}
show(lenet)

# %% [markdown]
# lenet-answer

# %% [markdown]
# relu

# %%
four = Net(
    "four layers",
    (1, 31, 31),
    (
        Conv(32, 3, padding=1),  # 32×31×31
        ReLU(),
        MaxPool(3, stride=2),  # 32×15×15
        Conv(32, 3, padding=1),  # 32×15×15
        ReLU(),
        MaxPool(3, stride=2),  # 32×7×7
        Conv(64, 3, padding=1),  # 64×7×7
        ReLU(),
        MaxPool(3, stride=2),  # 64×3×3
        Flatten(),  # 576
        Dense(10),
    ),
)
setup = {"num_epochs": 4, "images": 60_000 if FULL else 2_048, "batch_size": 16, "size": 31}
by_lr = {
    (activation, lr): train(four.replace(activation=activation), CYCLE, lr=lr, **setup)
    for activation, lr in (
        ("relu", 0.04),
        ("relu", 0.02),
        ("tanh", 0.04),
        ("tanh", 0.02),
        ("sigmoid", 0.04),
    )
}
show({f"{activation:7} lr {lr}": runs for (activation, lr), runs in by_lr.items()})


# %%
def images_until(runs, accuracy):
    """Return the mean number of images after which the running training accuracy is this high."""
    found = []
    for run in runs:
        curve = run.curve()
        steps, running = curve.smoothed("accuracy")
        reached = steps[running >= accuracy]
        found.append(np.cumsum(curve.examples)[reached[0]] if len(reached) else np.inf)
    return np.mean(found)


for (activation, lr), runs in by_lr.items():
    until = [f"{images_until(runs, goal):6,.0f}" for goal in (0.75, 0.8, 0.85)]
    print(f"{activation:7} lr {lr}: images until 75, 80, 85 % are right:", *until)

# %% [markdown]
# relu-answer

# %% [markdown]
# pooling

# %%
setup["lr"] = 0.04
base = by_lr["relu", 0.04]
pooling = {
    "window 3, stride 2": base,
    "window 2, stride 2": train(four.replace(pool_window=(2, 2)), CYCLE, **setup),
}
show(pooling)

# %% [markdown]
# pooling-answer

# %% [markdown]
# norm

# %%
layers = four.layers
local = Net(
    "local response",
    four.input_shape,
    (*layers[:3], LocalResponseNorm(), *layers[3:6], LocalResponseNorm(), *layers[6:]),
)
norms = {
    "none": base,
    "local response": train(local, CYCLE, **setup),
    "batch": train(four.replace(norm="batch"), CYCLE, **setup),
}
show(norms)

# %%
test_images, _ = next(iter(load(1, 100, 31)[1]))
outputs = alexnet.activations(norms["local response"][0].net, test_images[0])
shrunk = outputs[3][outputs[2] > 0] / outputs[2][outputs[2] > 0]
print(f"output / input: {shrunk.min():.3f} to {shrunk.max():.3f}; 1 / 2^0.75 = {2**-0.75:.3f}")

# %% [markdown]
# norm-answer

# %% [markdown]
# groups


# %%
def in_groups(net, groups):
    """Return a net with groups in every convolution but the first."""
    first, *others = net.layers
    others = [replace(x, groups=groups) if isinstance(x, Conv) else x for x in others]
    return Net(f"{net.name}, {groups} groups", net.input_shape, (first, *others))


one, two = ZOO["alexnet-2012"].resolve(), ZOO["alexnet-2012-two-gpus"].resolve()
for table in (one, two):
    print(f"{table.name:21} {table.parameter_count:,} parameters, {table.macs:,} multiply-adds")
groups = {
    "one group": base,
    "two groups": train(in_groups(four, 2), CYCLE, **setup),
    "half as wide": train(four.replace(width=0.5), CYCLE, **setup),
}
show(groups)

# %% [markdown]
# groups-answer

# %% [markdown]
# dropout

# %%
wide = with_dropout.replace(width=2)
few = {"images": 400, "batch_size": 16}
dropout = {
    f"rate {rate:g}": train(wide.replace(dropout=rate), {"momentum": 0.9}, 30, 0.01, **few)
    for rate in (0, 0.5)
}
show(dropout)
again = {
    name: [alexnet.evaluate(run.net, load(**few)[0]) for run in runs]
    for name, runs in dropout.items()
}
for name, seen in again.items():
    print(f"{name:8} on the training images, without dropout: {score(seen)}")

# %%
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for (name, runs), color in zip(dropout.items(), ("tab:blue", "tab:orange"), strict=True):
    for part, style in (("train", "--"), ("test", "-")):
        curves = [[getattr(epoch, f"{part}_accuracy") for epoch in run.epochs] for run in runs]
        numbers = np.arange(len(curves[0])) + 1
        axes.plot(numbers, np.mean(curves, axis=0), style, color=color, label=f"{part}, {name}")
axes.set(xlabel="epoch", ylabel="accuracy")
axes.legend()
plt.show()

# %% [markdown]
# dropout-answer

# %% [markdown]
# augmentation

# %%
changes = {"as they are": {}, "flipped": {"flip": True}, "cropped": {"crop": 2}}
images = {"images": 60_000 if FULL else 1_000, "batch_size": 32}
augmented = {
    name: train("alexnet-28", CYCLE, 10, 0.1, **images, **change)
    for name, change in changes.items()
}
show(augmented)

# %% [markdown]
# augmentation-answer

# %% [markdown]
# mnist

# %%
if FULL:  # handwritten digits
    images = {"images": 60_000, "batch_size": 64, "dataset": alexnet.load_mnist}
    digits = train("alexnet-mnist", {"momentum": 0.9}, 10, 0.01, **images, size=96)
else:  # clothes
    digits = train("alexnet-mnist", CYCLE, 2, 0.02, images=1_024, batch_size=16, size=96)
show({"alexnet-mnist": digits})

# %% [markdown]
# mnist-answer

# %% [markdown]
# devices

# %%
places = ["cpu", "gpu"] if backends.load("torch").gpus() else ["cpu"]
devices = {}
for place in places:
    loaders = alexnet.load_fashion_mnist(64, 224, source="sample", subset=(256, 16))
    quiet = {"backend": "torch", "callback": Silent()}
    devices[place] = alexnet.train_ch6("alexnet", *loaders, 1, 0.01, place, **quiet)
    print(f"AlexNet on the {place}: {devices[place].examples_per_sec:,.0f} images/s")

# %% [markdown]
# devices-answer
