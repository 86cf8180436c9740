"""A small framework in NumPy: the forward and backward pass of every layer, written out in full.

The backend ``numpy`` renders tables into these layers. Each layer's forward pass stores what its backward
pass needs. In comments, B is the batch size, C the channels, H and W the image size, H' and W' the output
size, and O the output channels. dy is the gradient of the loss with respect to y. The nets of the book:
https://d2l.ai/chapter_convolutional-neural-networks/lenet.html and
https://d2l.ai/chapter_convolutional-modern/alexnet.html.
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

BLOCK = 2**20  # most numbers in a block: so few fit in the processor's cache


class Module(ABC):
    """Base class of the layers. `forward` runs before `backward`, on the same mini-batch.

    ``params`` and ``grads`` map short names, such as ``"weight"``, to arrays in the neutral layout.
    """

    kink_at_zero = False  # whether the gradient jumps at x = 0 (`alexnet.parity.kinks`)

    def __init__(self, layer: spec.Layer, shape: Shape, dtype: type) -> None:
        self.layer = layer
        self.params: Weights = {k: np.zeros(s, dtype) for k, s in layer.parameters(shape).items()}
        self.grads: dict[str, Array] = {}

    def __repr__(self) -> str:
        return repr(self.layer)

    def __call__(self, x: Array) -> Array:
        """Return the output in evaluation mode, as in the book's ``for layer in net: X = layer(X)``."""
        return self.forward(x, training=False, rng=np.random.default_rng(0))

    @abstractmethod
    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        """Return the output y. Dropout draws its mask from ``rng``."""

    @abstractmethod
    def backward(self, dy: Array) -> Array:
        """Return dx (shape of x) from dy (shape of y). Fill ``grads``."""

    def fill_grads(self, dy: Array) -> None:
        """Fill ``grads`` only. The first layer of a net does this, because nothing needs its dx."""
        self.backward(dy)


def _pad(x: Array, padding: int, value: float = 0.0) -> Array:
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(x, sides, constant_values=value) if padding else x  # (B, C, H+2p, W+2p)


def _crop(x: Array, padding: int) -> Array:
    return x[..., padding : x.shape[-2] - padding, padding : x.shape[-1] - padding]


def _window_slices(x: Array, k: int, stride: int) -> Iterator[Array]:
    """Yield k*k views (..., H', W'): for each offset (i, j), the value at it in every window."""
    for i, j in np.ndindex(k, k):
        rows = slice(i, x.shape[-2] - k + i + 1, stride)
        yield x[..., rows, j : x.shape[-1] - k + j + 1 : stride]


def blocks(images: int, size: int) -> list[slice]:
    """Cut a mini-batch of images (or rows of a matrix) into blocks. Each image takes ``size`` numbers."""
    b = max(1, BLOCK // size)  # images in a block
    return [slice(first, first + b) for first in range(0, images, b)]


class Conv(Module):
    """2-D cross-correlation in G groups: a matrix product for each group and block of images (im2col).

    https://d2l.ai/chapter_convolutional-neural-networks/channels.html. The groups come from the two-GPU
    AlexNet: Krizhevsky, Sutskever & Hinton (2012), section 3.2. In comments, a block has b images.
    """

    layer: spec.Conv

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        weight = self._grouped(self.params["weight"])  # (G, O/G, K) with K = C/G*k*k
        bias = self._grouped(self.params["bias"])  # (G, O/G, 1)
        channels, height, width = self.layer.output_shape(x.shape[1:])  # O, H', W'
        y = np.empty((len(x), channels, height, width), weight.dtype)  # (B, O, H', W')
        self.blocks = blocks(len(x), x.shape[1] * self.layer.kernel_size**2 * height * width)
        self.x = _pad(x, self.layer.padding)  # (B, C, H, W) with padding
        for block in self.blocks:
            y_block = weight @ self._columns(self.x[block]) + bias  # (G, O/G, b*H'*W')
            y[block] = y_block.reshape(channels, -1, height, width).swapaxes(0, 1)  # (b, O, H', W')
        return y

    def backward(self, dy: Array) -> Array:
        self.fill_grads(dy)
        weight = self._grouped(self.params["weight"])  # (G, O/G, K)
        k, stride = self.layer.kernel_size, self.layer.stride
        dx = np.zeros_like(self.x)  # (B, C, H, W) with padding
        for block in self.blocks:
            dout = self._grouped(dy[block].swapaxes(0, 1))  # (G, O/G, b*H'*W')
            dcolumns = weight.swapaxes(1, 2) @ dout  # (G, K, b*H'*W')
            dcolumns = dcolumns.reshape(dx.shape[1], k * k, -1, *dy.shape[2:])  # C, k*k, b, H', W'
            dx_block = dx[block].swapaxes(0, 1)  # (C, b, H, W)
            for n, window_slice in enumerate(_window_slices(dx_block, k, stride)):
                window_slice += dcolumns[:, n]  # (C, b, H', W'); adds to dx in place
        return _crop(dx, self.layer.padding)  # (B, C, H, W) without padding

    def fill_grads(self, dy: Array) -> None:
        dw = np.zeros_like(self._grouped(self.params["weight"]))  # (G, O/G, K)
        for block in self.blocks:
            dout = self._grouped(dy[block].swapaxes(0, 1))  # (G, O/G, b*H'*W')
            dw += dout @ self._columns(self.x[block]).swapaxes(1, 2)  # (G, O/G, K)
        self.grads["weight"] = dw.reshape(self.params["weight"].shape)  # (O, C/G, k, k)
        self.grads["bias"] = dy.sum(axis=(0, 2, 3))  # (O,)

    def _grouped(self, array: Array) -> Array:
        """Cut (O, ...) into groups of output channels: (G, O/G, the other axes as one)."""
        return array.reshape(self.layer.groups, len(array) // self.layer.groups, -1)

    def _columns(self, images: Array) -> Array:
        """Return the windows of a block as columns (im2col): (b, C, H, W) to (G, K, b*H'*W')."""
        k, stride, groups = self.layer.kernel_size, self.layer.stride, self.layer.groups
        windows = sliding_window_view(images, (1, 1, k, k))  # all windows, as for stride 1
        windows = windows[:, :, ::stride, ::stride, 0, 0]  # (b, C, H', W', k, k)
        columns = windows.transpose(1, 4, 5, 0, 2, 3)  # (C, k, k, b, H', W')
        return columns.reshape(groups, len(columns) // groups * k * k, -1)


class MaxPool(Module):
    """The largest value of each window. The gradient flows to the first largest value.

    https://d2l.ai/chapter_convolutional-neural-networks/pooling.html
    """

    layer: spec.MaxPool

    def window_slices(self, x: Array) -> list[Array]:
        """Return k*k arrays (B, C, H', W'): for each offset, the value at it in every window."""
        x = _pad(x, self.layer.padding, -np.inf)  # padding is never the maximum
        self.shape = x.shape
        return list(_window_slices(x, self.layer.kernel_size, self.layer.step))

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        window_slices = self.window_slices(x)
        y = window_slices[0].copy()  # (B, C, H', W')
        self.winner = np.zeros(y.shape, np.int32)  # index of the slice with the maximum
        for block in blocks(len(x), x[0].size):
            largest, winner = y[block], self.winner[block]  # (b, C, H', W')
            for n, window_slice in enumerate(window_slices):
                larger = window_slice[block] > largest  # the first of equal values stays the winner
                np.maximum(winner, larger * np.int32(n), out=winner)  # n exceeds earlier winners
                np.maximum(largest, window_slice[block], out=largest)
        return y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros(self.shape, dy.dtype)  # (B, C, H, W) with padding
        k, stride = self.layer.kernel_size, self.layer.step
        places = np.arange(dx[0].size).reshape(dx[0].shape)  # (C, H, W): 0, 1, 2, ...
        corners = next(_window_slices(places, k, stride))  # (C, H', W'): first place of each window
        steps = places[0, :k, :k].reshape(-1)  # (k*k,): from the first place to the others
        for dx_image, winner, dy_image in zip(dx, self.winner, dy, strict=True):
            winner_places = corners + steps[winner]  # (C, H', W')
            np.add.at(dx_image.reshape(-1), winner_places.reshape(-1), dy_image.reshape(-1))
        return _crop(dx, self.layer.padding)  # (B, C, H, W) without padding


class AvgPool(Module):
    """The mean of each window; padding counts as zeros. Source: see `MaxPool`."""

    layer: spec.AvgPool

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        x = _pad(x, self.layer.padding)
        self.shape = x.shape
        k = self.layer.kernel_size
        return np.divide(sum(_window_slices(x, k, self.layer.step)), k * k)  # (B, C, H', W')

    def backward(self, dy: Array) -> Array:
        k = self.layer.kernel_size
        dx = np.zeros(self.shape, dy.dtype)  # (B, C, H, W) with padding
        for window_slice in _window_slices(dx, k, self.layer.step):
            window_slice += dy / (k * k)  # (B, C, H', W'); adds to dx in place
        return _crop(dx, self.layer.padding)  # (B, C, H, W) without padding


class GlobalAvgPool(Module):
    """The mean of each channel: https://d2l.ai/chapter_convolutional-modern/nin.html."""

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.shape = x.shape
        return x.mean(axis=(2, 3), keepdims=True)  # (B, C, 1, 1)

    def backward(self, dy: Array) -> Array:
        return np.broadcast_to(dy / (self.shape[2] * self.shape[3]), self.shape)  # (B, C, H, W)


class Dense(Module):
    """A fully connected layer: ``x @ weight.T + bias``."""

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.x = x  # (B, in)
        return x @ self.params["weight"].T + self.params["bias"]  # (B, out)

    def backward(self, dy: Array) -> Array:
        out = self.grads.get("weight")  # the memory of the last step, if there was one
        self.grads["weight"] = np.matmul(dy.T, self.x, out=out)  # (out, in)
        self.grads["bias"] = dy.sum(axis=0)  # (out,)
        return dy @ self.params["weight"]  # (B, in)


class ReLU(Module):
    """``max(x, 0)``. At x = 0 the gradient is 0."""

    kink_at_zero = True

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        return dy * self.positive


class LeakyReLU(ReLU):
    """``max(x, slope * x)``: Maas, Hannun & Ng (2013). At x = 0 the gradient is ``slope``."""

    layer: spec.LeakyReLU

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.positive = x > 0
        return np.where(self.positive, x, self.layer.slope * x)

    def backward(self, dy: Array) -> Array:
        return np.where(self.positive, dy, self.layer.slope * dy)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``."""

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.y = 0.5 * (1 + np.tanh(0.5 * x))  # the same function; exp(-x) could overflow
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * (1 - self.y)


class Tanh(Module):
    """``tanh(x)``."""

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y**2)


class Flatten(Module):
    """(B, C, H, W) to (B, C*H*W), channels slowest."""

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)  # (B, C*H*W)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.shape)  # (B, C, H, W)


class Dropout(Module):
    """Dropout: https://d2l.ai/chapter_multilayer-perceptrons/dropout.html."""

    layer: spec.Dropout

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        rate = self.layer.rate
        if training and rate:
            kept = rng.random(x.shape, np.float32) >= rate
            self.scaled = (kept / (1 - rate)).astype(x.dtype)  # shape of x: 0 or 1/(1 - rate)
        else:
            self.scaled = np.ones((), x.dtype)  # (): broadcasts to the shape of x
        return x * self.scaled

    def backward(self, dy: Array) -> Array:
        return dy * self.scaled


class MaskedDropout(Dropout):
    """Dropout for training only. `alexnet.backends.dropout_masks` sets its mask before each step."""

    mask: Array  # uint8, shape of x: 0 or 1

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.scaled = self.mask.astype(x.dtype) / x.dtype.type(1 - self.layer.rate)
        return x * self.scaled


class LocalResponseNorm(Module):
    """``y = x * (k + alpha * sum of x**2 over size neighbouring channels) ** -beta``.

    Krizhevsky, Sutskever & Hinton (2012), section 3.3.
    """

    layer: spec.LocalResponseNorm

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.x = x  # (B, C, H, W)
        self.scale = self.layer.k + self.layer.alpha * self._sum_over_window(x**2)  # (B, C, H, W)
        return x * self.scale**-self.layer.beta  # (B, C, H, W)

    def backward(self, dy: Array) -> Array:
        alpha, beta = self.layer.alpha, self.layer.beta
        # Channel c is in the window of channel d if and only if d is in the window of c.
        # So the sum over all windows that contain c is the sum over the window of c.
        dscale = dy * self.x * self.scale ** (-beta - 1)  # (B, C, H, W), up to the factor -beta
        window_sum = self._sum_over_window(dscale)  # (B, C, H, W)
        return dy * self.scale**-beta - 2 * alpha * beta * self.x * window_sum  # (B, C, H, W)

    def _sum_over_window(self, v: Array) -> Array:
        """Return, for each channel, the sum over the ``size`` channels around it; zeros outside."""
        half = self.layer.size // 2
        padded = np.pad(v, ((0, 0), (half, half), (0, 0), (0, 0)))  # (B, C+2*half, H, W)
        windows = sliding_window_view(padded, self.layer.size, axis=1)  # (B, C, H, W, size)
        return windows.sum(axis=-1)  # (B, C, H, W)


class BatchNorm(Module):
    """Normalisation of each channel or feature over the mini-batch: Ioffe & Szegedy (2015).

    https://d2l.ai/chapter_convolutional-modern/batch-norm.html. The running variance is biased, as there.
    `backward` needs a `forward` in training mode. For vectors (B, features), C is the number of features.
    """

    layer: spec.BatchNorm

    def forward(self, x: Array, training: bool, rng: np.random.Generator) -> Array:
        self.axes = (0, 2, 3) if x.ndim == 4 else (0,)  # all axes except the channels
        mean, var = self.params["running_mean"], self.params["running_var"]  # (C,)
        if training:
            momentum = self.layer.momentum  # share of the new value
            batch_mean, batch_var = x.mean(self.axes), x.var(self.axes)  # (C,)
            mean += momentum * (batch_mean - mean)  # in place: updates the running mean
            var += momentum * (batch_var - var)
            mean, var = batch_mean, batch_var
        self.deviation = np.sqrt(self._per_channel(var) + self.layer.epsilon)  # (C, 1, 1) or (C,)
        self.normal = (x - self._per_channel(mean)) / self.deviation  # shape of x
        weight, bias = self.params["weight"], self.params["bias"]  # (C,)
        return self.normal * self._per_channel(weight) + self._per_channel(bias)  # shape of x

    def backward(self, dy: Array) -> Array:
        self.grads["weight"] = (dy * self.normal).sum(self.axes)  # (C,)
        self.grads["bias"] = dy.sum(self.axes)  # (C,)
        dnormal = dy * self._per_channel(self.params["weight"])  # shape of x
        # x also acts through the batch mean and the batch variance. Each adds one term.
        mean_term = dnormal.mean(self.axes, keepdims=True)  # (1, C, 1, 1) or (1, C)
        scale = (dnormal * self.normal).mean(self.axes, keepdims=True)  # (1, C, 1, 1) or (1, C)
        variance_term = self.normal * scale  # shape of x
        return (dnormal - mean_term - variance_term) / self.deviation  # shape of x

    def _per_channel(self, v: Array) -> Array:
        """Return a vector (C,) in a shape that broadcasts to x: (C, 1, 1) if x is an image batch."""
        return v[:, None, None] if len(self.axes) == 3 else v


class Sequential:
    """A list of layers that run one after another, like the frameworks' sequential models."""

    def __init__(self, layers: list[Module], dtype: type = np.float32) -> None:
        self.layers, self.dtype = layers, dtype
        self.rng = np.random.default_rng(0)  # draws the masks of dropout

    def __call__(self, x: Array, training: bool = False) -> Array:
        """Return the logits (B, classes) of a mini-batch (B, C, H, W) or (B, features)."""
        x = x.astype(self.dtype, copy=False)
        for layer in self.layers:
            x = layer.forward(x, training, self.rng)
        return x

    def backward(self, dy: Array, input_gradient: bool = False) -> Array | None:
        """Fill the ``grads`` of every layer from dy, the gradient of the output.

        Return the gradient of the input if it is asked for. Else the first layer does not compute it.
        """
        first, *others = self.layers
        for layer in reversed(others):
            dy = layer.backward(dy)
        if input_gradient:
            return first.backward(dy)
        first.fill_grads(dy)
        return None

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __repr__(self) -> str:
        rows = "".join(f"  ({i}): {layer!r}\n" for i, layer in enumerate(self.layers))
        return f"Sequential(\n{rows})"
