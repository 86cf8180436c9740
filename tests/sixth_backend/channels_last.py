"""A sixth backend, for the test of the seam: NumPy on images (B, H, W, C).

Its convolutions have weights (kh, kw, in, out), its dense layers (in, out), its Flatten keeps the order
(H, W, C), and its optimizer keeps by how much the weights moved: so nothing is as in the reference,
whose layers it borrows for the arithmetic.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from alexnet import spec
from alexnet.backends import reference
from alexnet.backends.calls import Call, block
from alexnet.backends.entry import Framework
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import Net, ResolvedLayer, ResolvedNet, Shape
from alexnet.spec.weights import Weights

Array = np.ndarray

# --- the registry's entry -------------------------------------------------------------------------


def calls(row: ResolvedLayer) -> Iterator[Call]:
    if hasattr(reference, type(row.layer).__name__):
        positional, named = row.layer.arguments()
        yield Call(f"spec.{type(row.layer).__name__}", *positional, **named)


def program(net: ResolvedNet, lines: Sequence[str]) -> str:
    return block(f"net = Stack({net.input_shape}, [", lines, "])")


def imports(code: str) -> list[str]:
    return ["from alexnet import spec", "from alexnet.backends.channels_last import Stack"]


ENTRY = Framework(
    name="channels_last",
    title="Channels Last",
    module="numpy",
    packages=("alexnet.backends.channels_last",),
    net_class="Stack",
    style={"color": "#7b4fa3", "linestyle": ":", "marker": "*"},
    calls=calls,
    program=program,
    imports=imports,
    requirements=("numpy",),
    channels_last=True,
    traps=lambda: ["slow: it turns every image around"],
)


def version() -> str:
    return "6.0"


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[str]:
    return []


def gpu_build() -> str | None:
    return None


def cpu() -> str:
    return "the CPU"


def default_device() -> str:
    return cpu()


def precisions(device: str) -> tuple[str, ...]:
    return ()


def synchronize(device: str) -> None:
    pass


def peak_gpu_memory(device: str) -> int | None:
    return None


# --- model ----------------------------------------------------------------------------------------


class Stack:
    """Layers in a row, of images (B, H, W, C) or vectors (B, features)."""

    def __init__(
        self, input_shape: Shape, layers: Iterable[spec.Layer], dtype: str = "float32"
    ) -> None:
        self.rows = Net("stack", input_shape, tuple(layers)).resolve().rows
        self.dtype, self.rng = np.dtype(dtype).type, np.random.default_rng(0)
        self.modules = [
            getattr(reference, type(row.layer).__name__)(row.layer, row.input_shape, self.dtype)
            for row in self.rows
        ]
        self.arrays = {
            f"{row.index}.{name}": own(param, image)
            for row, module, image in self.parts()
            for name, param in module.params.items()
        }

    def parts(self) -> Iterator[tuple[ResolvedLayer, reference.Module, Shape | None]]:
        """Rows with their modules and the image in whose order their features come."""
        image: Shape | None = None
        for row, module in zip(self.rows, self.modules, strict=True):
            image = row.input_shape if len(row.input_shape) == 3 else image
            yield row, module, image
            image = None if isinstance(row.layer, spec.Dense) else image

    def __call__(self, x: Array, training: bool = False) -> Array:
        """Logits (B, classes) of a batch."""
        x = x.astype(self.dtype, copy=False)
        for row, module, image in self.parts():
            for name, param in module.params.items():
                param[...] = neutral(self.arrays[f"{row.index}.{name}"], image)
            y = module.forward(activations(x, image), training, self.rng)
            if y.ndim == 4:
                x = y.transpose(0, 2, 3, 1)  # (B, H, W, C)
            else:
                x = y if image is None or isinstance(row.layer, spec.Dense) else flipped(y, image)
            for name in spec.STATISTICS:  # which the forward pass has moved
                if name in module.params:
                    self.arrays[f"{row.index}.{name}"] = own(module.params[name], image)
        return x

    def backward(self, dy: Array) -> Array:
        """Fill every module's ``grads``, from that of the output; all in the neutral layout."""
        for module in reversed(self.modules):
            dy = module.backward(dy)
        return dy


def activations(x: Array, image: Shape | None) -> Array:
    """(B, H, W, C) to (B, C, H, W); features in the order of an image's (H, W, C) to (C, H, W)."""
    if x.ndim == 4:
        return x.transpose(0, 3, 1, 2)
    if image is None:
        return x
    channels, height, width = image
    return x.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(x.shape)


def flipped(y: Array, image: Shape) -> Array:
    """Features in the order (C, H, W) to (H, W, C)."""
    return y.reshape(-1, *image).transpose(0, 2, 3, 1).reshape(y.shape)


def own(w: Array, image: Shape | None) -> Array:
    """An array of the neutral layout in this one."""
    if w.ndim == 4:
        return w.transpose(2, 3, 1, 0).copy()  # (kh, kw, in, out)
    of_features = image is not None and w.shape[-1] == np.prod(image)
    w = flipped(np.atleast_2d(w), image).reshape(w.shape) if image and of_features else w
    return w.T.copy()


def neutral(w: Array, image: Shape | None) -> Array:
    """The reverse of `own`."""
    if w.ndim == 4:
        return w.transpose(3, 2, 0, 1)
    w = w.T
    of_features = image is not None and w.shape[-1] == np.prod(image)
    return activations(np.atleast_2d(w), image).reshape(w.shape) if of_features else w


def render(net: ResolvedNet, calls: Iterable[Call], device: str, dtype: str) -> Stack:
    return Stack(net.input_shape, [call.evaluate(globals()) for call in calls], dtype)


def with_masks(net: Stack) -> Stack:
    masked = copy.copy(net)  # the arrays are the same
    masked.modules = [
        reference.MaskedDropout(module.layer, (), net.dtype)
        if isinstance(module, reference.Dropout)
        else module
        for module in net.modules
    ]
    return masked


def computing_in(net: Stack, precision: str) -> AbstractContextManager[None]:
    return nullcontext()


def to_device(net: Stack, device: str) -> str:
    return device


def device_of(net: Stack) -> str:
    return cpu()


def get_weights(net: Stack) -> Weights:
    return {
        f"{row.index}.{name}": neutral(net.arrays[f"{row.index}.{name}"], image).copy()
        for row, module, image in net.parts()
        for name in module.params
    }


def set_weights(net: Stack, weights: Weights) -> None:
    for row, module, image in net.parts():
        for name in module.params:
            key = f"{row.index}.{name}"
            net.arrays[key] = own(weights[key].astype(net.dtype), image)


SUFFIX = ".channels_last.npz"


def export(net: Stack, path: str) -> None:
    np.savez(path, **net.arrays)


def seed(net: Stack, number: int) -> None:
    net.rng = np.random.default_rng(number)


def set_mask(net: Stack, index: int, mask: Array) -> None:
    image = next(image for row, _, image in net.parts() if row.index == index)
    net.modules[index].mask = activations(mask, image)


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Array, device: str) -> Array:
    return np.asarray(array)


def take(tensor: Array, indices: Array) -> Array:
    return tensor[indices]


def images(pixels: Array, transform: ImageTransform, device: str) -> Array:
    return transform.apply(pixels.astype(np.float32), np.asarray)[..., None]  # (B, S, S, 1)


def to_numpy(tensor: Array) -> Array:
    return tensor


def read(scalars: Sequence[float]) -> list[float]:
    return [float(scalar) for scalar in scalars]


# --- training -------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, net: Stack, lr: float, momentum: float, nesterov: bool = False) -> None:
        self.net, self.momentum, self.nesterov = net, momentum, nesterov
        self.lr, self.velocity_scale = lr, -lr  # the buffers hold the last change of the weights
        self.moved: Weights = {}

    def step(self, X: Array, y: Array) -> tuple[float, int]:
        logits, losses, grads = _backward(self.net, X, y)
        weights = get_weights(self.net)
        for key, grad in grads.items():
            before = self.moved.get(key, np.zeros_like(grad))
            rescaled = before * (-self.lr / self.velocity_scale)
            self.moved[key] = self.momentum * rescaled - self.lr * grad
            ahead = self.momentum * self.moved[key] - self.lr * grad
            weights[key] += ahead if self.nesterov else self.moved[key]
        set_weights(self.net, weights)
        self.velocity_scale = -self.lr
        return losses.sum(), (logits.argmax(axis=1) == y).sum()

    def set_lr(self, lr: float) -> None:
        self.lr = lr

    def get_velocity(self) -> Weights:
        return {k: v.copy() for k, v in self.moved.items()} if self.momentum else {}

    def set_velocity(self, velocity: Weights) -> None:
        self.moved = {key: v.copy() for key, v in velocity.items()}


def _backward(net: Stack, X: Array, y: Array) -> tuple[Array, Array, Weights]:
    """Logits (B, classes), losses (B,) and gradients of their mean, of a batch in training."""
    logits = net(X, training=True)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    dlogits = np.exp(log_probs)
    dlogits[rows, y] -= 1
    net.backward(dlogits / len(y))
    grads = {f"{i}.{k}": g for i, m in enumerate(net.modules) for k, g in m.grads.items()}
    return logits, -log_probs[rows, y], grads


class Passes:
    def __init__(self, net: Stack, input_gradient: bool) -> None:
        self.net, self.input_gradient = net, input_gradient

    def forward(self, X: Array) -> Array:
        return self.net(X, training=True)

    def backward(self, dy: Array) -> list[Array]:
        row, _, image = list(self.net.parts())[-1]
        of_image = not isinstance(row.layer, spec.Dense)
        dx = self.net.backward(activations(dy, image if of_image else None))
        learned = [grad for module in self.net.modules for grad in module.grads.values()]
        if not self.input_gradient:
            return learned
        return [dx.transpose(0, 2, 3, 1) if dx.ndim == 4 else dx, *learned]


def gradients(net: Stack, X: Array, y: Array) -> tuple[float, Weights]:
    _, losses, grads = _backward(net, X, y)
    return float(losses.mean()), {key: grad.copy() for key, grad in grads.items()}


def predict(net: Stack, X: Array) -> Array:
    return net(X)
