"""The names that the book's TensorFlow cells take from its library.

``from alexnet import tensorflow as d2l`` has those of the chapters on image classification, softmax
regression, multilayer perceptrons, LeNet and modern convolutional networks, with the book's arguments
and meaning. What they do is done by this library: `load_data_fashion_mnist` by
`alexnet.load_fashion_mnist`, `train_ch6` by `alexnet.train_ch6`.

Source: https://zh.d2l.ai
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from alexnet import backends, train
from alexnet.book.chapter3 import Chapter3
from alexnet.book.elsewhere import refusing
from alexnet.book.plots import (
    Animator,
    plot,
    run_display,
    set_axes,
    set_figsize,
    show_images,
    use_svg_display,
)
from alexnet.book.tools import (
    Accumulator,
    Timer,
    accuracy,
    corr2d,
    get_dataloader_workers,
    get_fashion_mnist_labels,
)
from alexnet.data import ImageLoader, load_fashion_mnist
from alexnet.train import Batches

_backend = backends.load("tensorflow")  # prepares the process for TensorFlow, so it comes first

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from alexnet.book import keras2

keras2.put_back()

# --- data and devices -----------------------------------------------------------------------------


def load_data_fashion_mnist(
    batch_size: int, resize: int | None = None
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Fashion-MNIST as ``(train_iter, test_iter)``: `alexnet.load_fashion_mnist` as datasets.

    X is float32 (B, 28, 28, 1), or (B, resize, resize, 1), in [0, 1]; y is int32 (B,). Keras' ``fit`` and
    ``evaluate`` take them. The training set is shuffled anew, per example, in every epoch. Raises
    DataError for bad values and for files that cannot be had.

    >>> train_iter, test_iter = load_data_fashion_mnist(256)  # doctest: +SKIP
    """
    train_iter, test_iter = load_fashion_mnist(
        batch_size, resize, backend="tensorflow", device="cpu"
    )
    return _dataset(train_iter), _dataset(test_iter)


def _dataset(loader: ImageLoader) -> tf.data.Dataset:
    """The loader's batches; Python is asked for each epoch's order only, so nothing waits for it."""
    cpu = _backend.cpu()
    with tf.device(cpu):
        pixels = tf.constant(loader.pixels)  # (N, 28, 28)
        labels = tf.constant(loader.labels, tf.int32)  # (N,)

    def order() -> np.ndarray:
        loader.epochs_begun += 1
        return loader.order(loader.epochs_begun - 1)

    def epoch(_: tf.Tensor) -> tf.data.Dataset:
        numbers = tf.ensure_shape(tf.numpy_function(order, [], tf.int64), labels.shape)
        return tf.data.Dataset.from_tensor_slices(numbers)

    def batch(chosen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        X = _backend.images(tf.gather(pixels, chosen), loader.transform, cpu)  # (B, S, S, 1)
        return X, tf.gather(labels, chosen)

    batches = tf.data.Dataset.range(1).flat_map(epoch).batch(loader.batch_size).map(batch)
    return batches.apply(tf.data.experimental.assert_cardinality(len(loader))).prefetch(1)


def try_gpu(i: int = 0) -> Any:
    """GPU number i, or the CPU if there is none: a ``tf.device``, for ``with`` and for `train_ch6`.

    >>> with try_gpu(99):
    ...     tf.ones(2).device[-5:]
    'CPU:0'
    """
    return tf.device(backends.try_gpu(i, "tensorflow"))


def try_all_gpus() -> list[Any]:
    """All GPUs, or the CPU alone if there are none, each a ``tf.device``."""
    return [tf.device(name) for name in _backend.gpus() or [_backend.cpu()]]


# --- softmax regression ---------------------------------------------------------------------------


def sgd(
    params: Iterable[tf.Variable], grads: Iterable[tf.Tensor], lr: float, batch_size: int
) -> None:
    """A step of SGD on gradients that are summed over a batch.

    >>> w = tf.Variable([1.0, 1.0])
    >>> sgd([w], [tf.constant([3.0, 3.0])], lr=0.1, batch_size=2)
    >>> w.numpy()
    array([0.85, 0.85], dtype=float32)
    """
    for param, grad in zip(params, grads, strict=True):
        param.assign_sub(lr * grad / batch_size)


class Updater:
    """An updater for `train_ch3` that takes steps of `sgd`.

    ``params``: variables; ``lr``: learning rate.
    """

    def __init__(self, params: list[tf.Variable], lr: float) -> None:
        self.params, self.lr = params, lr

    def __call__(self, batch_size: int, grads: list[tf.Tensor]) -> None:
        sgd(self.params, grads, self.lr, batch_size)


class _Trainer:
    """Steps with a loss and an updater of the reader's own."""

    def __init__(self, net: Any, loss: Any, updater: Any) -> None:
        self.net, self.loss, self.updater = net, loss, updater

    def step(self, X: tf.Tensor, y: tf.Tensor) -> tuple[float, float]:
        with tf.GradientTape() as tape:
            is_net = isinstance(self.net, layers.Layer)
            y_hat = self.net(X, training=True) if is_net else self.net(X)  # (B, classes)
            keras_loss = isinstance(self.loss, keras.losses.Loss)  # those take the labels first
            losses = self.loss(y, y_hat) if keras_loss else self.loss(y_hat, y)  # (B,), or ()
            mean = tf.reduce_mean(losses)
        if isinstance(self.updater, keras.optimizers.Optimizer):
            variables = self.net.trainable_variables
            self.updater.apply_gradients(
                zip(tape.gradient(mean, variables), variables, strict=True)
            )
        else:
            self.updater(len(y), tape.gradient(losses, self.updater.params))
        return float(mean) * len(y), accuracy(y_hat, y)


def _predict(net: Any, X: tf.Tensor) -> tf.Tensor:
    return _backend.predict(net, X) if isinstance(net, layers.Layer) else net(X)


_chapter3 = Chapter3("tensorflow", _Trainer, _predict)


def evaluate_accuracy(net: Any, data_iter: Batches) -> float:
    """The share of examples in [0, 1] that a net, or a function of X, classifies rightly."""
    return _chapter3.evaluate(net, data_iter)


def train_epoch_ch3(net: Any, train_iter: Batches, loss: Any, updater: Any) -> tuple[float, float]:
    """One epoch of training. Returns the mean loss and the accuracy of its examples.

    ``net``: a Keras model, or a function of X; ``loss``: Keras' own, or a function of (y_hat, y) that
    gives one of each example; ``updater``: Keras' optimizer, or an `Updater`.
    """
    return _chapter3.train_epoch(net, train_iter, loss, updater)


def train_ch3(
    net: Any, train_iter: Batches, test_iter: Batches, loss: Any, num_epochs: int, updater: Any
) -> None:
    """Train as `train_epoch_ch3` does for some epochs; shows loss and accuracies."""
    _chapter3.train(net, train_iter, test_iter, loss, num_epochs, updater)


def predict_ch3(net: Any, test_iter: Batches, n: int = 6) -> None:
    """Show the first n test images with their labels, and below them what the net says."""
    _chapter3.show_predictions(net, test_iter, n)


# --- convolutional networks -----------------------------------------------------------------------


def evaluate_accuracy_gpu(net: Any, data_iter: Batches, device: Any = None) -> float:
    """`evaluate_accuracy`, the batches being put on a device; by default where the net is."""
    if not isinstance(net, layers.Layer):
        return evaluate_accuracy(net, data_iter)
    return train.evaluate(net, data_iter, _name(device))


def _name(device: Any) -> Any:
    """TensorFlow's name of a device that may be a ``tf.device``, which has no public one."""
    return getattr(device, "_device_name", device)


def train_ch6(
    net_fn: Callable[[], keras.Model],
    train_iter: Batches,
    test_iter: Batches,
    num_epochs: int,
    lr: float,
    device: Any = None,
) -> keras.Model:
    """Train the net that a function makes: `alexnet.train_ch6`, which tells more. Returns the net.

    From new initial weights, by plain SGD. ``device``: such as `try_gpu`'s answer, which is the default
    too. Shows loss and accuracies; ends with loss, accuracies and examples/sec in two lines. The net is
    compiled, so that its ``fit`` and ``evaluate`` can go on.
    """
    where = backends.resolve_device(_backend, "tensorflow", _name(device))
    with tf.device(where):  # Keras leaves a net where it was made
        net: Any = net_fn() if backends.owner(net_fn) is None else net_fn
    train.train_ch6(
        net,
        train_iter,
        test_iter,
        num_epochs,
        lr,
        where,
        backend="tensorflow",
        display=run_display(),
    )
    net.compile(
        optimizer=keras.optimizers.SGD(lr),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return net


class Residual(keras.Model):
    """ResNet's block: two 3×3 convolutions, and a path around them.

    (B, H, W, channels) to (B, H / strides, W / strides, num_channels). The path around is a 1×1
    convolution if ``use_1x1conv``, as it must be where the shape changes.

    Source: He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition.

    >>> Residual(6, use_1x1conv=True, strides=2)(tf.ones((4, 6, 6, 3))).shape
    TensorShape([4, 3, 3, 6])
    """

    def __init__(self, num_channels: int, use_1x1conv: bool = False, strides: int = 1) -> None:
        super().__init__()
        self.conv1 = layers.Conv2D(num_channels, 3, strides, padding="same")
        self.conv2 = layers.Conv2D(num_channels, 3, padding="same")
        self.conv3 = layers.Conv2D(num_channels, 1, strides) if use_1x1conv else None
        self.bn1 = layers.BatchNormalization()
        self.bn2 = layers.BatchNormalization()

    def call(self, X: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        Y = tf.nn.relu(self.bn1(self.conv1(X), training=training))
        Y = self.bn2(self.conv2(Y), training=training)
        return tf.nn.relu(Y + (X if self.conv3 is None else self.conv3(X)))


# --- small names that the book's text uses in every column ----------------------------------------

nn_Module = keras.Model
float32, int32 = tf.float32, tf.int32
ones, zeros, eye, arange, linspace = tf.ones, tf.zeros, tf.eye, tf.range, tf.linspace
tensor, normal, rand = tf.constant, tf.random.normal, tf.random.uniform
meshgrid, matmul, concat, stack = tf.meshgrid, tf.matmul, tf.concat, tf.stack
abs, exp, log = tf.abs, tf.exp, tf.math.log
sin, cos, sinh, cosh, tanh = tf.sin, tf.cos, tf.sinh, tf.cosh, tf.tanh
reshape, astype, transpose, argmax = tf.reshape, tf.cast, tf.transpose, tf.argmax
reduce_sum, reduce_mean = tf.reduce_sum, tf.reduce_mean


def numpy(x: tf.Tensor) -> Any:
    """The tensor's values as a NumPy array."""
    return _backend.to_numpy(x)


def size(x: tf.Tensor) -> int:
    """The number of elements."""
    return int(tf.size(x))


if not TYPE_CHECKING:  # a type checker would take every name for defined
    __getattr__ = refusing(__name__)

__all__ = [
    "Accumulator", "Animator", "Residual", "Timer", "Updater", "abs", "accuracy", "arange",
    "argmax", "astype", "concat", "corr2d", "cos", "cosh", "evaluate_accuracy",
    "evaluate_accuracy_gpu", "exp", "eye", "float32", "get_dataloader_workers",
    "get_fashion_mnist_labels", "int32", "linspace", "load_data_fashion_mnist", "log", "matmul",
    "meshgrid", "nn_Module", "normal", "numpy", "ones", "plot", "plt", "predict_ch3", "rand",
    "reduce_mean", "reduce_sum", "reshape", "set_axes", "set_figsize", "sgd", "show_images", "sin",
    "sinh", "size", "stack", "tanh", "tensor", "train_ch3", "train_ch6", "train_epoch_ch3",
    "transpose", "try_all_gpus", "try_gpu", "use_svg_display", "zeros",
]  # fmt: skip
