"""The interface between this library and a framework: what the file of each backend provides.

The interface covers a model and a training step, not single tensor operations. A new framework needs one
new file with these names, and one entry in `alexnet.backends.registry`.

Terms used below. "Neutral layout": NumPy arrays under the keys ``"<index>.<name>"``, in the order of axes
that `alexnet.spec.weights` describes. "Framework's layout": images (B, C, H, W), or (B, H, W, C) where
``ENTRY.channels_last`` is true. "Device": a device object of the framework.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from alexnet.backends.calls import Call
from alexnet.backends.entry import Framework
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet
from alexnet.spec.weights import Weights


class Trainer(Protocol):
    """SGD with momentum on the mean softmax cross-entropy of the logits; momentum 0 is plain SGD.

    v = momentum * v + grad; w -= lr * v. With ``nesterov``: w -= lr * (grad + momentum * v), with the new
    v. The caller has checked that ``nesterov`` comes with a momentum above 0.
    """

    velocity_scale: float
    """Ratio of the framework's momentum buffers to the velocity v = momentum * v + grad: 1, or -lr of
    the last step."""

    def __init__(self, net: Any, lr: float, momentum: float, nesterov: bool = False) -> None: ...

    def step(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Take one step on a mini-batch. Return the summed loss and the number of correct predictions.

        ``X``: images in the framework's layout, or vectors (B, features). ``y``: int labels (B,).

        Both results use the weights before the step. They are scalars of the framework. The device may
        still be computing them; `Backend.read` waits until they are ready.
        """

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of the next steps.

        A framework whose buffers hold -lr * v must rescale them when the learning rate changes.
        """

    def get_velocity(self) -> Weights:
        """Return copies of the momentum buffers in the neutral layout, as the framework scales them.

        The result is empty without momentum. It may be empty before the first step.
        """

    def set_velocity(self, velocity: Weights) -> None:
        """Set the momentum buffers, scaled as in `get_velocity`. The caller has checked keys and shapes."""


class Passes(Protocol):
    """The forward and the backward pass of a net in training mode, without a loss.

    The net may also have no learned arrays. ``input_gradient``: whether the backward pass also computes the
    gradient of the input; without learned arrays it must be true. The device may still be computing what a
    method returns; `Backend.synchronize` waits for it.
    """

    def __init__(self, net: Any, input_gradient: bool) -> None: ...

    def forward(self, X: Any) -> Any:
        """Run a mini-batch forward, and keep what `backward` needs. Return the output.

        ``X``: images in the framework's layout, or vectors (B, features).
        """

    def backward(self, dy: Any) -> list[Any]:
        """Run the same mini-batch backward, once, from ``dy``, the gradient of the output.

        Return the gradients as tensors of the framework, in its layout: first the gradient of the input, if
        ``input_gradient`` is true, then the gradients of all learned arrays.
        """


class Backend(Protocol):
    """The names that a backend's file provides, in this order."""

    @property
    def ENTRY(self) -> Framework:
        """The framework's entry in the registry; its ``name`` is the name of the backend."""

    def version(self) -> str:
        """Return the framework's version."""

    def gpus(self) -> list[Any]:
        """Return the GPUs that the framework can use on this machine, as devices."""

    def gpu_build(self) -> str | None:
        """Return the GPU platform that the framework was built for, such as CUDA 12.9; None if CPU only."""

    def cpu(self) -> Any:
        """Return the CPU as a device."""

    def default_device(self) -> Any:
        """Return the device on which the framework puts a new net."""

    def synchronize(self, device: Any) -> None:
        """Wait until the device has finished all its work."""

    def precisions(self, device: Any) -> tuple[str, ...]:
        """Return the precisions other than float32 in which the framework can train on the device.

        `alexnet.backends.precision` explains them.
        """

    def peak_gpu_memory(self, device: Any) -> int | None:
        """Return the peak memory of a GPU in bytes; None for a CPU or if the framework has no measure."""

    def render(self, net: ResolvedNet, calls: Iterable[Call], device: Any, dtype: str) -> Any:
        """Return the framework's sequential model on the device, with the framework's initial weights.

        ``calls`` make the layers; each call is evaluated with the names of the backend's file.
        ``dtype``: ``"float32"`` or ``"float64"``.
        """

    def with_masks(self, net: Any) -> Any:
        """Return a net for training with the same layers, but with masks in the place of dropout.

        ``net``: a net from `render`. The new net shares its layers, and so its weights. Each dropout layer
        becomes one that multiplies by 1 / (1 - rate) and by the mask from `set_mask`.
        """

    def computing_in(self, net: Any, precision: str) -> AbstractContextManager[None]:
        """Return a context in which `Trainer.step` and `gradients` compute in a precision.

        ``precision``: ``"float32"`` or one of `precisions`. The context may change the layout of the
        weights in memory.
        """

    def to_device(self, net: Any, device: Any) -> Any:
        """Move a net to the device. Return its new device: Keras does not move existing variables."""

    def device_of(self, net: Any) -> Any:
        """Return the device of a net."""

    def get_weights(self, net: Any) -> Weights:
        """Return copies of all arrays of a net in the neutral layout, for any net of the framework."""

    def set_weights(self, net: Any, weights: Weights) -> None:
        """Set all arrays of a net from the neutral layout. The caller has checked keys and shapes."""

    @property
    def SUFFIX(self) -> str:
        """The file suffix of the framework's own format, such as ``.keras``."""

    def export(self, net: Any, path: str) -> None:
        """Write a net that this library rendered, in the framework's own format.

        The framework can read the file without this library. The file holds the whole model in Keras;
        elsewhere it holds the arrays, for a net with the same layers.
        """

    def seed(self, net: Any, number: int) -> None:
        """Seed the random numbers of dropout."""

    def set_mask(self, net: Any, index: int, mask: np.ndarray) -> None:
        """Set the mask of row ``index`` of a net from `with_masks`: uint8, in the framework's layout."""

    def to_tensor(self, array: Any, device: Any) -> Any:
        """Return a NumPy array, or a tensor of the framework, as a tensor on the device."""

    def take(self, tensor: Any, indices: Any) -> Any:
        """Return the rows of a tensor that ``indices`` choose: a tensor of int64 (B,) on its device."""

    def images(self, pixels: Any, transform: ImageTransform, device: Any) -> Any:
        """Return uint8 pixels (B, H, W) as resized float32 images in the framework's layout.

        ``pixels``: a NumPy array, or a tensor of the framework on the device.
        """

    def to_numpy(self, tensor: Any) -> np.ndarray:
        """Return the values of a tensor as a NumPy array."""

    def read(self, scalars: Sequence[Any]) -> list[float]:
        """Return the values of scalars of one dtype, in one transfer from their device."""

    @property
    def Trainer(self) -> type[Trainer]:
        """The class that takes the steps of a training run."""

    @property
    def Passes(self) -> type[Passes]:
        """The class that runs a net forward and backward, such as a single layer, without a loss."""

    def gradients(self, net: Any, X: Any, y: Any) -> tuple[float, Weights]:
        """Return the mean loss of a mini-batch in training mode, and the gradients of this loss.

        The gradients have the keys and the layout of `get_weights`.
        """

    def predict(self, net: Any, X: Any) -> Any:
        """Return the logits (B, classes) of a mini-batch, without dropout and with running statistics."""
