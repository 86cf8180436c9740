"""Restores features of Keras 2 that the book's TensorFlow code needs and that Keras 3 does not have.

Some chapters of the book fail without these features. `alexnet.tensorflow` restores them when it is
imported. Code that does not use the features is not affected.
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
    """Restore the features. Later calls are no-ops."""
    _restore_list_layers()
    _restore_add_update()
    _restore_training_default()
    _restore_watch()


def _restore_list_layers() -> None:
    """Give a list in a layer, ``self.blocks = []``, the attribute ``layers`` (ResNet, DenseNet)."""
    holder = keras.layers.Layer()
    holder.blocks = []
    cls = type(holder.blocks)
    if not hasattr(cls, "layers"):
        cls.layers = property(list)


def _restore_add_update() -> None:
    """Add ``add_update`` as a no-op: in Keras 3 the assignment alone is enough (batch normalisation)."""
    if not hasattr(keras.layers.Layer, "add_update"):
        keras.layers.Layer.add_update = lambda self, updates: None


def _restore_training_default() -> None:
    """Make Keras pass ``training`` to ``call(self, inputs, training)`` (batch normalisation).

    Keras 3 passes it only if ``training`` has a default in the stored signature of ``call``.
    """
    original = keras.layers.Layer.__call__

    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        # None if the layer did not call super().__init__(); then Keras raises its own error below.
        signature: Any = getattr(self, "_call_signature", None)
        training = signature.parameters.get("training") if signature is not None else None
        if training is not None and training.default is inspect.Parameter.empty:
            parameters = dict(signature.parameters)
            parameters["training"] = training.replace(default=False)
            with contextlib.suppress(ValueError):  # a parameter without a default follows
                self._call_signature = signature.replace(parameters=parameters.values())
        return original(self, *args, **kwargs)

    keras.layers.Layer.__call__ = __call__


def _restore_watch() -> None:
    """Let ``tape.watch(layer.weights[0])`` accept a Keras variable (convolution for images)."""
    original = tf.GradientTape.watch

    @functools.wraps(original)
    def watch(self: tf.GradientTape, tensor: Any) -> None:
        original(self, tf.nest.map_structure(_tensor, tensor))

    tf.GradientTape.watch = watch


def _tensor(value: Any) -> Any:
    """Return the TensorFlow value of a Keras variable, and any other value unchanged."""
    return value.value if isinstance(value, keras.Variable) else value
