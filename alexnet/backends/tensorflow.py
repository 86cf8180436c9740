"""The TensorFlow backend: nets are ``keras.Sequential`` (Keras 3) with images (B, H, W, C).

`alexnet.backends.interface` documents each function.
Layers: https://keras.io/api/layers/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from alexnet.backends.calls import Call
from alexnet.backends.registry import tensorflow as registry
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet, Shape
from alexnet.spec.weights import Weights

ENTRY = registry.ENTRY


def version() -> str:
    return tf.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[str]:
    """Return the CUDA or ROCm GPUs. Make TensorFlow allocate their memory as needed, not all at once."""
    physical = tf.config.get_visible_devices("GPU")
    for gpu in physical:
        with suppress(RuntimeError):  # the GPU is already in use: keep the current setting
            tf.config.experimental.set_memory_growth(gpu, True)
    return [f"/GPU:{i}" for i in range(len(physical))]


gpus()  # sets memory growth before anything is placed on a GPU


def gpu_build() -> str | None:
    build = tf.sysconfig.get_build_info()
    if build.get("is_cuda_build"):
        return f"CUDA {build.get('cuda_version', '')}".rstrip()
    return "ROCm" if build.get("is_rocm_build") else None


def cpu() -> str:
    return "/CPU:0"


def default_device() -> str:
    return (gpus() or [cpu()])[0]


def synchronize(device: str) -> None:
    if "GPU" in device:
        tf.test.experimental.sync_devices()


def precisions(device: str) -> tuple[str, ...]:
    if "GPU" not in device:
        return ("bfloat16",)
    gpu = tf.config.get_visible_devices("GPU")[int(device.rpartition(":")[2])]
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
    return ("bfloat16", "tf32") if capability >= (8, 0) else ()


def peak_gpu_memory(device: str) -> int | None:
    if "GPU" not in device:
        return None
    return tf.config.experimental.get_memory_info(device.lstrip("/"))["peak"]


# --- model ----------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("alexnet")
class LowPadding2D(layers.ZeroPadding2D):
    """Padding with the lowest number, so that padding is never the maximum."""

    def call(self, inputs: Any) -> Any:
        sides = [(0, 0), *self.padding, (0, 0)]
        lowest = float(np.finfo(self.compute_dtype).min)
        return keras.ops.pad(inputs, sides, constant_values=lowest)


@keras.saving.register_keras_serializable("alexnet")
class LocalResponseNorm(layers.Layer):
    """Local response normalisation: Krizhevsky et al. (2012), section 3.3.

    Keras has no such layer.
    """

    def __init__(
        self,
        size: int,
        alpha: float,
        beta: float,
        k: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def call(self, x: Any) -> Any:  # (B, H, W, C)
        half, channels = self.size // 2, x.shape[-1]
        if isinstance(x, tf.Tensor) and x.dtype == tf.float32:
            operator = tf.nn.local_response_normalization
            return operator(x, half, self.k, self.alpha, self.beta)
        # TensorFlow's operator supports neither float64 nor Keras' symbolic tensors.
        squares = keras.ops.pad(x * x, [(0, 0), (0, 0), (0, 0), (half, half)])
        total = sum(squares[..., i : i + channels] for i in range(self.size))  # like x
        return x * (self.k + self.alpha * total) ** -self.beta

    def get_config(self) -> dict[str, Any]:
        args = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
        return super().get_config() | args


class MaskedDropout(layers.Layer):
    """Dropout that multiplies by a mask set before the step (`alexnet.backends.dropout_masks`)."""

    def __init__(self, rate: float, shape: Shape, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = 1 / (1 - rate)
        empty = tf.zeros((0, *shape), tf.uint8)  # one mask for any batch size, so one graph
        self.mask = tf.Variable(empty, trainable=False, shape=(None, *shape))  # 0 or 1

    def call(self, x: Any) -> Any:
        if isinstance(x, keras.KerasTensor):
            return x
        return x * (tf.cast(self.mask, x.dtype) * self.scale)


def render(net: ResolvedNet, calls: Iterable[Call], device: str, dtype: str) -> keras.Sequential:
    channels, *sizes = net.input_shape
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        with tf.device(device):
            rows = [call.evaluate(globals()) for call in calls]
            return keras.Sequential([keras.Input((*sizes, channels), dtype=dtype), *rows])
    finally:
        keras.config.set_dtype_policy(policy)


def with_masks(net: keras.Sequential) -> keras.Sequential:
    with tf.device(device_of(net)):
        rows = [
            MaskedDropout(layer.rate, layer.input.shape[1:], dtype=layer.dtype_policy)
            if isinstance(layer, layers.Dropout)
            else layer
            for layer in net.layers
        ]
        return keras.Sequential(
            [keras.Input(net.input_shape[1:], dtype=net.inputs[0].dtype), *rows]
        )


@contextmanager
def computing_in(net: keras.Model, precision: str) -> Iterator[None]:
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    layers = list(net._flatten_layers(include_self=False))
    policies = [layer.dtype_policy for layer in layers]
    try:
        if precision == "bfloat16":  # the first step traces the graph with these policies
            for layer in layers:
                layer.dtype_policy = "mixed_bfloat16"
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy


def to_device(net: keras.Model, device: str) -> str:
    """Return the device of the net's variables, or ``device`` if it has no variables yet.

    Keras cannot move existing variables. A net without variables creates them on ``device`` later.
    """
    return device_of(net) if net.variables else device


def device_of(net: keras.Model) -> str:
    if not net.variables:
        return default_device()
    spec = tf.DeviceSpec.from_string(net.variables[0].value.device)
    return f"/{spec.device_type}:{spec.device_index}"


def _leaves(layer: layers.Layer) -> Iterator[layers.Layer]:
    """Yield the layers of a net without containers and padding: one layer for each row of the table."""
    for inner in layer._layers:
        if inner._layers:
            yield from _leaves(inner)
        elif not isinstance(inner, layers.ZeroPadding2D | layers.InputLayer):
            yield inner


NEUTRAL_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def _variables(net: keras.Model) -> Iterator[tuple[str, Any, Shape | None, tuple[int, ...] | None]]:
    """Yield each variable as (neutral key, variable, image shape, axes).

    `_to_neutral` uses the image shape and the axes:

    - image shape: (H, W, C) if the variable's features come from a Flatten of such an image, else None.
      For a Flatten inside a subclassed Keras model it is unknown; the features then keep their order.
    - axes: the transposition to the neutral layout, or None. Convolutions: (kh, kw, in, out) to
      (out, in, kh, kw). Dense layers: (in, out) to (out, in).
    """
    image: Shape | None = None  # set by a Flatten; reset by a Dense, which mixes the features
    for index, layer in enumerate(_leaves(net)):
        if isinstance(layer, layers.Flatten) and layer._inbound_nodes:
            flattened = tuple(layer.input.shape[1:])
            image = flattened if len(flattened) == 3 else image
        for v in layer.weights:
            name = v.name.split("/")[-1]
            axes = {2: (1, 0), 4: (3, 2, 0, 1)}.get(len(v.shape)) if name == "kernel" else None
            from_image = image is not None and v.shape and v.shape[0] == np.prod(image)
            of_outputs = name == "bias" and isinstance(layer, layers.Dense)
            features = image if from_image and not of_outputs else None
            yield f"{index}.{NEUTRAL_NAMES.get(name, name)}", v, features, axes
        if isinstance(layer, layers.Dense):
            image = None


def get_weights(net: keras.Model) -> Weights:
    weights = {}
    for key, variable, image, axes in _variables(net):
        weights[key] = _to_neutral(variable.numpy(), image, axes)
    return weights


def _to_neutral(value: np.ndarray, image: Shape | None, axes: tuple[int, ...] | None) -> np.ndarray:
    """Return a copy of an array in the neutral layout."""
    if image is not None:  # features: (H, W, C) order to (C, H, W) order
        value = np.moveaxis(value.reshape(*image, -1), 2, 0).reshape(value.shape)
    return np.array(value.transpose(axes) if axes else value, order="C")


def set_weights(net: keras.Model, weights: Weights) -> None:
    for key, variable, image, axes in _variables(net):
        variable.assign(_from_neutral(weights[key], image, axes))


def _from_neutral(
    value: np.ndarray, image: Shape | None, axes: tuple[int, ...] | None
) -> np.ndarray:
    """Return an array of the neutral layout in Keras' layout: the inverse of `_to_neutral`."""
    if axes:
        value = value.transpose(np.argsort(axes))
    if image is not None:  # features: (C, H, W) order to (H, W, C) order
        height, width, channels = image
        by_channel = value.reshape(channels, height, width, -1)  # (C, H, W, out)
        value = np.moveaxis(by_channel, 0, 2).reshape(value.shape)  # (H*W*C, …)
    return value


SUFFIX = ".keras"


def export(net: keras.Model, path: str) -> None:
    """Write a file that ``keras.models.load_model`` reads.

    Layers of this file are replaced by the operations that they consist of, so that Keras can load them.
    """
    if any(isinstance(layer, LowPadding2D | LocalResponseNorm) for layer in net.layers):
        x = inputs = keras.Input(net.input_shape[1:], dtype=net.inputs[0].dtype)
        for layer in net.layers:
            is_custom = isinstance(layer, LowPadding2D | LocalResponseNorm)
            x = layer.call(x) if is_custom else layer(x)
        net = keras.Model(inputs, x)
    net.save(path)


def seed(net: keras.Model, number: int) -> None:
    tf.random.set_seed(number)
    for index, layer in enumerate(_leaves(net)):
        if isinstance(layer, layers.Dropout) and layer.rate > 0:
            # Keras draws from this state, not from TensorFlow's global generator.
            layer.seed_generator.state.assign([number, index])


def set_mask(net: keras.Model, index: int, mask: np.ndarray) -> None:
    list(_leaves(net))[index].mask.assign(mask)


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Any, device: str) -> tf.Tensor:
    with tf.device(device):
        return tf.identity(tf.convert_to_tensor(array))


def take(tensor: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    return tf.gather(tensor, indices)


def images(pixels: Any, transform: ImageTransform, device: str) -> tf.Tensor:
    with tf.device(device):
        x = tf.cast(tf.convert_to_tensor(pixels), tf.float32)  # (B, H, W)
        x = transform.apply(x, tf.convert_to_tensor)  # (B, S, S)
        return tf.expand_dims(x, -1)  # (B, S, S, 1)


def to_numpy(tensor: tf.Tensor) -> np.ndarray:
    return tensor.numpy()


def read(scalars: Sequence[tf.Tensor]) -> list[float]:
    return tf.stack(list(scalars)).numpy().tolist()


# --- training -------------------------------------------------------------------------------------


class SGD(keras.optimizers.SGD):
    """SGD whose momentum may change from step to step, in one graph."""

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        self.decay = tf.Variable(self.momentum, trainable=False, dtype=tf.float64)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.momentum:
            return super().update_step(gradient, variable, learning_rate)
        buffer = self.momentums[self._get_variable_index(variable)]
        decay, learning_rate = (tf.cast(x, variable.dtype) for x in (self.decay, learning_rate))
        self.assign(buffer, buffer * decay - gradient * learning_rate)
        if self.nesterov:
            return self.assign_add(variable, buffer * self.momentum - gradient * learning_rate)
        return self.assign_add(variable, buffer)


class Trainer:
    """SGD with momentum on the mean softmax cross-entropy: v = momentum * v - lr * grad; w += v.

    Nesterov: w += momentum * v - lr * grad.
    """

    def __init__(
        self, net: keras.Model, lr: float, momentum: float, nesterov: bool = False
    ) -> None:
        self.net, self.lr, self.momentum = net, lr, momentum
        self.velocity_scale = -lr  # Keras' momentum buffer holds the last change of the weights
        self.rescale = 1.0  # of the buffer in the graph
        self.optimizer = SGD(lr, momentum, nesterov)
        with tf.device(net.trainable_variables[0].value.device):
            self.optimizer.build(net.trainable_variables)
        self._compiled: Any = None

    def step(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The buffer holds the learning rate of the last step.
        rescale = -self.lr / self.velocity_scale
        if rescale != self.rescale:
            self.optimizer.decay.assign(self.momentum * rescale)
            self.rescale = rescale
        self.velocity_scale = -self.lr
        if self._compiled is None:  # compile once, for all batch sizes
            signature = [tf.TensorSpec((None, *t.shape[1:]), t.dtype) for t in (X, y)]
            self._compiled = tf.function(self._step).get_concrete_function(*signature)
        with tf.device(X.device):
            return self._compiled(X, y)

    def _step(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits, losses, gradients = self.backward(X, y)
        self.optimizer.apply_gradients(zip(gradients, self.net.trainable_variables, strict=True))
        hits = tf.argmax(logits, axis=1, output_type=y.dtype) == y
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(hits, tf.int32))

    def backward(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Run `backward`, in the graph of a step. A data-parallel run also adds up the gradients."""
        return backward(self.net, X, y)

    def set_lr(self, lr: float) -> None:
        self.lr = lr
        self.optimizer.learning_rate.assign(lr)

    def get_velocity(self) -> Weights:
        return {
            key: _to_neutral(buffer.numpy(), image, axes)
            for key, buffer, image, axes in self._states()
        }

    def set_velocity(self, velocity: Weights) -> None:
        for key, buffer, image, axes in self._states():
            buffer.assign(_from_neutral(velocity[key], image, axes))

    def _states(self) -> Iterator[tuple[str, Any, Shape | None, tuple[int, ...] | None]]:
        """Yield the momentum buffers in the form of `_variables`. Without momentum, yield nothing."""
        paths = (v.path for v in self.net.trainable_variables)
        # Not strict: without momentum the optimizer has no buffers.
        buffers = dict(zip(paths, self.optimizer.momentums, strict=False))
        for key, variable, image, axes in _variables(self.net):
            if variable.path in buffers:
                yield key, buffers[variable.path], image, axes


def backward(
    net: keras.Model, X: tf.Tensor, y: tf.Tensor, scale: Any = None
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Run a mini-batch forward and backward in training mode.

    Return the logits (B, classes), the losses (B,), and the gradients of the mean loss. ``scale``, a scalar
    of any float type, multiplies the gradients.
    """
    with tf.GradientTape() as tape:
        logits = net(X, training=True)  # (B, classes)
        if logits.dtype == tf.bfloat16:  # the loss needs float32
            logits = tf.cast(logits, tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)  # (B,)
        loss = tf.reduce_mean(losses)
        if scale is not None:
            loss *= tf.cast(scale, loss.dtype)
    return logits, losses, tape.gradient(loss, net.trainable_variables)


class Passes:
    """The forward and the backward pass of a net in training mode, without a loss."""

    def __init__(self, net: keras.Model, input_gradient: bool) -> None:
        self.net, self.input_gradient = net, input_gradient
        self._compiled = tf.function(lambda X: net(X, training=True))  # with its backward pass

    def forward(self, X: tf.Tensor) -> tf.Tensor:
        with tf.device(X.device), tf.GradientTape() as self.tape:
            if self.input_gradient:
                self.tape.watch(X)
            self.X, self.y = X, self._compiled(X)
        return self.y

    def backward(self, dy: tf.Tensor) -> list[tf.Tensor]:
        wanted = [*([self.X] if self.input_gradient else []), *self.net.trainable_variables]
        with tf.device(dy.device):
            return self.tape.gradient(self.y, wanted, output_gradients=dy)


def gradients(net: keras.Model, X: tf.Tensor, y: tf.Tensor) -> tuple[float, Weights]:
    with tf.device(X.device):
        _, losses, grads = backward(net, X, y)
    by_path = {v.path: g for v, g in zip(net.trainable_variables, grads, strict=True)}
    return float(tf.reduce_mean(losses)), {
        key: _to_neutral(by_path[variable.path].numpy(), image, axes)
        for key, variable, image, axes in _variables(net)
        if variable.trainable
    }


def predict(net: keras.Model, X: tf.Tensor) -> tf.Tensor:
    with tf.device(X.device), computing_in(net, "float32"):
        return net(X, training=False)
