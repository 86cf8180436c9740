"""PyTorch: ``torch.nn.Sequential``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from alexnet import spec
from alexnet.resize import ImageTransform
from alexnet.spec import ResolvedNet, Shape
from alexnet.weights import Weights


def version() -> str:
    return torch.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[torch.device]:
    """CUDA or ROCm (both are called cuda), else Apple's MPS."""
    if torch.cuda.is_available():
        return [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    return [torch.device("mps")] if torch.backends.mps.is_available() else []


def cpu() -> torch.device:
    return torch.device("cpu")


def home() -> torch.device:
    return cpu()


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_gpu_memory(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


# --- model ----------------------------------------------------------------------------------------


def _module(layer: spec.Layer, shape: Shape) -> nn.Module:
    match layer:
        case spec.Conv(out, kernel, stride, padding, groups):
            return nn.Conv2d(shape[0], out, kernel, stride, padding, groups=groups)
        case spec.MaxPool(kernel, _, padding):
            return nn.MaxPool2d(kernel, layer.step, padding)
        case spec.AvgPool(kernel, _, padding):
            return nn.AvgPool2d(kernel, layer.step, padding)
        case spec.GlobalAvgPool():
            return nn.AdaptiveAvgPool2d(1)
        case spec.Dense(out):
            return nn.Linear(shape[0], out)
        case spec.ReLU():
            return nn.ReLU()
        case spec.Sigmoid():
            return nn.Sigmoid()
        case spec.Tanh():
            return nn.Tanh()
        case spec.Flatten():
            return nn.Flatten()
        case spec.Dropout(rate):
            return nn.Dropout(rate)
        case spec.LocalResponseNorm(size, alpha, beta, k):
            return nn.LocalResponseNorm(size, alpha * size, beta, k)  # it divides alpha by size
        case spec.BatchNorm(momentum, epsilon):
            norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
            return norm(shape[0], eps=epsilon, momentum=momentum)
    raise TypeError(f"no rendering for {layer!r}")


def render(net: ResolvedNet, device: torch.device) -> nn.Sequential:
    model = nn.Sequential(*[_module(row.layer, row.input_shape) for row in net.rows]).to(device)
    if device.type == "cpu":
        model.to(memory_format=torch.channels_last)  # strides that the CPU's kernels prefer
    return model


def place(net: nn.Module, device: torch.device) -> torch.device:
    net.to(device)
    return device


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


def seed(net: nn.Module, number: int) -> None:
    torch.manual_seed(number)


# --- batches --------------------------------------------------------------------------------------


def put(array: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(array, device=device)


def images(pixels: np.ndarray, transform: ImageTransform, device: torch.device) -> torch.Tensor:
    x = put(pixels, device).float() / 255  # (B, 28, 28)
    if transform.matrix is not None:
        matrix = torch.tensor(transform.matrix, device=device)
        x = matrix @ x @ matrix.T  # (B, S, S)
    return ((x - transform.mean) / transform.std).unsqueeze(1)  # (B, 1, S, S)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has none


# --- training -------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, net: nn.Module, lr: float, momentum: float) -> None:
        self.net = net
        self.optimizer = torch.optim.SGD(net.parameters(), lr, momentum)

    def step(self, X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.net.train()
        logits = self.net(X)  # (B, classes)
        loss = F.cross_entropy(logits, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach() * len(y), (logits.argmax(dim=1) == y).sum()


@torch.no_grad()
def predict(net: nn.Module, X: torch.Tensor) -> torch.Tensor:
    net.eval()
    return net(X)
