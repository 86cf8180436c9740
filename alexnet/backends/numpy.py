"""The NumPy backend: nets are `alexnet.backends.reference.Sequential`. They compute on the CPU.

This backend is the reference for the tests of the other backends. It also works when no framework is
installed. A net rendered as float64 computes in double precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from alexnet import spec
from alexnet.backends import reference
from alexnet.backends.calls import Call
from alexnet.backends.reference import Sequential
from alexnet.backends.registry import numpy as registry
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet
from alexnet.spec.weights import Weights

ENTRY = registry.ENTRY

Array = np.ndarray


def version() -> str:
    return np.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[str]:
    return []


def gpu_build() -> str | None:
    return None


def cpu() -> str:
    return "cpu"


def default_device() -> str:
    return cpu()


def synchronize(device: str) -> None:
    """Do nothing: NumPy functions return only after they have finished."""


def precisions(device: str) -> tuple[str, ...]:
    return ()


def peak_gpu_memory(device: str) -> int | None:
    return None


# --- model ----------------------------------------------------------------------------------------


def render(net: ResolvedNet, calls: Iterable[Call], device: str, dtype: str) -> Sequential:
    kind = np.dtype(dtype).type
    return Sequential(
        [
            getattr(reference, call.name)(row.layer, row.input_shape, kind)
            for row, call in zip(net.rows, calls, strict=True)
        ],
        kind,
    )


def with_masks(net: Sequential) -> Sequential:
    layers = [
        reference.MaskedDropout(layer.layer, (), net.dtype)
        if isinstance(layer, reference.Dropout)
        else layer
        for layer in net
    ]
    return Sequential(layers, net.dtype)


def computing_in(net: Sequential, precision: str) -> AbstractContextManager[None]:
    return nullcontext()


def to_device(net: Sequential, device: str) -> str:
    return device


def device_of(net: Sequential) -> str:
    return cpu()


def get_weights(net: Sequential) -> Weights:
    return {f"{i}.{k}": p.copy() for i, m in enumerate(net) for k, p in m.params.items()}


def set_weights(net: Sequential, weights: Weights) -> None:
    for i, module in enumerate(net):
        for name, param in module.params.items():
            param[...] = weights[f"{i}.{name}"]


SUFFIX = ".npz"


def export(net: Sequential, path: str) -> None:
    np.savez(path, **get_weights(net))


def seed(net: Sequential, number: int) -> None:
    net.rng = np.random.default_rng(number)


def set_mask(net: Sequential, index: int, mask: Array) -> None:
    layer = net.layers[index]
    assert isinstance(layer, reference.MaskedDropout)
    layer.mask = mask


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Array, device: str) -> Array:
    return np.asarray(array)


def take(tensor: Array, indices: Array) -> Array:
    return tensor[indices]


def images(pixels: Array, transform: ImageTransform, device: str) -> Array:
    x = transform.apply(pixels.astype(np.float32), np.asarray)  # (B, S, S)
    return x[:, None]  # (B, 1, S, S)


def to_numpy(tensor: Array) -> Array:
    return tensor


def read(scalars: Sequence[float]) -> list[float]:
    return [float(scalar) for scalar in scalars]


# --- training -------------------------------------------------------------------------------------


class Trainer:
    """SGD with momentum on the mean softmax cross-entropy: v = momentum * v + grad; w -= lr * v.

    Nesterov: w -= lr * (grad + momentum * v).
    """

    velocity_scale = 1.0

    def __init__(self, net: Sequential, lr: float, momentum: float, nesterov: bool = False) -> None:
        self.net, self.lr, self.momentum, self.nesterov = net, lr, momentum, nesterov
        self.velocity: list[Weights] = [
            {k: np.zeros_like(p) for k, p in m.params.items() if k not in spec.STATISTICS}
            if momentum
            else {}
            for m in net
        ]

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        logits, losses = _backward(self.net, X, y)
        for module, velocity in zip(self.net, self.velocity, strict=True):
            for name, grad in module.grads.items():
                for rows in reference.blocks(len(grad), grad[0].size):
                    change = grad[rows]
                    if self.momentum:
                        v = velocity[name][rows]
                        v *= self.momentum  # in place: updates the velocity
                        v += grad[rows]
                        change = grad[rows] + self.momentum * v if self.nesterov else v
                    module.params[name][rows] -= self.lr * change
        return losses.sum(), (logits.argmax(axis=1) == y).sum()

    def set_lr(self, lr: float) -> None:
        self.lr = lr

    def get_velocity(self) -> Weights:
        return {f"{i}.{k}": v.copy() for i, m in enumerate(self.velocity) for k, v in m.items()}

    def set_velocity(self, velocity: Weights) -> None:
        for i, module in enumerate(self.velocity):
            for name, v in module.items():
                v[...] = velocity[f"{i}.{name}"]


def _backward(net: Sequential, X: Array, y: Array) -> tuple[Array, Array]:
    """Run a mini-batch forward and backward in training mode; fill every layer's ``grads``.

    Return the logits (B, classes) and the losses (B,). Softmax and its gradient:
    https://d2l.ai/chapter_linear-classification/softmax-regression.html.
    """
    logits = net(X, training=True)  # (B, classes)
    shifted = logits - logits.max(axis=1, keepdims=True)  # exp(shifted) cannot overflow
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (B, classes)
    rows = np.arange(len(y))
    dlogits = np.exp(log_probs)  # (B, classes): softmax
    dlogits[rows, y] -= 1  # softmax - one_hot(y)
    net.backward(dlogits / len(y))
    return logits, -log_probs[rows, y]  # (B, classes), (B,)


class Passes:
    """The forward and the backward pass of a net in training mode, without a loss."""

    def __init__(self, net: Sequential, input_gradient: bool) -> None:
        self.net, self.input_gradient = net, input_gradient

    def forward(self, X: Array) -> Array:
        return self.net(X, training=True)

    def backward(self, dy: Array) -> list[Array]:
        dx = self.net.backward(dy, self.input_gradient)
        learned = [grad for module in self.net for grad in module.grads.values()]
        return learned if dx is None else [dx, *learned]


def gradients(net: Sequential, X: Array, y: Array) -> tuple[float, Weights]:
    _, losses = _backward(net, X, y)
    found = {f"{i}.{k}": g for i, m in enumerate(net) for k, g in m.grads.items()}
    for module in net:
        module.grads = {}  # the arrays belong to the caller; the next step makes new ones
    return float(losses.mean()), found


def predict(net: Sequential, X: Array) -> Array:
    return net(X)
