# %% [markdown]
# opening

# %%
# extras: torch

# %%
import itertools

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
net = alexnet.build("alexnet-28", backend="torch", seed=0)
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
alexnet.activations(net, images[-1])

# %% [markdown]
# sparsity


# %%
def sparsity(net, images):
    """Print the share of zeros after each ReLU, as a mean over images."""
    found = [alexnet.activations(net, image) for image in images]
    for number, layer in enumerate(found[0].layers):
        if isinstance(layer.layer, ReLU):
            zeros = np.mean([outputs[number] == 0 for outputs in found])
            print(f"{layer.name:22}{layer.values.size:10,} values, {zeros:6.1%} zeros")


sparsity(net, images)

# %% [markdown]
# confusion

# %%
matrix = alexnet.confusion(net, test_iter)
matrix

# %% [markdown]
# mistakes

# %%
wrong = alexnet.mistakes(net, test_iter)
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
    square = side // 4
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
    _, axes = plt.subplots(2 * rows, columns, figsize=(7, 3.6 * rows), layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for n, (image, label) in enumerate(zip(images, labels, strict=True)):
        falls, worst = occlusion(net, image, label)
        row, column = 2 * (n // columns), n % columns
        for ax, picture in ((axes[row, column], image), (axes[row + 1, column], worst)):
            probability = probabilities(net, picture[None])[0]
            guess = probability.argmax()
            ax.imshow(picture[0], cmap="gray")
            ax.set_title(f"{classes[guess]}, {probability[guess]:.0%}", fontsize="small")
        axes[row, column].imshow(falls, "RdBu_r", vmin=-1, vmax=1, alpha=0.6)


plot_occlusion(net, images, labels, test_iter.classes)

# %% [markdown]
# real

# %%
big = alexnet.build("alexnet", backend="torch", seed=0)
untrained = alexnet.filters(big)
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
trained = alexnet.filters(big)
trained

# %% [markdown]
# real-activations

# %%
big_images, big_labels = one_of_each(big_test)
alexnet.activations(big, big_images[-1])

# %% [markdown]
# real-sparsity

# %%
sparsity(big, big_images)

# %% [markdown]
# real-occlusion

# %%
plot_occlusion(big, big_images, big_labels, big_test.classes)

# %% [markdown]
# closing
