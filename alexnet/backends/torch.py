"""The PyTorch backend: nets are ``torch.nn.Sequential``.

`alexnet.backends.interface` documents each function.
Layers: https://pytorch.org/docs/stable/nn.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from alexnet.backends.calls import Call
from alexnet.backends.evaluation import evaluating
from alexnet.backends.registry import torch as registry
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet
from alexnet.spec.weights import Weights

ENTRY = registry.ENTRY


def version() -> str:
    return torch.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[torch.device]:
    """Return the CUDA or ROCm GPUs (PyTorch calls both ``cuda``), else Apple's MPS."""
    if torch.cuda.is_available():
        return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return [torch.device("mps")] if torch.backends.mps.is_available() else []


def gpu_build() -> str | None:
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    return "Metal" if torch.backends.mps.is_built() else None


def cpu() -> torch.device:
    return torch.device("cpu")


def default_device() -> torch.device:
    return cpu()


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def using_tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 on NVIDIA GPUs in the ``with`` block."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    value: str | bool
    if hasattr(cudnn, "conv"):  # PyTorch 2.9 and later; they refuse a mix with the older switches
        name, switches = "fp32_precision", (matmul, cudnn.conv)
        value = "tf32" if allowed else "ieee"
    else:
        name, switches, value = "allow_tf32", (matmul, cudnn), allowed
    before = [getattr(switch, name) for switch in switches]
    for switch in switches:
        setattr(switch, name, value)
    try:
        yield
    finally:
        for switch, old in zip(switches, before, strict=True):
            setattr(switch, name, old)


def precisions(device: torch.device) -> tuple[str, ...]:
    if device.type == "cpu":
        return ("bfloat16",)
    if device.type == "cuda" and torch.version.cuda:
        since_ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return ("bfloat16", "tf32") if since_ampere else ()
    return ()


def peak_gpu_memory(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


# --- model ----------------------------------------------------------------------------------------


class BiasedVariance(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose running variance is biased, as in other frameworks."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        old_part = (1 - self.momentum) * self.running_var  # (C,)
        y = super().forward(x)
        n = self.values_per_channel(x)
        # PyTorch has added the unbiased variance, which is n / (n - 1) times larger.
        # Assign through .data so that autograd ignores the change.
        self.running_var.data = old_part + (self.running_var - old_part) * (n - 1) / n
        return y

    def values_per_channel(self, x: torch.Tensor) -> int:
        return x.numel() // self.num_features


class BatchNorm1d(BiasedVariance, nn.BatchNorm1d):
    """PyTorch's BatchNorm1d with a biased running variance."""


class BatchNorm2d(BiasedVariance, nn.BatchNorm2d):
    """PyTorch's BatchNorm2d with a biased running variance."""


class MaskedDropout(nn.Module):
    """Dropout that multiplies by a mask set before the step (`alexnet.backends.dropout_masks`)."""

    mask: torch.Tensor  # uint8, shape of x: 0 or 1

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.scale = 1 / (1 - rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (self.mask.to(x.dtype) * self.scale)


def render(
    net: ResolvedNet, calls: Iterable[Call], device: torch.device, dtype: str
) -> nn.Sequential:
    model = nn.Sequential(*(call.evaluate(globals()) for call in calls))
    model.to(device, getattr(torch, dtype))
    if device.type == "cpu":
        model.to(memory_format=torch.channels_last)  # CPU kernels are faster with these strides
    return model


def with_masks(net: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(
        *(MaskedDropout(layer.p) if isinstance(layer, nn.Dropout) else layer for layer in net)
    )


@contextmanager
def computing_in(net: nn.Module, precision: str) -> Iterator[None]:
    device = device_of(net)
    if device.type == "cuda" and precision != "float32":  # tensor cores prefer these strides
        _to_channels_last(net)
    with (
        using_tf32(precision == "tf32") if device.type == "cuda" else nullcontext(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        yield


def _to_channels_last(net: nn.Module) -> None:
    layout = torch.channels_last
    kernels = (p for p in net.parameters() if p.dim() == 4)
    if not all(kernel.is_contiguous(memory_format=layout) for kernel in kernels):
        net.to(memory_format=layout)


def to_device(net: nn.Module, device: torch.device) -> torch.device:
    net.to(device)
    return device


def device_of(net: nn.Module) -> torch.device:
    return next((p.device for p in net.parameters()), cpu())


def get_weights(net: nn.Module) -> Weights:
    return {
        key: tensor.detach().cpu().numpy().copy()
        for key, tensor in net.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }


def set_weights(net: nn.Module, weights: Weights) -> None:
    net.load_state_dict(
        {k: torch.from_numpy(np.array(w)) for k, w in weights.items()}, strict=False
    )


SUFFIX = ".torch.safetensors"


def export(net: nn.Module, path: str) -> None:
    """Write a file that ``safetensors.torch.load_file`` reads for ``net.load_state_dict``."""
    save_file({k: t.contiguous() for k, t in net.state_dict().items()}, path, {"format": "pt"})


def seed(net: nn.Module, number: int) -> None:
    torch.manual_seed(number)


def set_mask(net: nn.Sequential, index: int, mask: np.ndarray) -> None:
    net[index].mask = to_tensor(mask, device_of(net))


# --- batches --------------------------------------------------------------------------------------


def to_tensor(array: Any, device: torch.device) -> torch.Tensor:
    tensor = torch.as_tensor(array)
    if device.type == "cuda" and tensor.device.type == "cpu":
        # From pinned memory, a copy does not wait until the GPU has finished its earlier work.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def take(tensor: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    return tensor[indices]


def images(pixels: Any, transform: ImageTransform, device: torch.device) -> torch.Tensor:
    x = to_tensor(pixels, device).float()  # (B, H, W)
    x = transform.apply(x, lambda a: to_tensor(torch.tensor(a), device))  # (B, S, S)
    return x.unsqueeze(1)  # (B, 1, S, S)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:  # NumPy has no bfloat16
        tensor = tensor.float()
    return tensor.numpy()


def read(scalars: Sequence[torch.Tensor]) -> list[float]:
    return torch.stack(list(scalars)).tolist()


# --- training -------------------------------------------------------------------------------------


class Trainer:
    """SGD with momentum on the mean softmax cross-entropy: v = momentum * v + grad; w -= lr * v.

    Nesterov: w -= lr * (grad + momentum * v).
    """

    velocity_scale = 1.0

    def __init__(self, net: nn.Module, lr: float, momentum: float, nesterov: bool = False) -> None:
        self.net = net
        self.optimizer = torch.optim.SGD(net.parameters(), lr, momentum, nesterov=nesterov)

    def step(self, X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, loss = backward(self.net, X, y)
        self.optimizer.step()
        return loss.detach() * len(y), (logits.argmax(dim=1) == y).sum()

    def set_lr(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def get_velocity(self) -> Weights:
        state = self.optimizer.state
        buffers = {k: state[p].get("momentum_buffer") for k, p in self.net.named_parameters()}
        return {k: to_numpy(v).copy() for k, v in buffers.items() if v is not None}

    def set_velocity(self, velocity: Weights) -> None:
        for key, p in self.net.named_parameters():
            buffer = torch.empty_like(p)  # same strides as the parameter
            self.optimizer.state[p]["momentum_buffer"] = buffer.copy_(
                to_tensor(velocity[key], p.device)
            )


def backward(
    net: nn.Module, X: torch.Tensor, y: torch.Tensor, scale: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a mini-batch forward and backward in training mode; fill every ``grad``.

    Return the logits (B, classes) and the mean loss. ``scale`` multiplies the gradients.
    """
    net.train()
    net.zero_grad()
    logits = net(X)  # (B, classes)
    exact = logits.float() if logits.dtype == torch.bfloat16 else logits
    loss = F.cross_entropy(exact, y)
    (loss if scale == 1 else loss * scale).backward()
    return logits, loss


class Passes:
    """The forward and the backward pass of a net in training mode, without a loss."""

    def __init__(self, net: nn.Module, input_gradient: bool) -> None:
        self.net, self.input_gradient = net, input_gradient

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        self.net.train()
        self.net.zero_grad()
        self.X = X.detach().requires_grad_(self.input_gradient)
        self.y = self.net(self.X)
        return self.y.detach()

    def backward(self, dy: torch.Tensor) -> list[torch.Tensor]:
        self.y.backward(dy)
        return [t.grad for t in (self.X, *self.net.parameters()) if t.requires_grad]


def gradients(net: nn.Module, X: torch.Tensor, y: torch.Tensor) -> tuple[float, Weights]:
    _, loss = backward(net, X, y)
    return loss.item(), {key: to_numpy(p.grad).copy() for key, p in net.named_parameters()}


@torch.no_grad()
def predict(net: nn.Module, X: torch.Tensor) -> torch.Tensor:
    with evaluating(net, net.modules()), computing_in(net, "float32"):
        return net(X)  # (B, classes)
