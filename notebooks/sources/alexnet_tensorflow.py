# %% [markdown]
# opening

# %%
# extras: tensorflow

# %%
import os

import alexnet
from alexnet import backends
from alexnet import tensorflow as d2l  # in the book: from d2l import tensorflow as d2l
from alexnet.views.tables import summary_table

FULL = bool(backends.load("tensorflow").gpus())  # the book's recipe; set True to do it on a CPU
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
import keras
import tensorflow as tf
from keras import layers


def make_net():
    return keras.Sequential(
        [
            keras.Input((224, 224, 1)),
            # large images: a large window, and a stride that makes them small at once
            layers.Conv2D(96, kernel_size=11, strides=4, activation="relu"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            # smaller windows, more channels; the padding keeps height and width
            layers.Conv2D(256, kernel_size=5, padding="same", activation="relu"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            # three convolutions without pooling between them
            layers.Conv2D(384, kernel_size=3, padding="same", activation="relu"),
            layers.Conv2D(384, kernel_size=3, padding="same", activation="relu"),
            layers.Conv2D(256, kernel_size=3, padding="same", activation="relu"),
            layers.MaxPooling2D(pool_size=3, strides=2),
            layers.Flatten(),
            # two wide dense layers, with dropout against overfitting
            layers.Dense(4096, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(4096, activation="relu"),
            layers.Dropout(0.5),
            # one output for each of the ten classes
            layers.Dense(10),
        ]
    )


net = make_net()

# %% [markdown]
# twin

# %%
twin = alexnet.build("alexnet-unpadded", backend="tensorflow", seed=0)
weights = alexnet.get_weights(twin)
own_keys = alexnet.get_weights(net)
alexnet.set_weights(net, dict(zip(own_keys, weights.values(), strict=True)))


def difference(one, other, X):
    """Return the largest difference of an output, relative to the largest output."""
    a, b = one(X, training=False), other(X, training=False)  # without dropout
    return float(tf.reduce_max(tf.abs(a - b)) / tf.reduce_max(tf.abs(a)))


X = tf.random.uniform((8, 224, 224, 1))
found = difference(net, twin, X)
print(f"{found:.1e}")

# %% [markdown]
# twin-seen

# %% [markdown]
# shapes

# %%
X = tf.random.uniform((1, 224, 224, 1))
for layer in net.layers:
    X = layer(X)
    print(f"{type(layer).__name__:12} output shape: {tuple(X.shape)}")

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
net = d2l.train_ch6(make_net, train_iter, test_iter, num_epochs, lr, d2l.try_gpu())

# %% [markdown]
# train-short

# %%
if not FULL:
    train_iter, test_iter = alexnet.load_fashion_mnist(
        batch_size=16, resize=224, normalize=True, backend="tensorflow"
    )
    alexnet.train_ch6(
        net, train_iter, test_iter, 1, 0.01, momentum=0.9, nesterov=True, schedule="one-cycle"
    )

# %% [markdown]
# train-short-seen

# %% [markdown]
# answers

# %%
X, y = next(iter(test_iter))
predicted = tf.argmax(net(X, training=False), axis=1)

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
other = alexnet.build("alexnet", backend="tensorflow")
alexnet.set_weights(
    other, dict(zip(alexnet.get_weights(other), alexnet.get_weights(net).values(), strict=True))
)
moved = difference(net, other, X)
print(f"{moved:.1e}")

# %% [markdown]
# own-way

# %%
image = tf.reshape(tf.range(16.0), (1, 4, 4, 1))
kernel = tf.ones((3, 3, 1, 1))
same = tf.nn.conv2d(image, kernel, strides=2, padding="SAME")
both_sides = tf.nn.conv2d(image, kernel, strides=2, padding=[[0, 0], [1, 1], [1, 1], [0, 0]])
print(same[0, ..., 0].numpy(), both_sides[0, ..., 0].numpy(), sep="\n\n")

# %% [markdown]
# layout

# %%
arrays = alexnet.get_weights(net)
for variable, key in zip(net.weights, arrays, strict=True):
    if key.endswith("weight"):
        print(f"{tuple(variable.shape)!s:18} {key:10} {arrays[key].shape}")

# %% [markdown]
# column

# %% [markdown]
# save

# %%
alexnet.save(net, "alexnet-tensorflow.safetensors", model="alexnet-unpadded")

# %% [markdown]
# load

# %%
copy = alexnet.load("alexnet-tensorflow.safetensors", backend="numpy")
images = X.numpy().transpose(0, 3, 1, 2)  # channels first, as in the reference
answers = copy(images).argmax(axis=1)
print((answers == predicted.numpy()).sum(), "of", len(answers), "answers are the same")

# %% [markdown]
# summary

# %% [markdown]
# more
