# %% [markdown]
# opening

# %%
# extras: mxnet

# %%
import os

import alexnet
from alexnet import backends
from alexnet import mxnet as d2l  # in the book: from d2l import mxnet as d2l
from alexnet.views.tables import summary_table

FULL = bool(backends.load("mxnet").gpus())  # the book's recipe; set True to do it on a CPU
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
from mxnet import np, npx
from mxnet.gluon import nn

npx.set_np()

net = nn.Sequential()
net.add(
    # large images: a large window, and a stride that makes them small at once
    nn.Conv2D(96, kernel_size=11, strides=4, activation="relu"),
    nn.MaxPool2D(pool_size=3, strides=2),
    # smaller windows, more channels; the padding keeps height and width
    nn.Conv2D(256, kernel_size=5, padding=2, activation="relu"),
    nn.MaxPool2D(pool_size=3, strides=2),
    # three convolutions without pooling between them
    nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
    nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
    nn.Conv2D(256, kernel_size=3, padding=1, activation="relu"),
    nn.MaxPool2D(pool_size=3, strides=2),
    # two wide dense layers, with dropout against overfitting
    nn.Dense(4096, activation="relu"),
    nn.Dropout(0.5),
    nn.Dense(4096, activation="relu"),
    nn.Dropout(0.5),
    # one output for each of the ten classes
    nn.Dense(10),
)
net.initialize()

# %% [markdown]
# twin

# %%
X = np.random.uniform(size=(8, 1, 224, 224))
net(X)  # at the first call, MXNet infers the shapes and draws the weights

twin = alexnet.build("alexnet-unpadded", backend="mxnet", seed=0)
weights = alexnet.get_weights(twin)
own_keys = alexnet.get_weights(net)
alexnet.set_weights(net, dict(zip(own_keys, weights.values(), strict=True)))


def difference(one, other, X):
    """Return the largest difference of an output, relative to the largest output."""
    return float(np.abs(one(X) - other(X)).max() / np.abs(one(X)).max())


found = difference(net, twin, X)
print(f"{found:.1e}")

# %% [markdown]
# twin-seen

# %% [markdown]
# shapes

# %%
X = np.random.uniform(size=(1, 1, 224, 224))
for layer in net:
    X = layer(X)
    print(f"{type(layer).__name__:10} output shape: {X.shape}")

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
        batch_size=16, resize=224, normalize=True, backend="mxnet"
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
predicted = net(X.as_in_ctx(device)).argmax(axis=1)

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
other = alexnet.build("alexnet", backend="mxnet", device=device)
alexnet.set_weights(
    other, dict(zip(alexnet.get_weights(other), alexnet.get_weights(net).values(), strict=True))
)
moved = difference(net, other, X.as_in_ctx(device))
print(f"{moved:.1e}")

# %% [markdown]
# own-way

# %%
X = X.as_in_ctx(device)
npx.waitall()
timer = d2l.Timer()
logits = net(X)
called = timer.stop()
timer.start()
logits.wait_to_read()
waited = timer.stop()
print(f"the call: {called * 1000:.1f} ms, the result: {waited * 1000:.1f} ms later")

# %% [markdown]
# hybrid

# %%
hybrid = nn.HybridSequential()
hybrid.add(*net)
hybrid.hybridize(static_alloc=True, static_shape=True)
print(f"{difference(net, hybrid, X):.1e}")

# %% [markdown]
# column

# %% [markdown]
# save

# %%
alexnet.save(net, "alexnet-mxnet.safetensors", model="alexnet-unpadded")

# %% [markdown]
# load

# %%
copy = alexnet.load("alexnet-mxnet.safetensors", backend="numpy")
answers = copy(X.asnumpy()).argmax(axis=1)
print((answers == predicted.asnumpy()).sum(), "of", len(answers), "answers are the same")

# %% [markdown]
# summary

# %% [markdown]
# more
