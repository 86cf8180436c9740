"""The names that the book's TensorFlow code uses: ``from alexnet import tensorflow as d2l``.

The names cover the chapters on image classification, softmax regression, multilayer perceptrons, LeNet and
modern convolutional networks. Arguments and meaning are as in the book. This library does the work:
`load_data_fashion_mnist` calls `alexnet.load_fashion_mnist`, and `train_ch6` calls `alexnet.train_ch6`.

Source: https://zh.d2l.ai
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from alexnet import backends, train
from alexnet.book.chapter3 import Chapter3
from alexnet.book.names import numpy
from alexnet.book.other_chapters import refusing
from alexnet.book.plots import (
    Animator,
    book_callback,
    plot,
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
from alexnet.errors import RunError
from alexnet.training.loop import Batches

_backend = backends.load("tensorflow")  # prepares the process, so it comes before the import

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
    """Return Fashion-MNIST as datasets ``(train_iter, test_iter)``. See `alexnet.load_fashion_mnist`.

    X is float32 (B, 28, 28, 1), or (B, resize, resize, 1), in [0, 1]. y is int32 (B,). Both are on the CPU.
    Keras' ``fit`` and ``evaluate`` accept the datasets. Every epoch shuffles the training examples again.
    Raises DataError for bad values, and for image files that are missing or damaged.

    >>> train_iter, test_iter = load_data_fashion_mnist(256)  # doctest: +SKIP
    """
    train_iter, test_iter = load_fashion_mnist(
        batch_size, resize, backend="tensorflow", device="cpu"
    )
    return _dataset(train_iter), _dataset(test_iter)


def _dataset(loader: ImageLoader) -> tf.data.Dataset:
    """Return the loader's batches as a dataset. Only the order of an epoch is computed in Python."""
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
    dataset = batches.apply(tf.data.experimental.assert_cardinality(len(loader))).prefetch(1)
    # train_ch6 uses the loader, and so starts with the first epoch's order even after other iterations.
    dataset.loader = loader
    return dataset


def try_gpu(i: int = 0) -> Any:
    """Return GPU number i, or the CPU if it is not found: a ``tf.device`` for ``with`` and `train_ch6`.

    >>> with try_gpu(99):
    ...     tf.ones(2).device[-5:]
    'CPU:0'
    """
    return tf.device(backends.try_gpu(i, "tensorflow"))


def try_all_gpus() -> list[Any]:
    """Return a list of all GPUs, or of the CPU alone if no GPU is found, each a ``tf.device``."""
    return [tf.device(name) for name in _backend.gpus() or [_backend.cpu()]]


# --- softmax regression ---------------------------------------------------------------------------


def sgd(
    params: Iterable[tf.Variable], grads: Iterable[tf.Tensor], lr: float, batch_size: int
) -> None:
    """Update ``params`` in place by a step of SGD. ``grads``: the gradients, summed over a batch.

    >>> w = tf.Variable([1.0, 1.0])
    >>> sgd([w], [tf.constant([3.0, 3.0])], lr=0.1, batch_size=2)
    >>> w.numpy()
    array([0.85, 0.85], dtype=float32)
    """
    for param, grad in zip(params, grads, strict=True):
        param.assign_sub(lr * grad / batch_size)


class Updater:
    """An updater for `train_ch3` that calls `sgd`.

    ``params``: variables; ``lr``: learning rate.
    """

    def __init__(self, params: list[tf.Variable], lr: float) -> None:
        self.params, self.lr = params, lr

    def __call__(self, batch_size: int, grads: list[tf.Tensor]) -> None:
        sgd(self.params, grads, self.lr, batch_size)


def _step(net: Any, loss: Any, updater: Any, X: tf.Tensor, y: tf.Tensor) -> tuple[float, float]:
    """Take a training step with the reader's own net, loss and updater (see `Chapter3`)."""
    with tf.GradientTape() as tape:
        is_net = isinstance(net, layers.Layer)
        y_hat = net(X, training=True) if is_net else net(X)  # (B, classes)
        keras_loss = isinstance(loss, keras.losses.Loss)  # a Keras loss takes the labels first
        losses = loss(y, y_hat) if keras_loss else loss(y_hat, y)  # (B,), or ()
        mean = tf.reduce_mean(losses)
    if isinstance(updater, keras.optimizers.Optimizer):
        variables = net.trainable_variables
        updater.apply_gradients(zip(tape.gradient(mean, variables), variables, strict=True))
    else:
        updater(len(y), tape.gradient(losses, updater.params))
    return float(mean) * len(y), accuracy(y_hat, y)


def _predict(net: Any, X: tf.Tensor) -> tf.Tensor:
    return net(X, training=False) if isinstance(net, layers.Layer) else net(X)


_chapter3 = Chapter3(_backend, _step, _predict)
evaluate_accuracy = _chapter3.evaluate_accuracy
train_epoch_ch3, train_ch3 = _chapter3.train_epoch_ch3, _chapter3.train_ch3
predict_ch3 = _chapter3.predict_ch3

# --- convolutional networks -----------------------------------------------------------------------


def evaluate_accuracy_gpu(net: Any, data_iter: Batches, device: Any = None) -> float:
    """Return `evaluate_accuracy` with the batches moved to a device.

    By default, TensorFlow chooses the device.
    """
    if device is None:
        return evaluate_accuracy(net, data_iter)
    return _chapter3.evaluate_accuracy_gpu(net, _loader(data_iter), _neutral(device))


def _neutral(device: Any) -> Any:
    """Return a ``tf.device`` as text: cpu:0, gpu:1, … Return anything else unchanged."""
    name = getattr(device, "_device_name", None)  # no public attribute gives it
    if name is None:
        return device
    spec = tf.DeviceSpec.from_string(name)
    return f"{spec.device_type.lower()}:{spec.device_index or 0}"


def _loader(batches: Batches) -> Batches:
    """Return the loader of a dataset from `load_data_fashion_mnist`, and other batches unchanged."""
    return getattr(batches, "loader", batches)


def train_ch6(
    net_fn: Callable[[], keras.Model],
    train_iter: Batches,
    test_iter: Batches,
    num_epochs: int,
    lr: float,
    device: Any = None,
) -> keras.Model:
    """Train a net with plain SGD from new initial weights. See `alexnet.train_ch6` for details.

    ``net_fn``: a function that creates a net, which is then returned. ``num_epochs``: at least 1. ``lr``:
    above 0. ``device``: for example `try_gpu()`, which is also the default. Shows loss and accuracies.
    At the end, prints loss, accuracies and examples/sec in two lines. The returned net is compiled, so its
    ``fit`` and ``evaluate`` can be called. Raises RunError, DataError or BackendError for arguments that
    cannot be used.

    >>> net = train_ch6(net_fn, train_iter, test_iter, 10, 0.9, try_gpu())  # doctest: +SKIP
    loss 0.469, train acc 0.823, test acc 0.779
    """
    where = backends.resolve_device(_backend, _neutral(device))
    net: Any = net_fn
    if backends.owner(net_fn) is None and callable(net_fn):
        with tf.device(where):  # Keras keeps a net on the device where it is created
            net = net_fn()
    if backends.owner(net) == "tensorflow" and not isinstance(net, keras.Model):
        raise RunError(
            f"net_fn must be a function that returns a keras.Model, got {type(net).__name__}"
        )
    loaders = _loader(train_iter), _loader(test_iter)
    history = train.train_ch6(
        net, *loaders, num_epochs, lr, where, backend="tensorflow", callback=book_callback()
    )
    history.net.compile(
        optimizer=keras.optimizers.SGD(lr),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return history.net


class TrainCallback(keras.callbacks.Callback):
    """A Keras callback that shows the reader's own ``fit`` as `train_ch6` shows its runs.

    After each epoch it evaluates the net and adds a point to an `Animator`. After the last epoch it prints
    loss, accuracies and examples/sec. The net must be compiled with ``metrics=["accuracy"]``.
    """

    def __init__(
        self,
        net: keras.Model,
        train_iter: tf.data.Dataset,
        test_iter: tf.data.Dataset,
        num_epochs: int,
        device_name: Any,
    ) -> None:
        super().__init__()
        self.net, self.train_iter, self.test_iter = net, train_iter, test_iter
        self.num_epochs, self.device_name = num_epochs, device_name
        self.timer = Timer()
        legend = ["train loss", "train acc", "test acc"]
        self.animator = Animator(xlabel="epoch", xlim=[1, num_epochs], legend=legend)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.timer.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.timer.stop()
        tested = self.net.evaluate(self.test_iter, verbose=0, return_dict=True)
        self.animator.add(epoch + 1, (logs["loss"], logs["accuracy"], tested["accuracy"]))
        if epoch + 1 == self.num_epochs:
            loader = _loader(self.train_iter)
            if isinstance(loader, ImageLoader):
                examples = loader.num_examples
            else:
                examples = sum(len(y) for _, y in loader)
            print(
                f"loss {logs['loss']:.3f}, train acc {logs['accuracy']:.3f}, "
                f"test acc {tested['accuracy']:.3f}\n"
                f"{examples / self.timer.avg():.1f} examples/sec on {self.device_name}"
            )


class Residual(keras.Model):
    """The residual block of ResNet: two 3×3 convolutions and a shortcut around them.

    Maps (B, H, W, channels) to (B, H / strides, W / strides, num_channels). ``use_1x1conv`` puts a
    1×1 convolution into the shortcut, which is needed if the shape changes.

    Source: He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition;
    section 7.6 of https://zh.d2l.ai.

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


# --- short names, the same in every column --------------------------------------------------------

nn_Module = keras.Model
float32, int32 = tf.float32, tf.int32
ones, zeros, eye, arange, linspace = tf.ones, tf.zeros, tf.eye, tf.range, tf.linspace
tensor, normal, rand = tf.constant, tf.random.normal, tf.random.uniform
meshgrid, matmul, concat, stack = tf.meshgrid, tf.matmul, tf.concat, tf.stack
abs, exp, log = tf.abs, tf.exp, tf.math.log
sin, cos, sinh, cosh, tanh = tf.sin, tf.cos, tf.sinh, tf.cosh, tf.tanh
reshape, astype, transpose, argmax = tf.reshape, tf.cast, tf.transpose, tf.argmax
reduce_sum, reduce_mean = tf.reduce_sum, tf.reduce_mean


def size(x: tf.Tensor) -> int:
    """Return the number of elements."""
    return int(tf.size(x))


if not TYPE_CHECKING:  # with __getattr__, a type checker would accept every name
    __getattr__ = refusing(__name__)

__all__ = [
    "Accumulator", "Animator", "Residual", "Timer", "TrainCallback", "Updater", "abs", "accuracy", "arange",
    "argmax", "astype", "concat", "corr2d", "cos", "cosh", "evaluate_accuracy",
    "evaluate_accuracy_gpu", "exp", "eye", "float32", "get_dataloader_workers",
    "get_fashion_mnist_labels", "int32", "linspace", "load_data_fashion_mnist", "log", "matmul",
    "meshgrid", "nn_Module", "normal", "numpy", "ones", "plot", "plt", "predict_ch3", "rand",
    "reduce_mean", "reduce_sum", "reshape", "set_axes", "set_figsize", "sgd", "show_images", "sin",
    "sinh", "size", "stack", "tanh", "tensor", "train_ch3", "train_ch6", "train_epoch_ch3",
    "transpose", "try_all_gpus", "try_gpu", "use_svg_display", "zeros",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
