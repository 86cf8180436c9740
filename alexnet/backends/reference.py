"""A framework of a few hundred lines: every layer's forward and backward pass, spelled out in NumPy.

The backend ``numpy`` renders tables into these layers. Each keeps from its forward pass what its
backward pass needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from alexnet import spec
from alexnet.spec import Shape
from alexnet.spec.weights import Weights

Array = np.ndarray


class Module(ABC):
    """A layer: `forward` keeps what `backward` needs; `backward` fills ``grads``, returns dx."""

    def __init__(self, layer: spec.Layer, shape: Shape, dtype: type) -> None:
        self.layer = layer
        self.params: Weights = {k: np.zeros(s, dtype) for k, s in layer.parameters(shape).items()}
        self.grads: dict[str, Array] = {}

    def __repr__(self) -> str:
        return repr(self.layer)

    def __call__(self, x: Array) -> Array:
        """The layer's output in prediction, as in the chapter's ``for layer in net: X = layer(X)``."""
        return self.forward(x, training=False, rng=np.random.default_rng(0))

    @abstractmethod
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array: ...

    @abstractmethod
    def backward(self, dy: Array) -> Array: ...


def _pad(x: Array, padding: int, value: float = 0.0) -> Array:
    if not padding:
        return x
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(x, sides, constant_values=value)  # (B, C, H+2p, W+2p)


def _crop(x: Array, padding: int) -> Array:
    return x[..., padding : x.shape[-2] - padding, padding : x.shape[-1] - padding]


def _window_slices(x: Array, k: int, stride: int, height: int, width: int) -> Iterator[Array]:
    """For each place in a k×k window, a view of the values that lie there: k*k of (..., H', W')."""
    for i in range(k):
        for j in range(k):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            yield x[..., rows, j : j + stride * (width - 1) + 1 : stride]


class Conv(Module):
    layer: spec.Conv

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.x = _pad(x, self.layer.padding)  # (B, C, H, W)
        weight = self._grouped(self.params["weight"])  # (G, O/G, K), K = C/G*k*k
        images = [weight @ self._columns(image) for image in self.x]  # B of (G, O/G, H'*W')
        height, width = self._positions()
        y = np.stack(images).reshape(len(x), -1, height, width)  # (B, O, H', W')
        return y + self.params["bias"][:, None, None]

    def backward(self, dy: Array) -> Array:
        weight = self._grouped(self.params["weight"])  # (G, O/G, K)
        k, stride, groups = self.layer.kernel_size, self.layer.stride, self.layer.groups
        height, width = self._positions()
        dw, dx = np.zeros_like(weight), np.zeros_like(self.x)
        for image, dy_image, dx_image in zip(self.x, dy, dx, strict=True):
            dout = dy_image.reshape(groups, -1, height * width)  # (G, O/G, H'*W')
            dw += dout @ self._columns(image).swapaxes(1, 2)  # (G, O/G, K)
            dcolumns = weight.swapaxes(1, 2) @ dout  # (G, K, H'*W')
            dcolumns = dcolumns.reshape(-1, k * k, height, width)  # (C, k*k, H', W')
            for n, window_slice in enumerate(_window_slices(dx_image, k, stride, height, width)):
                window_slice += dcolumns[:, n]
        self.grads["weight"] = dw.reshape(self.params["weight"].shape)
        self.grads["bias"] = dy.sum(axis=(0, 2, 3))
        return _crop(dx, self.layer.padding)

    def _grouped(self, weight: Array) -> Array:
        groups = self.layer.groups
        return weight.reshape(groups, len(weight) // groups, -1)

    def _positions(self) -> tuple[int, int]:
        k, stride = self.layer.kernel_size, self.layer.stride
        return (self.x.shape[2] - k) // stride + 1, (self.x.shape[3] - k) // stride + 1

    def _columns(self, image: Array) -> Array:
        """The window at each position of one image as a column (im2col): (G, C/G*k*k, H'*W')."""
        k, stride = self.layer.kernel_size, self.layer.stride
        windows = sliding_window_view(image, (1, k, k))[:, ::stride, ::stride, 0]
        columns = windows.transpose(0, 3, 4, 1, 2)  # (C, k, k, H', W')
        return columns.reshape(self.layer.groups, -1, columns.shape[3] * columns.shape[4])


class MaxPool(Module):
    layer: spec.MaxPool

    def window_slices(self, x: Array) -> Iterator[Array]:
        """The values at each place of all windows, padding as minus infinity: of (B, C, H', W')."""
        x = _pad(x, self.layer.padding, -np.inf)
        self.shape = x.shape
        k, stride = self.layer.kernel_size, self.layer.step
        height, width = (x.shape[2] - k) // stride + 1, (x.shape[3] - k) // stride + 1
        return _window_slices(x, k, stride, height, width)

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        window_slices = self.window_slices(x)
        y = next(window_slices).copy()  # (B, C, H', W')
        self.winner = np.zeros(y.shape, np.int16)  # which window_slice won; the first of equals
        for n, window_slice in enumerate(window_slices, 1):
            larger = window_slice > y
            np.copyto(y, window_slice, where=larger)
            np.copyto(self.winner, n, where=larger)
        return y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros(self.shape, dy.dtype)
        window_slices = _window_slices(dx, self.layer.kernel_size, self.layer.step, *dy.shape[2:])
        for n, window_slice in enumerate(window_slices):
            window_slice += np.where(self.winner == n, dy, 0)
        return _crop(dx, self.layer.padding)


class AvgPool(Module):
    layer: spec.AvgPool

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        x = _pad(x, self.layer.padding)
        self.shape = x.shape
        k, stride = self.layer.kernel_size, self.layer.step
        height, width = (x.shape[2] - k) // stride + 1, (x.shape[3] - k) // stride + 1
        total = np.zeros((*x.shape[:2], height, width), x.dtype)  # (B, C, H', W')
        for window_slice in _window_slices(x, k, stride, height, width):
            total += window_slice
        return total / (k * k)

    def backward(self, dy: Array) -> Array:
        k = self.layer.kernel_size
        dx = np.zeros(self.shape, dy.dtype)
        for window_slice in _window_slices(dx, k, self.layer.step, *dy.shape[2:]):
            window_slice += dy / (k * k)
        return _crop(dx, self.layer.padding)


class GlobalAvgPool(Module):
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.shape = x.shape
        return x.mean(axis=(2, 3), keepdims=True)  # (B, C, 1, 1)

    def backward(self, dy: Array) -> Array:
        return np.broadcast_to(dy / (self.shape[2] * self.shape[3]), self.shape)


class Dense(Module):
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.x = x
        return x @ self.params["weight"].T + self.params["bias"]  # (B, out)

    def backward(self, dy: Array) -> Array:
        self.grads["weight"] = dy.T @ self.x  # (out, in)
        self.grads["bias"] = dy.sum(axis=0)
        return dy @ self.params["weight"]  # (B, in)


class ReLU(Module):
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        return dy * self.positive


class LeakyReLU(ReLU):
    layer: spec.LeakyReLU

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.positive = x > 0
        return np.where(self.positive, x, self.layer.slope * x)

    def backward(self, dy: Array) -> Array:
        return np.where(self.positive, dy, self.layer.slope * dy)


class Sigmoid(Module):
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.y = 0.5 * (1 + np.tanh(0.5 * x))  # the same function, without overflow in exp
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * (1 - self.y)


class Tanh(Module):
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y**2)


class Flatten(Module):
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)  # (B, C*H*W)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.shape)


class Dropout(Module):
    layer: spec.Dropout

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        rate = self.layer.rate
        if training and rate:
            kept = rng.random(x.shape, np.float32) >= rate
            self.mask = (kept / (1 - rate)).astype(x.dtype)
        else:
            self.mask = np.ones((), x.dtype)
        return x * self.mask

    def backward(self, dy: Array) -> Array:
        return dy * self.mask


class MaskedDropout(Module):
    """Dropout by a mask that it is given before the step: `alexnet.backends.dropout_masks`."""

    mask: Array

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        return x * self.mask.astype(x.dtype) if training else x

    def backward(self, dy: Array) -> Array:
        return dy * self.mask.astype(dy.dtype)


class LocalResponseNorm(Module):
    layer: spec.LocalResponseNorm

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.x = x
        self.scale = self.layer.k + self.layer.alpha * self._neighbours(x**2)  # (B, C, H, W)
        return x * self.scale**-self.layer.beta

    def backward(self, dy: Array) -> Array:
        alpha, beta = self.layer.alpha, self.layer.beta
        # A value is in its neighbours' windows just as they are in its own.
        through_others = self._neighbours(dy * self.x * self.scale ** (-beta - 1))
        return dy * self.scale**-beta - 2 * alpha * beta * self.x * through_others

    def _neighbours(self, v: Array) -> Array:
        """Sum over the window of channels around each channel, cut at the ends."""
        half = self.layer.size // 2
        padded = np.pad(v, ((0, 0), (half, half), (0, 0), (0, 0)))
        return sliding_window_view(padded, self.layer.size, axis=1).sum(axis=-1)


class BatchNorm(Module):
    layer: spec.BatchNorm

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.axes = (0, 2, 3) if x.ndim == 4 else (0,)
        mean, var = self.params["running_mean"], self.params["running_var"]
        if training:
            momentum, batch_mean, batch_var = (
                self.layer.momentum,
                x.mean(self.axes),
                x.var(self.axes),
            )
            mean += momentum * (batch_mean - mean)
            var += momentum * (batch_var - var)
            mean, var = batch_mean, batch_var
        self.deviation = np.sqrt(self._wide(var) + self.layer.epsilon)
        self.normal = (x - self._wide(mean)) / self.deviation
        return self.normal * self._wide(self.params["weight"]) + self._wide(self.params["bias"])

    def backward(self, dy: Array) -> Array:
        self.grads["weight"] = (dy * self.normal).sum(self.axes)
        self.grads["bias"] = dy.sum(self.axes)
        dnormal = dy * self._wide(self.params["weight"])
        across = dnormal.mean(self.axes, keepdims=True)
        along = (dnormal * self.normal).mean(self.axes, keepdims=True)
        return (dnormal - across - self.normal * along) / self.deviation

    def _wide(self, v: Array) -> Array:
        return v[:, None, None] if len(self.axes) == 3 else v


class Sequential:
    """A list of layers; what the frameworks' own sequential models are, and no more."""

    def __init__(self, layers: list[Module], dtype: type = np.float32) -> None:
        self.layers, self.dtype = layers, dtype
        self.rng = np.random.default_rng(0)  # for dropout

    def __call__(self, x: Array, training: bool = False) -> Array:
        """Logits of a batch (B, C, H, W)."""
        x = x.astype(self.dtype, copy=False)
        for layer in self.layers:
            x = layer.forward(x, training, self.rng)
        return x

    def backward(self, dy: Array) -> Array:
        """The gradient of the input, given that of the output; fills every layer's ``grads``."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __repr__(self) -> str:
        rows = "".join(f"  ({i}): {layer!r}\n" for i, layer in enumerate(self.layers))
        return f"Sequential(\n{rows})"
