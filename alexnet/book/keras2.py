"""What the book's TensorFlow cells, which were written for Keras 2, miss in Keras 3.

Each of these stops a chapter of the book. They are put back when `alexnet.tensorflow` is imported, and
do nothing for cells that do not use them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any

import keras
import tensorflow as tf


@functools.cache
def put_back() -> None:
    """Put them back, once."""
    _layers_of_a_list()
    _updates()
    _training_without_a_default()
    _watching_a_weight()


def _layers_of_a_list() -> None:
    """ResNet and DenseNet: ``self.blocks = []`` in a layer was a list with ``layers``."""
    holder = keras.layers.Layer()
    holder.blocks = []
    cls = type(holder.blocks)
    if not hasattr(cls, "layers"):
        cls.layers = property(list)


def _updates() -> None:
    """Batch normalisation: ``self.add_update(variable.assign(…))``; the assignment is enough now."""
    if not hasattr(keras.layers.Layer, "add_update"):
        keras.layers.Layer.add_update = lambda self, updates: None


def _training_without_a_default() -> None:
    """Batch normalisation: ``call(self, inputs, training)``; Keras 2 filled in ``training``.

    Keras 3 does too, once the signature that it keeps of ``call`` says that it may be missing.
    """
    original = keras.layers.Layer.__call__

    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        signature: Any = getattr(
            self, "_call_signature", None
        )  # None: Keras says what was forgotten
        training = signature.parameters.get("training") if signature is not None else None
        if training is not None and training.default is inspect.Parameter.empty:
            parameters = dict(signature.parameters)
            parameters["training"] = training.replace(default=False)
            with contextlib.suppress(ValueError):  # others without a default come after it
                self._call_signature = signature.replace(parameters=parameters.values())
        return original(self, *args, **kwargs)

    keras.layers.Layer.__call__ = __call__


def _watching_a_weight() -> None:
    """Convolution for images: ``tape.watch(layer.weights[0])``, which is no tf.Variable now."""
    original = tf.GradientTape.watch

    @functools.wraps(original)
    def watch(self: tf.GradientTape, tensor: Any) -> None:
        original(self, tf.nest.map_structure(_tensor, tensor))

    tf.GradientTape.watch = watch


def _tensor(value: Any) -> Any:
    return value.value if isinstance(value, keras.Variable) else value
