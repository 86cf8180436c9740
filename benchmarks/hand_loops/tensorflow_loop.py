"""The best hand-written training loop of TensorFlow. It does not use this project.

    python benchmarks/hand_loops/tensorflow_loop.py --net alexnet --batch-size 128 --steps 5

- shuffle, batch, a vectorised map, prefetch: https://www.tensorflow.org/guide/data_performance
- the whole step is one graph: https://www.tensorflow.org/guide/function
- mixed precision: https://keras.io/api/mixed_precision/
- TF32: https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_tensor_float_32_execution
"""

from __future__ import annotations

import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIZES = {"alexnet": 224, "lenet": 28}  # pixels per side


def build(net: str, dtype: str = "float32") -> keras.Sequential:
    """Return a net with Keras' own initial weights. ``dtype``: the policy of its layers."""
    size = SIZES[net]
    rows = [
        layers.Conv2D(6, 5, padding="same", activation="sigmoid"), layers.AveragePooling2D(2),  # 14×14×6
        layers.Conv2D(16, 5, activation="sigmoid"), layers.AveragePooling2D(2),  # 5×5×16
        layers.Flatten(),
        layers.Dense(120, activation="sigmoid"),
        layers.Dense(84, activation="sigmoid"),
        layers.Dense(10),
    ] if net == "lenet" else [
        layers.ZeroPadding2D(1),
        layers.Conv2D(96, 11, strides=4, activation="relu"),
        layers.MaxPooling2D(3, strides=2),  # 26×26×96
        layers.Conv2D(256, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(3, strides=2),  # 12×12×256
        layers.Conv2D(384, 3, padding="same", activation="relu"),
        layers.Conv2D(384, 3, padding="same", activation="relu"),
        layers.Conv2D(256, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(3, strides=2),  # 5×5×256
        layers.Flatten(),
        layers.Dense(4096, activation="relu"), layers.Dropout(0.5),
        layers.Dense(4096, activation="relu"), layers.Dropout(0.5),
        layers.Dense(10),
    ]  # fmt: skip
    for layer in rows:
        layer.dtype_policy = keras.DTypePolicy(dtype)
    return keras.Sequential([keras.Input((size, size, 1)), *rows])


def batches(images: np.ndarray, labels: np.ndarray, size: int, batch_size: int) -> tf.data.Dataset:
    """Return shuffled batches: float32 (B, size, size, 1) in [0, 1], int64 (B,)."""

    def prepare(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.cast(x[..., None], tf.float32) / 255  # (B, 28, 28, 1)
        return tf.image.resize(x, (size, size)) if size != 28 else x, y

    with tf.device("/CPU:0"):
        data = tf.data.Dataset.from_tensor_slices((images, labels))
        data = data.shuffle(len(labels)).batch(batch_size)
        return data.map(prepare, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def train(
    images: np.ndarray,
    labels: np.ndarray,
    net: str = "alexnet",
    batch_size: int = 128,
    steps: int = 5,
    precision: str = "float32",
    device: str = "cpu",
    lr: float = 0.01,
) -> float:
    """Train for one step and ``steps`` timed steps. Return the examples per second of the timed steps."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    with tf.device("/GPU:0" if device == "gpu" else "/CPU:0"):
        model = build(net, "mixed_bfloat16" if precision == "bfloat16" else "float32")
        optimizer = keras.optimizers.SGD(lr)
        optimizer.build(model.trainable_variables)
        loss_sum, correct = tf.Variable(0.0), tf.Variable(0.0)

    @tf.function(reduce_retracing=True)
    def step_on(x: tf.Tensor, y: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            logits = tf.cast(model(x, training=True), tf.float32)  # (B, 10)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)  # (B,)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        loss_sum.assign_add(tf.reduce_sum(losses))
        correct.assign_add(tf.reduce_sum(tf.cast(tf.argmax(logits, axis=1) == y, tf.float32)))

    examples, begun = 0, 0.0
    for step, (x, y) in enumerate(batches(images, labels, SIZES[net], batch_size)):
        step_on(x, y)
        if step == 0:
            loss_sum.numpy()  # waits for the device
            begun = time.perf_counter()
            continue
        examples += len(y)
        if step == steps:
            break
    loss_sum.numpy(), correct.numpy()
    seconds = time.perf_counter() - begun
    tf.config.experimental.enable_tensor_float_32_execution(before)
    return examples / seconds


if __name__ == "__main__":
    from command import main

    main(train)
