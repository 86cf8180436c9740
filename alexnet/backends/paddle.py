"""The Paddle backend: nets are ``paddle.nn.Sequential``.

`alexnet.backends.interface` documents each function.
Layers: https://www.paddlepaddle.org.cn/documentation/docs/en/api/index_en.html
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from alexnet.backends.calls import Call
from alexnet.backends.evaluation import evaluating
from alexnet.backends.registry import paddle as registry
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet
from alexnet.spec.weights import Weights

ENTRY = registry.ENTRY

# Paddle repeats this warning at every step of every batch normalisation layer.
warnings.filterwarnings("ignore", "When training, we now always track global mean and variance")


def version() -> str:
    return paddle.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[paddle.CUDAPlace]:
    """Return the CUDA or ROCm GPUs (Paddle calls both ``gpu``)."""
    if not (paddle.is_compiled_with_cuda() or paddle.is_compiled_with_rocm()):
        return []
    return [paddle.CUDAPlace(i) for i in range(paddle.device.cuda.device_count())]


def gpu_build() -> str | None:
    if paddle.is_compiled_with_cuda():
        return f"CUDA {paddle.version.cuda()}"
    return "ROCm" if paddle.is_compiled_with_rocm() else None


def cpu() -> paddle.CPUPlace:
    return paddle.CPUPlace()


def default_device() -> Any:
    return (gpus() or [cpu()])[0]


def synchronize(device: Any) -> None:
    if isinstance(device, paddle.CUDAPlace):
        paddle.device.synchronize(device)


def precisions(device: Any) -> tuple[str, ...]:
    """Return bfloat16 and TF32 for NVIDIA GPUs since Ampere.

    On a CPU, Paddle's mixed precision computes convolutions in float32.
    """
    if not isinstance(device, paddle.CUDAPlace) or not paddle.is_compiled_with_cuda():
        return ()
    major, _ = paddle.device.cuda.get_device_capability(device)
    return ("bfloat16", "tf32") if major >= 8 else ()


def peak_gpu_memory(device: Any) -> int | None:
    if not isinstance(device, paddle.CUDAPlace):
        return None
    return paddle.device.cuda.max_memory_allocated(device)


# --- model ----------------------------------------------------------------------------------------


class MaskedDropout(nn.Layer):
    """Dropout that multiplies by a mask set before the step (`alexnet.backends.dropout_masks`)."""

    mask: paddle.Tensor  # uint8, shape of x: 0 or 1

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.scale = 1 / (1 - rate)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return x * (self.mask.astype(x.dtype) * self.scale)


def render(net: ResolvedNet, calls: Iterable[Call], device: Any, dtype: str) -> nn.Sequential:
    model = nn.Sequential(*(call.evaluate(globals()) for call in calls))
    model.to(dtype=dtype)
    to_device(model, device)
    return model


def with_masks(net: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(
        *(MaskedDropout(layer.p) if isinstance(layer, nn.Dropout) else layer for layer in net)
    )


def make_current(device: Any) -> Any:
    """Make ``device`` Paddle's current device; optimizers allocate their state on it."""
    on_gpu = isinstance(device, paddle.CUDAPlace)
    paddle.set_device(f"gpu:{device.get_device_id()}" if on_gpu else "cpu")
    return device


@contextmanager
def computing_in(net: nn.Layer, precision: str) -> Iterator[None]:
    on_gpu = isinstance(device_of(net), paddle.CUDAPlace) and paddle.is_compiled_with_cuda()
    core = paddle.base.core
    before = (core.get_cublas_switch(), core.get_cudnn_switch()) if on_gpu else None
    try:
        if on_gpu:
            core.set_cublas_switch(precision == "tf32")
            core.set_cudnn_switch(precision == "tf32")
        with paddle.amp.auto_cast(precision == "bfloat16", dtype="bfloat16"):
            yield
    finally:
        if before is not None:
            core.set_cublas_switch(before[0])
            core.set_cudnn_switch(before[1])


def to_device(net: nn.Layer, device: Any) -> Any:
    net.to(device=make_current(device))
    return device


def device_of(net: nn.Layer) -> Any:
    places = [p.place for p in net.parameters()]
    on_gpu = bool(places) and places[0].is_gpu_place()
    return paddle.CUDAPlace(places[0].gpu_device_id()) if on_gpu else cpu()


def _variables(net: nn.Layer) -> dict[str, tuple[Any, bool]]:
    """Return, by neutral key, each variable and whether it is transposed: Linear weights are (in, out)."""
    rename = {"_mean": "running_mean", "_variance": "running_var"}
    linear = {
        name
        for name, layer in net.named_sublayers(include_self=True)
        if isinstance(layer, nn.Linear)
    }
    variables = {}
    for key, tensor in net.state_dict().items():
        head, dot, tail = key.rpartition(".")
        variables[f"{head}{dot}{rename.get(tail, tail)}"] = (
            tensor,
            head in linear and tail == "weight",
        )
    return variables


def get_weights(net: nn.Layer) -> Weights:
    return {key: _to_neutral(v, transposed) for key, (v, transposed) in _variables(net).items()}


def _to_neutral(tensor: paddle.Tensor, transposed: bool) -> np.ndarray:
    """Return a copy of a tensor's values in the neutral layout."""
    array = tensor.numpy()
    return np.array(array.T if transposed else array, order="C")


def set_weights(net: nn.Layer, weights: Weights) -> None:
    for key, (variable, transposed) in _variables(net).items():
        variable.set_value(np.ascontiguousarray(weights[key].T if transposed else weights[key]))


SUFFIX = ".pdparams"


def export(net: nn.Layer, path: str) -> None:
    """Write a file that ``paddle.load`` reads for ``net.set_state_dict``."""
    paddle.save(net.state_dict(), path)


def seed(net: nn.Layer, number: int) -> None:
    paddle.seed(number)


def set_mask(net: nn.Sequential, index: int, mask: np.ndarray) -> None:
    net[index].mask = to_tensor(mask, device_of(net))


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Any, device: Any) -> paddle.Tensor:
    if isinstance(array, paddle.Tensor):
        return array.to(device)
    return paddle.to_tensor(array, place=device)


def take(tensor: paddle.Tensor, indices: paddle.Tensor) -> paddle.Tensor:
    return paddle.gather(tensor, indices)


def images(pixels: Any, transform: ImageTransform, device: Any) -> paddle.Tensor:
    x = to_tensor(pixels, device).astype("float32")  # (B, H, W)
    x = transform.apply(x, partial(to_tensor, device=device))  # (B, S, S)
    return x.unsqueeze(1)  # (B, 1, S, S)


def to_numpy(tensor: paddle.Tensor) -> np.ndarray:
    if tensor.dtype == paddle.bfloat16:  # NumPy has no bfloat16; Paddle would return the raw bits
        tensor = tensor.astype("float32")
    return tensor.numpy()


def read(scalars: Sequence[paddle.Tensor]) -> list[float]:
    return paddle.stack(list(scalars)).tolist()


# --- training -------------------------------------------------------------------------------------


class Trainer:
    """SGD with momentum on the mean softmax cross-entropy: v = momentum * v + grad; w -= lr * v.

    Nesterov: w -= lr * (grad + momentum * v).
    """

    velocity_scale = 1.0

    def __init__(self, net: nn.Layer, lr: float, momentum: float, nesterov: bool = False) -> None:
        self.net = net
        parameters = net.parameters()
        if momentum:
            self.optimizer = paddle.optimizer.Momentum(lr, momentum, parameters, nesterov)
        else:  # Momentum would allocate buffers even with momentum 0
            self.optimizer = paddle.optimizer.SGD(lr, parameters)

    def step(self, X: paddle.Tensor, y: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        logits, loss = backward(self.net, X, y)
        self.optimizer.step()
        return loss.detach() * len(y), (logits.argmax(axis=1) == y).sum()

    def set_lr(self, lr: float) -> None:
        self.optimizer.set_lr(lr)

    def get_velocity(self) -> Weights:
        return {key: _to_neutral(v, transposed) for key, (v, transposed) in self._states().items()}

    def set_velocity(self, velocity: Weights) -> None:
        for key, (buffer, transposed) in self._states().items():
            v = velocity[key]
            buffer.set_value(np.ascontiguousarray(v.T if transposed else v))

    def _states(self) -> dict[str, tuple[Any, bool]]:
        """Return the momentum buffers in the form of `_variables`. Without momentum, return {}.

        Allocate missing buffers now; otherwise the first step would allocate them.
        """
        if not isinstance(self.optimizer, paddle.optimizer.Momentum):
            return {}
        learned = {k: v for k, v in _variables(self.net).items() if not v[0].stop_gradient}
        block = paddle.base.framework.default_main_program().global_block()
        self.optimizer._create_accumulators(block, [v for v, _ in learned.values()])
        states = self.optimizer._accumulators["velocity"]
        return {key: (states[v.name], transposed) for key, (v, transposed) in learned.items()}


def backward(
    net: nn.Layer, X: paddle.Tensor, y: paddle.Tensor, scale: float = 1.0
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Run a mini-batch forward and backward in training mode; fill every ``grad``.

    Return the logits (B, classes) and the mean loss. ``scale`` multiplies the gradients.
    """
    net.train()
    net.clear_gradients()  # Paddle adds to existing gradients, and earlier code may have left some
    logits = net(X)  # (B, classes)
    loss = F.cross_entropy(logits, y)
    (loss if scale == 1 else loss * scale).backward()
    return logits, loss


class Passes:
    """The forward and the backward pass of a net in training mode, without a loss."""

    def __init__(self, net: nn.Layer, input_gradient: bool) -> None:
        self.net, self.input_gradient = net, input_gradient

    def forward(self, X: paddle.Tensor) -> paddle.Tensor:
        self.net.train()
        self.net.clear_gradients()
        self.X = X.detach()
        self.X.stop_gradient = not self.input_gradient
        self.y = self.net(self.X)
        return self.y.detach()

    def backward(self, dy: paddle.Tensor) -> list[paddle.Tensor]:
        self.y.backward(dy)
        return [t.grad for t in (self.X, *self.net.parameters()) if not t.stop_gradient]


def gradients(net: nn.Layer, X: paddle.Tensor, y: paddle.Tensor) -> tuple[float, Weights]:
    _, loss = backward(net, X, y)
    learned = {k: v for k, v in _variables(net).items() if not v[0].stop_gradient}
    return float(loss), {
        k: _to_neutral(v.grad, transposed) for k, (v, transposed) in learned.items()
    }


@paddle.no_grad()
def predict(net: nn.Layer, X: paddle.Tensor) -> paddle.Tensor:
    layers = net.sublayers(include_self=True)
    with evaluating(net, layers), computing_in(net, "float32"):
        return net(X)  # (B, classes)
