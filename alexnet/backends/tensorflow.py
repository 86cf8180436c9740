"""TensorFlow: ``tf.keras.Sequential`` (Keras 3), channels last as it prefers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
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
    """CUDA or ROCm. Memory is taken as it is needed, not all at once."""
    found = tf.config.list_physical_devices("GPU")
    for gpu in found:
        with suppress(RuntimeError):  # something is on it already: the user's own setting stands
            tf.config.experimental.set_memory_growth(gpu, True)
    return [f"/GPU:{i}" for i in range(len(found))]


gpus()  # sets how memory is taken, before anything is put on a GPU


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


def peak_gpu_memory(device: str) -> int | None:
    if "GPU" not in device:
        return None
    return tf.config.experimental.get_memory_info(device.lstrip("/"))["peak"]


# --- model ----------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("alexnet")
class LowPadding2D(layers.ZeroPadding2D):
    """Pads with the lowest number, so that padding never wins a maximum."""

    def call(self, inputs: Any) -> Any:
        sides = [(0, 0), *self.padding, (0, 0)]
        lowest = float(np.finfo(self.compute_dtype).min)
        return keras.ops.pad(inputs, sides, constant_values=lowest)


@keras.saving.register_keras_serializable("alexnet")
class LocalResponseNorm(layers.Layer):
    """Krizhevsky et al., 2012. Keras has no such layer."""

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
        # TensorFlow's operator takes neither double precision nor Keras' own symbols.
        squares = keras.ops.pad(x * x, [(0, 0), (0, 0), (0, 0), (half, half)])
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        return x * (self.k + self.alpha * total) ** -self.beta

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}
        return super().get_config() | own


class MaskedDropout(layers.Layer):
    """Dropout by a mask that it is given before the step, which is not compiled then."""

    mask: tf.Tensor

    def call(self, x: Any, training: bool = False) -> Any:
        if not training or isinstance(x, keras.KerasTensor):
            return x
        return x * tf.cast(self.mask, x.dtype)


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


def to_device(net: keras.Model, device: str) -> str:
    """Keras does not move variables: a net that has them stays, one that has none yet gets them here."""
    return device_of(net) if net.variables else device


def device_of(net: keras.Model) -> str:
    if not net.variables:
        return default_device()
    spec = tf.DeviceSpec.from_string(net.variables[0].value.device)
    return f"/{spec.device_type}:{spec.device_index}"


def _leaves(layer: layers.Layer) -> Iterator[layers.Layer]:
    """The layers that do the work, without containers and padding: one for each row of a spec."""
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
    """Each variable with its neutral key, and how it differs from the neutral layout.

    That is: the (H, W, C) in whose order its features come, where they come from a Flatten; and the
    order of axes that makes it neutral. Weights: (kh, kw, in, out) to (out, in, kh, kw); (in, out)
    to (out, in). Where the Flatten is in a model that is a class, the order of its features is not
    known, and stays the model's own.
    """
    image: Shape | None = None  # set from a Flatten on, until a Dense mixes the features
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
        weights[key] = _neutral(variable.numpy(), image, axes)
    return weights


def _neutral(value: np.ndarray, image: Shape | None, axes: tuple[int, ...] | None) -> np.ndarray:
    if image is not None:  # features in (H, W, C) order to (C, H, W)
        value = np.moveaxis(value.reshape(*image, -1), 2, 0).reshape(value.shape)
    return np.array(value.transpose(axes) if axes else value, order="C")


def set_weights(net: keras.Model, weights: Weights) -> None:
    for key, variable, image, axes in _variables(net):
        variable.assign(_own(weights[key], image, axes))


def _own(value: np.ndarray, image: Shape | None, axes: tuple[int, ...] | None) -> np.ndarray:
    """The reverse of `_neutral`."""
    if axes:
        value = value.transpose(np.argsort(axes))
    if image is not None:  # features in (C, H, W) order to (H, W, C)
        height, width, channels = image
        by_channel = value.reshape(channels, height, width, -1)
        value = np.moveaxis(by_channel, 0, 2).reshape(value.shape)
    return value


SUFFIX = ".keras"


def export(net: keras.Model, path: str) -> None:
    """The whole model. Where a layer is not Keras' own, the operations that it is made of."""
    if any(isinstance(layer, LowPadding2D | LocalResponseNorm) for layer in net.layers):
        x = inputs = keras.Input(net.input_shape[1:], dtype=net.inputs[0].dtype)
        for layer in net.layers:
            ours = isinstance(layer, LowPadding2D | LocalResponseNorm)
            x = layer.call(x) if ours else layer(x)
        net = keras.Model(inputs, x)
    net.save(path)


def seed(net: keras.Model, number: int) -> None:
    tf.random.set_seed(number)
    for index, layer in enumerate(_leaves(net)):
        if isinstance(layer, layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign([number, index])  # Keras draws from this, not from tf


def set_mask(net: keras.Model, index: int, mask: np.ndarray) -> None:
    list(_leaves(net))[index].mask = to_tensor(mask, device_of(net))


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Any, device: str) -> tf.Tensor:
    with tf.device(device):
        return tf.identity(tf.convert_to_tensor(array))


def images(pixels: np.ndarray, transform: ImageTransform, device: str) -> tf.Tensor:
    with tf.device(device):
        x = tf.cast(tf.convert_to_tensor(pixels), tf.float32)  # (B, 28, 28)
        return transform.apply(x, tf.convert_to_tensor)[..., None]  # (B, S, S, 1)


def to_numpy(tensor: tf.Tensor) -> np.ndarray:
    return tensor.numpy()


# --- training -------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, net: keras.Model, lr: float, momentum: float) -> None:
        self.net = net
        self.velocity_scale = -lr  # Keras keeps by how much the weights moved
        self.optimizer = keras.optimizers.SGD(lr, momentum)
        with tf.device(net.trainable_variables[0].value.device):
            self.optimizer.build(net.trainable_variables)
        self._compiled: Any = None
        # A graph would keep the first mask that it sees.
        self._eager = any(isinstance(layer, MaskedDropout) for layer in net.layers)

    def step(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self._eager:
            return self._step(X, y)
        if self._compiled is None:  # one graph for every batch size
            signature = [tf.TensorSpec((None, *t.shape[1:]), t.dtype) for t in (X, y)]
            self._compiled = tf.function(self._step).get_concrete_function(*signature)
        with tf.device(X.device):
            return self._compiled(X, y)

    def _step(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits, losses, gradients = _backward(self.net, X, y)
        self.optimizer.apply_gradients(zip(gradients, self.net.trainable_variables, strict=True))
        hits = tf.argmax(logits, axis=1, output_type=y.dtype) == y
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(hits, tf.int32))

    def get_velocity(self) -> Weights:
        return {
            key: _neutral(kept.numpy(), image, axes) for key, kept, image, axes in self._states()
        }

    def set_velocity(self, velocity: Weights) -> None:
        for key, kept, image, axes in self._states():
            kept.assign(_own(velocity[key], image, axes))

    def _states(self) -> Iterator[tuple[str, Any, Shape | None, tuple[int, ...] | None]]:
        """The optimizer's own variables, as `_variables` gives the net's; none without momentum."""
        learned = (v.path for v in self.net.trainable_variables)
        kept = dict(zip(learned, self.optimizer.momentums, strict=False))  # which may be none
        for key, variable, image, axes in _variables(self.net):
            if variable.path in kept:
                yield key, kept[variable.path], image, axes


def _backward(
    net: keras.Model, X: tf.Tensor, y: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Logits (B, classes), losses (B,) and the gradients of their mean, of a batch in training."""
    with tf.GradientTape() as tape:
        logits = net(X, training=True)  # (B, classes)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)  # (B,)
        loss = tf.reduce_mean(losses)
    return logits, losses, tape.gradient(loss, net.trainable_variables)


def gradients(net: keras.Model, X: tf.Tensor, y: tf.Tensor) -> tuple[float, Weights]:
    with tf.device(X.device):
        _, losses, found = _backward(net, X, y)
    by_path = {v.path: g for v, g in zip(net.trainable_variables, found, strict=True)}
    return float(tf.reduce_mean(losses)), {
        key: _neutral(by_path[variable.path].numpy(), image, axes)
        for key, variable, image, axes in _variables(net)
        if variable.trainable
    }


def predict(net: keras.Model, X: tf.Tensor) -> tf.Tensor:
    with tf.device(X.device):
        return net(X, training=False)
