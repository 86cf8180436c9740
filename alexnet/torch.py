"""The names that the book's PyTorch code uses: ``from alexnet import torch as d2l``.

The names cover the chapters on image classification, softmax regression, multilayer perceptrons, LeNet and
modern convolutional networks. Arguments and meaning are as in the book. This library does the work:
`load_data_fashion_mnist` calls `alexnet.load_fashion_mnist`, and `train_ch6` calls `alexnet.train_ch6`.

Source: https://zh.d2l.ai
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from matplotlib import pyplot as plt

from alexnet import backends, train
from alexnet.book.chapter3 import Chapter3
from alexnet.book.names import argmax, numpy, reduce_mean, reduce_sum, reshape, size
from alexnet.book.other_chapters import refusing
from alexnet.book.plots import (
    Animator,
    book_callback,
    plot,
    set_axes,
    set_figsize,
    show_images,
    use_svg_display,
)
from alexnet.book.tools import (
    Accumulator,
    Timer,
    accuracy,
    corr2d,
    get_dataloader_workers,
    get_fashion_mnist_labels,
    number,
)
from alexnet.data import ImageLoader, load_fashion_mnist
from alexnet.training.loop import Batches

_backend = backends.load("torch")  # prepares the process, so it comes before the import

import torch
from torch import nn
from torch.nn import functional as F

# --- data and devices -----------------------------------------------------------------------------


def load_data_fashion_mnist(
    batch_size: int, resize: int | None = None
) -> tuple[ImageLoader, ImageLoader]:
    """Return Fashion-MNIST as loaders ``(train_iter, test_iter)``. See `alexnet.load_fashion_mnist`.

    X is float32 (B, 1, 28, 28), or (B, 1, resize, resize), in [0, 1]. y is int64 (B,). Both are on the CPU.
    Raises DataError for bad values, and for image files that are missing or damaged.

    >>> train_iter, test_iter = load_data_fashion_mnist(256)  # doctest: +SKIP
    """
    return load_fashion_mnist(batch_size, resize, backend="torch", device="cpu")


def try_gpu(i: int = 0) -> torch.device:
    """Return GPU number i (CUDA, ROCm or Apple), or the CPU if it is not found.

    >>> try_gpu(99)
    device(type='cpu')
    """
    return backends.try_gpu(i, "torch")


def try_all_gpus() -> list[torch.device]:
    """Return a list of all GPUs, or of the CPU alone if no GPU is found."""
    return _backend.gpus() or [_backend.cpu()]


# --- softmax regression ---------------------------------------------------------------------------


def sgd(params: Iterable[torch.Tensor], lr: float, batch_size: int) -> None:
    """Update ``params`` in place by a step of SGD, and set their gradients to zero.

    The gradients must be summed over a batch.

    >>> w = torch.ones(2, requires_grad=True)
    >>> (3 * w).sum().backward()
    >>> sgd([w], lr=0.1, batch_size=2)
    >>> w.detach(), w.grad
    (tensor([0.8500, 0.8500]), tensor([0., 0.]))
    """
    with torch.no_grad():
        for param in params:
            param -= lr * param.grad / batch_size
            param.grad.zero_()


def _step(
    net: Any, loss: Any, updater: Any, X: torch.Tensor, y: torch.Tensor
) -> tuple[float, float]:
    """Take a training step with the reader's own net, loss and updater (see `Chapter3`)."""
    if isinstance(net, nn.Module):
        net.train()
    y_hat = net(X)  # (B, classes)
    losses = loss(y_hat, y)  # (B,), or () if it is their mean
    if isinstance(updater, torch.optim.Optimizer):
        updater.zero_grad()
        losses.mean().backward()
        updater.step()
    else:
        losses.sum().backward()
        updater(len(y))
    return number(losses.mean()) * len(y), accuracy(y_hat, y)


@torch.no_grad()
def _predict(net: Any, X: torch.Tensor) -> torch.Tensor:
    return _backend.predict(net, X) if isinstance(net, nn.Module) else net(X)


_chapter3 = Chapter3(_backend, _step, _predict)
evaluate_accuracy = _chapter3.evaluate_accuracy
evaluate_accuracy_gpu = _chapter3.evaluate_accuracy_gpu
train_epoch_ch3, train_ch3 = _chapter3.train_epoch_ch3, _chapter3.train_ch3
predict_ch3 = _chapter3.predict_ch3

# --- convolutional networks -----------------------------------------------------------------------


def train_ch6(
    net: nn.Module | Callable[[], nn.Module],
    train_iter: Batches,
    test_iter: Batches,
    num_epochs: int,
    lr: float,
    device: Any = None,
) -> nn.Module | None:
    """Train a net with plain SGD from new initial weights. See `alexnet.train_ch6` for details.

    ``net``: a net, or a function that creates a net; then that net is returned. ``num_epochs``: at least
    1. ``lr``: above 0. ``device``: for example `try_gpu()`, which is also the default. Shows loss and
    accuracies. At the end, prints loss, accuracies and examples/sec in two lines. Raises RunError,
    DataError or BackendError for arguments that cannot be used.

    >>> train_ch6(net, train_iter, test_iter, 10, 0.9, try_gpu())  # doctest: +SKIP
    loss 0.469, train acc 0.823, test acc 0.779
    """
    history = train.train_ch6(
        net,
        train_iter,
        test_iter,
        num_epochs,
        lr,
        device,
        backend="torch",
        callback=book_callback(),
    )
    return None if history.net is net else history.net


class Residual(nn.Module):
    """The residual block of ResNet: two 3×3 convolutions and a shortcut around them.

    Maps (B, input_channels, H, W) to (B, num_channels, H / strides, W / strides). ``use_1x1conv`` puts a
    1×1 convolution into the shortcut, which is needed if the shape changes.

    Source: He, Zhang, Ren & Sun (2016), Deep Residual Learning for Image Recognition;
    section 7.6 of https://zh.d2l.ai.

    >>> Residual(3, 6, use_1x1conv=True, strides=2)(torch.rand(4, 3, 6, 6)).shape
    torch.Size([4, 6, 3, 3])
    """

    def __init__(
        self, input_channels: int, num_channels: int, use_1x1conv: bool = False, strides: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, 3, stride=strides, padding=1)
        self.conv2 = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.conv3 = (
            nn.Conv2d(input_channels, num_channels, 1, stride=strides) if use_1x1conv else None
        )
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.bn2 = nn.BatchNorm2d(num_channels)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


# --- short names, the same in every column --------------------------------------------------------

nn_Module = nn.Module
float32, int32 = torch.float32, torch.int32
ones, zeros, eye, arange, linspace = (
    torch.ones,
    torch.zeros,
    torch.eye,
    torch.arange,
    torch.linspace,
)
tensor, normal, rand, randn = torch.tensor, torch.normal, torch.rand, torch.randn
meshgrid, matmul, concat, stack = torch.meshgrid, torch.matmul, torch.cat, torch.stack
abs, exp, log = torch.abs, torch.exp, torch.log
sin, cos, sinh, cosh, tanh = torch.sin, torch.cos, torch.sinh, torch.cosh, torch.tanh


def to(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Return ``x.to(…)``: x on another device, or in another dtype."""
    return x.to(*args, **kwargs)


def astype(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Return ``x.type(dtype)``."""
    return x.type(*args, **kwargs)


def transpose(x: torch.Tensor) -> torch.Tensor:
    """Return a matrix with rows and columns exchanged."""
    return x.t()


if not TYPE_CHECKING:  # with __getattr__, a type checker would accept every name
    __getattr__ = refusing(__name__)

__all__ = [
    "Accumulator", "Animator", "Residual", "Timer", "abs", "accuracy", "arange", "argmax", "astype",
    "concat", "corr2d", "cos", "cosh", "evaluate_accuracy", "evaluate_accuracy_gpu", "exp", "eye",
    "float32", "get_dataloader_workers", "get_fashion_mnist_labels", "int32", "linspace",
    "load_data_fashion_mnist", "log", "matmul", "meshgrid", "nn_Module", "normal", "numpy", "ones",
    "plot", "plt", "predict_ch3", "rand", "randn", "reduce_mean", "reduce_sum", "reshape",
    "set_axes", "set_figsize", "sgd", "show_images", "sin", "sinh", "size", "stack", "tanh",
    "tensor", "to", "train_ch3", "train_ch6", "train_epoch_ch3", "transpose", "try_all_gpus",
    "try_gpu", "use_svg_display", "zeros",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
