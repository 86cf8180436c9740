# %% [markdown]
# opening

# %%
# extras: torch

# %%
import itertools
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import alexnet
from alexnet import backends
from alexnet.spec import ReLU

# A GPU follows the book's recipe; set True to do it on a CPU.
FULL = bool(backends.load("torch").gpus())
SOURCE = None if FULL else "sample"

# %% [markdown]
# before

# %%
net, fresh = (alexnet.build("alexnet-28", backend="torch", seed=0) for _ in range(2))
before = alexnet.filters(net)
before

# %% [markdown]
# training

# %%
train_iter, test_iter = alexnet.load_fashion_mnist(32, resize=None, source=SOURCE, normalize=True)
recipe = {"momentum": 0.9, "nesterov": True, "schedule": "one-cycle"}
history = alexnet.train_ch6(net, train_iter, test_iter, num_epochs=4, lr=0.1, **recipe)

# %% [markdown]
# after

# %%
after = alexnet.filters(net)
after

# %% [markdown]
# activations


# %%
def one_of_each(data_iter, batches=8):
    """Return the first image of each class in the first batches, and the labels."""
    X, y = map(np.concatenate, zip(*itertools.islice(data_iter, batches), strict=True))
    labels, first = np.unique(y, return_index=True)
    return X[first], labels


images, labels = one_of_each(test_iter)
alexnet.activations(net, images[-1]).plot()

# %% [markdown]
# zeros


# %%
def zeros(net, images):
    """Return the share of zeros after each ReLU, as a mean over images, by the name of the layer."""
    found = [alexnet.activations(net, image) for image in images]
    after = [n for n, layer in enumerate(found[0].layers) if isinstance(layer.layer, ReLU)]
    return {found[0].layers[n].name: np.mean([one[n] == 0 for one in found]) for n in after}


def compare_zeros(fresh, net, images):
    """Print the shares of zeros of an untrained and a trained net. Return those of the trained net."""
    found = zeros(net, images)
    print(f"{'zeros after':24}{'untrained':>11}{'trained':>9}")
    for name, untrained in zeros(fresh, images).items():
        print(f"{name:24}{untrained:11.1%}{found[name]:9.1%}")
    return found


small_zeros = compare_zeros(fresh, net, images)

# %% [markdown]
# confusion

# %%
matrix = alexnet.confusion(net, test_iter)
matrix

# %% [markdown]
# mistakes

# %%
wrong = alexnet.mistakes(net, test_iter, k=8)
wrong

# %% [markdown]
# occlusion


# %%
def probabilities(net, images):
    """Return the probabilities of the classes for images (B, 1, S, S): float32 (B, 10)."""
    device = next(net.parameters()).device
    net.eval()  # batch normalisation and dropout as in a test
    with torch.no_grad():
        return net(torch.from_numpy(images).to(device)).softmax(1).cpu().numpy()


def occlusion(net, image, label, places=11):
    """Hide parts of an image (1, S, S) with a grey square, in ``places``² places.

    Return for each pixel how much the probability of ``label`` falls when it is hidden (the mean over
    all squares that hide it), (S, S), and the image in which the probability is smallest.
    """
    side = image.shape[-1]
    square = side // 3
    corners = np.linspace(0, side - square, places).round().astype(int)
    edges = [slice(corner, corner + square) for corner in corners]
    parts = list(itertools.product(edges, edges))
    hidden = np.stack([image] * len(parts))  # (121, 1, S, S)
    for picture, part in zip(hidden, parts, strict=True):
        picture[:, *part] = image.mean()
    found = probabilities(net, hidden)[:, label]  # (121,)
    falls = probabilities(net, image[None])[0, label] - found
    total, count = np.zeros((2, side, side))
    for part, fall in zip(parts, falls, strict=True):
        total[part] += fall
        count[part] += 1
    return total / count, hidden[found.argmin()]


# %% [markdown]
# occlusion-map


# %%
def plot_occlusion(net, images, labels, classes, columns=5):
    """Plot the occlusion map of each image, and below it the image with the square in the worst place."""
    rows = -(-len(images) // columns)
    _, axes = plt.subplots(2 * rows, columns, figsize=(7, 3.7 * rows), layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        falls, worst = occlusion(net, image, label)
        row, column = 2 * (n // columns), n % columns
        above, below = axes[row, column], axes[row + 1, column]
        above.imshow(falls, "RdBu_r", vmin=-0.5, vmax=0.5)
        above.contour(image[0], [image.mean()], colors="black", linewidths=0.7, linestyles="solid")
        below.imshow(worst[0], cmap="gray")
        for ax, picture in ((above, image), (below, worst)):
            probability = probabilities(net, picture[None])[0]
            guess = probability.argmax()
            ax.set_title(f"{classes[guess]} {probability[guess]:.0%}", fontsize="small")
        above.set_title(f"{classes[label]}\n{above.get_title()}", fontsize="small")


plot_occlusion(net, images, labels, test_iter.classes)

# %% [markdown]
# real

# %%
big, fresh_big = (alexnet.build("alexnet", backend="torch", seed=0) for _ in range(2))
if FULL:
    big_train, big_test = alexnet.load_fashion_mnist(128)
    alexnet.train_ch6(big, big_train, big_test, num_epochs=10, lr=0.01)
else:
    big_train, big_test = alexnet.load_fashion_mnist(
        16, source="sample", normalize=True, subset=(1536, 512)
    )
    alexnet.train_ch6(big, big_train, big_test, num_epochs=1, lr=0.01, **recipe)

# %% [markdown]
# real-filters

# %%
first, last = alexnet.filters(fresh_big), alexnet.filters(big)
change = np.abs(last.weights - first.weights).mean() / np.abs(first.weights).mean()
replace(last, weights=last.weights - first.weights).plot()

# %% [markdown]
# real-zeros

# %%
big_images, big_labels = one_of_each(big_test)
big_zeros = compare_zeros(fresh_big, big, big_images)

# %% [markdown]
# real-occlusion

# %%
plot_occlusion(big, big_images[1::2], big_labels[1::2], big_test.classes)

# %% [markdown]
# closing
