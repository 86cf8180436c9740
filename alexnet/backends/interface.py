"""The seam between this library and a framework: what each backend's file offers.

It lies at the level of a model and a training step, not of a tensor operation. A new framework is one
new file with these names, and one entry in `alexnet.backends.registry`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from alexnet.backends.calls import Call
from alexnet.backends.entry import Framework
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet
from alexnet.spec.weights import Weights


class Stepper(Protocol):
    """What a training run needs: something that takes a step on a batch."""

    def step(self, X: Any, y: Any) -> tuple[Any, Any]:
        """One step on a batch. Returns the summed loss and the number of right answers.

        Both are from before the step. They are the framework's own numbers, and may not be computed yet:
        ``float(…)`` waits for them.
        """


class Trainer(Stepper, Protocol):
    """Plain SGD (momentum on request) on the mean softmax cross-entropy of the logits."""

    velocity_scale: float
    """What the framework multiplies a velocity by: 1, or minus the learning rate."""

    def __init__(self, net: Any, lr: float, momentum: float) -> None: ...

    def get_velocity(self) -> Weights:
        """Copies of the momentum buffers, times ``velocity_scale``, in the neutral layout.

        Empty without momentum. May be empty before the first step.
        """

    def set_velocity(self, velocity: Weights) -> None:
        """Set the momentum buffers. The caller has checked keys and shapes."""


class Backend(Protocol):
    """What the file of a framework offers, in this order."""

    @property
    def ENTRY(self) -> Framework:
        """What the registry says of the framework, the backend's name among it."""

    def version(self) -> str:
        """The framework's version."""

    def gpus(self) -> list[Any]:
        """The GPUs that the framework can use here, as its own devices."""

    def gpu_build(self) -> str | None:
        """What GPUs the framework was built for, such as CUDA 12.9; None if it is for CPUs only."""

    def cpu(self) -> Any:
        """The CPU, as the framework's own device."""

    def default_device(self) -> Any:
        """Where the framework itself puts a new net."""

    def synchronize(self, device: Any) -> None:
        """Wait until the device has done all that it was given."""

    def peak_gpu_memory(self, device: Any) -> int | None:
        """Most bytes held on that GPU so far; None on a CPU, or if the framework does not measure it."""

    def render(self, net: ResolvedNet, calls: Iterable[Call], device: Any, dtype: str) -> Any:
        """The framework's own sequential model, on the device, with the framework's own weights.

        ``calls`` make its layers, each evaluated with this file's names. ``dtype``: float32 or float64.
        """

    def to_device(self, net: Any, device: Any) -> Any:
        """Move a net to the device. Returns where it is now: Keras does not move what it has made."""

    def device_of(self, net: Any) -> Any:
        """Where a net is."""

    def get_weights(self, net: Any) -> Weights:
        """Copies of all arrays of a net, built here or written by a user, in the neutral layout."""

    def set_weights(self, net: Any, weights: Weights) -> None:
        """Set all arrays of a net. The caller has checked keys and shapes."""

    @property
    def SUFFIX(self) -> str:
        """How the names of files in the framework's own format end."""

    def export(self, net: Any, path: str) -> None:
        """Write a net that was rendered here in the framework's own format.

        The framework reads it without this library: a whole model in Keras, elsewhere the arrays of
        a net of the same layers.
        """

    def seed(self, net: Any, number: int) -> None:
        """Seed what the framework draws in training: dropout."""

    def set_mask(self, net: Any, index: int, mask: np.ndarray) -> None:
        """Give the ``MaskedDropout`` of that row its mask, float32 in the framework's own layout."""

    def to_tensor(self, array: Any, device: Any) -> Any:
        """A NumPy array, or a tensor of the framework, as a tensor on the device."""

    def images(self, pixels: np.ndarray, transform: ImageTransform, device: Any) -> Any:
        """uint8 (B, H, W) to float32 images on the device, resized, in the framework's layout."""

    def to_numpy(self, tensor: Any) -> np.ndarray:
        """A tensor's values."""

    @property
    def Trainer(self) -> type[Trainer]:
        """What takes the steps of a training run."""

    def gradients(self, net: Any, X: Any, y: Any) -> tuple[float, Weights]:
        """The mean loss of a batch in training, and its gradients, in the layout of get_weights."""

    def predict(self, net: Any, X: Any) -> Any:
        """Logits (B, classes) of a batch, without dropout and with running statistics."""
