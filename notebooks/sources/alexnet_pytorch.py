# %% [markdown]
# opening

# %%
# extras: torch

# %%
import os

import alexnet
from alexnet import backends
from alexnet import torch as d2l  # in the book: from d2l import torch as d2l
from alexnet.views.tables import summary_table

FULL = bool(backends.load("torch").gpus())  # the book's recipe; set True to do it on a CPU
if not FULL:  # part of the sample that comes with the package: training and test images
    os.environ.setdefault("ALEXNET_DATA", "sample")
    os.environ.setdefault("ALEXNET_SUBSET", "1280:400")

# %% [markdown]
# what-was-new

# %% [markdown]
# drawing

# %%
alexnet.draw("lenet", "alexnet")

# %% [markdown]
# drawing-seen

# %% [markdown]
# table

# %%
table = alexnet.ZOO["alexnet"].resolve()
summary_table(table)

# %% [markdown]
# parts

# %% [markdown]
# size

# %%
size, window, stride, padding = 224, 11, 4, 1
by_hand = (size + 2 * padding - window) // stride + 1
print(by_hand, table.rows[0].output_shape)

# %% [markdown]
# net

# %%
import torch
from torch import nn

net = nn.Sequential(
    # large images: a large window, and a stride that makes them small at once
    nn.Conv2d(1, 96, kernel_size=11, stride=4, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(kernel_size=3, stride=2),
    # smaller windows, more channels; the padding keeps height and width
    nn.Conv2d(96, 256, kernel_size=5, padding=2),
    nn.ReLU(),
    nn.MaxPool2d(kernel_size=3, stride=2),
    # three convolutions without pooling between them
    nn.Conv2d(256, 384, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.Conv2d(384, 384, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.Conv2d(384, 256, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(kernel_size=3, stride=2),
    nn.Flatten(),
    # two wide dense layers, with dropout against overfitting
    nn.Linear(6400, 4096),
    nn.ReLU(),
    nn.Dropout(0.5),
    nn.Linear(4096, 4096),
    nn.ReLU(),
    nn.Dropout(0.5),
    # one output for each of the ten classes
    nn.Linear(4096, 10),
)

# %% [markdown]
# twin

# %%
twin = alexnet.build("alexnet", backend="torch", seed=0)
alexnet.set_weights(net, alexnet.get_weights(twin))


@torch.no_grad()
def difference(one, other, X):
    """Return the largest difference of an output, relative to the largest output."""
    one.eval(), other.eval()  # without dropout
    return ((one(X) - other(X)).abs().max() / one(X).abs().max()).item()


X = torch.rand(8, 1, 224, 224)
found = difference(net, twin, X)
print(f"{found:.1e}")

# %% [markdown]
# twin-seen

# %% [markdown]
# shapes

# %%
X = torch.rand(1, 1, 224, 224)
for layer in net:
    X = layer(X)
    print(f"{type(layer).__name__:10} output shape: {tuple(X.shape)}")

# %% [markdown]
# shapes-seen

# %% [markdown]
# images

# %%
_, small = d2l.load_data_fashion_mnist(4)
X, y = next(iter(small))
print(X.shape)
alexnet.show_images(X, d2l.get_fashion_mnist_labels(y), scale=1.6)

# %% [markdown]
# too-small

# %%
try:
    alexnet.ZOO["alexnet"].resolve((1, 28, 28))
except alexnet.SpecError as error:
    print(error)

# %% [markdown]
# enlarged

# %%
batch_size = 128
train_iter, test_iter = d2l.load_data_fashion_mnist(batch_size, resize=224)
X, y = next(iter(test_iter))
print(X.shape)
alexnet.show_images(X[:4], d2l.get_fashion_mnist_labels(y[:4]), scale=1.6)

# %% [markdown]
# train-book

# %%
lr, num_epochs = 0.01, 10 if FULL else 1
d2l.train_ch6(net, train_iter, test_iter, num_epochs, lr, d2l.try_gpu())

# %% [markdown]
# train-short

# %%
if not FULL:
    train_iter, test_iter = alexnet.load_fashion_mnist(
        batch_size=16, resize=224, normalize=True, backend="torch"
    )
    alexnet.train_ch6(
        net, train_iter, test_iter, 1, 0.01, momentum=0.9, nesterov=True, schedule="one-cycle"
    )

# %% [markdown]
# train-short-seen

# %% [markdown]
# answers

# %%
device = d2l.try_gpu()
X, y = next(iter(test_iter))
net.eval()
with torch.no_grad():
    predicted = net(X.to(device)).argmax(dim=1)

pairs = zip(d2l.get_fashion_mnist_labels(y), d2l.get_fashion_mnist_labels(predicted), strict=True)
titles = [f"{true}\n{answer}" for true, answer in pairs]
alexnet.show_images(X[:8], titles[:8], columns=4, scale=1.3)

# %% [markdown]
# confusion

# %%
confusion = alexnet.confusion(net, test_iter)
print(confusion)
confusion.plot()

# %% [markdown]
# confusion-seen

# %% [markdown]
# padding

# %%
for name in ("alexnet", "alexnet-unpadded"):
    for size in (224, 225):
        rows = alexnet.ZOO[name].resolve((1, size, size)).rows
        print(f"{name:17}{size}: {rows[0].output_shape}, after Flatten {rows[13].output_shape}")

# %% [markdown]
# other-padding

# %%
other = alexnet.build("alexnet-unpadded", backend="torch", device=device)
alexnet.set_weights(other, alexnet.get_weights(net))
moved = difference(net, other, X.to(device))
print(f"{moved:.1e}")

# %% [markdown]
# own-way

# %%
new = nn.Linear(6400, 4096)
print(f"largest bias of a new Linear: {new.bias.abs().max():.4f}")
print(f"largest bias of the same layer in the table's net: {twin[14].bias.abs().max():.4f}")

# %% [markdown]
# modes

# %%
image = torch.rand(1, 1, 224, 224, device=device)
for training in (True, False):
    net.train(training)
    with torch.no_grad():
        print(f"training {training}: the same output twice: {torch.equal(net(image), net(image))}")

# %% [markdown]
# column

# %% [markdown]
# save

# %%
alexnet.save(net, "alexnet-pytorch.safetensors", model="alexnet")

# %% [markdown]
# load

# %%
copy = alexnet.load("alexnet-pytorch.safetensors", backend="numpy")
answers = copy(X.cpu().numpy()).argmax(axis=1)
print((answers == predicted.cpu().numpy()).sum(), "of", len(answers), "answers are the same")

# %% [markdown]
# summary

# %% [markdown]
# more
