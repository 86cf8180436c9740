"""PyTorch: ``torch.nn.Sequential``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from alexnet import spec
from alexnet.backends.dropout_masks import Masks
from alexnet.datasets.resize import ImageTransform
from alexnet.spec import ResolvedNet, Shape
from alexnet.spec.weights import Weights


def version() -> str:
    return torch.__version__


# --- device ---------------------------------------------------------------------------------------


def gpus() -> list[torch.device]:
    """CUDA or ROCm (both are called cuda), else Apple's MPS."""
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


class BiasedVariance(nn.modules.batchnorm._BatchNorm):
    """A norm that records the biased variance, by which it normalises too, as all others do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        kept = (1 - self.momentum) * self.running_var  # (C,)
        y = super().forward(x)
        n = x.numel() // self.num_features
        # PyTorch has added momentum * n / (n - 1) * the biased variance. Its backward pass, which in
        # training does not look at the running one, shall not take offence at the change: hence data.
        self.running_var.data = kept + (self.running_var - kept) * (n - 1) / n
        return y


class BatchNorm1d(BiasedVariance, nn.BatchNorm1d):
    """PyTorch's, but for the variance that it records."""


class BatchNorm2d(BiasedVariance, nn.BatchNorm2d):
    """PyTorch's, but for the variance that it records."""


class MaskedDropout(nn.Module):
    """Dropout by `alexnet.backends.dropout_masks`."""

    def __init__(self, index: int, rate: float, masks: Masks) -> None:
        super().__init__()
        self.index, self.rate, self.masks = index, rate, masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return x
        return x * put(self.masks.draw(self.index, self.rate, x.shape), x.device).to(x.dtype)


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
            norm = BatchNorm2d if len(shape) == 3 else BatchNorm1d
            return norm(shape[0], eps=epsilon, momentum=momentum)
    raise TypeError(f"no rendering for {layer!r}")


def render(
    net: ResolvedNet, device: torch.device, dtype: str = "float32", masks: Masks | None = None
) -> nn.Sequential:
    model = nn.Sequential(*[_module(row.layer, row.input_shape) for row in net.rows])
    if masks is not None:
        for index, layer in enumerate(model):
            if isinstance(layer, nn.Dropout):
                model[index] = MaskedDropout(index, layer.p, masks)
    model.to(device, getattr(torch, dtype))
    if device.type == "cpu":
        model.to(memory_format=torch.channels_last)  # strides that the CPU's kernels prefer
    return model


def place(net: nn.Module, device: torch.device) -> torch.device:
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
    """The ``state_dict``."""
    save_file({k: t.contiguous() for k, t in net.state_dict().items()}, path, {"format": "pt"})


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
    velocity_scale = 1.0

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

    def get_velocity(self) -> Weights:
        state = self.optimizer.state
        kept = {k: state[p].get("momentum_buffer") for k, p in self.net.named_parameters()}
        return {k: to_numpy(v).copy() for k, v in kept.items() if v is not None}

    def set_velocity(self, velocity: Weights) -> None:
        for key, p in self.net.named_parameters():
            kept = torch.empty_like(p)  # in the parameter's own order of axes in memory
            self.optimizer.state[p]["momentum_buffer"] = kept.copy_(put(velocity[key], p.device))


def gradients(net: nn.Module, X: torch.Tensor, y: torch.Tensor) -> tuple[float, Weights]:
    net.train()
    net.zero_grad()
    loss = F.cross_entropy(net(X), y)
    loss.backward()
    return loss.item(), {key: to_numpy(p.grad).copy() for key, p in net.named_parameters()}


@torch.no_grad()
def predict(net: nn.Module, X: torch.Tensor) -> torch.Tensor:
    in_training = [module for module in net.modules() if module.training]
    net.eval()
    try:
        return net(X)  # (B, classes)
    finally:  # whoever is in the middle of training goes on with it
        for module in in_training:
            module.training = True
