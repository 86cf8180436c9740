"""torchvision's Resize in a DataLoader, without training. It does not use this project.

    python benchmarks/hand_loops/torchvision_loader.py

Two ways: as torchvision's documentation advises (v2 transforms of uint8 tensors,
https://docs.pytorch.org/vision/stable/transforms.html#performance-considerations), and as the book does
(PIL images, Resize, ToTensor). Both without worker processes, which cost extra time of the cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import v2


def of_tensors(size: int) -> Callable[[np.ndarray], torch.Tensor]:
    """Return the function that makes an image of uint8 pixels (28, 28): float32 (1, size, size)."""
    steps = v2.Compose([v2.Resize(size), v2.ToDtype(torch.float32, scale=True)])
    return lambda pixels: steps(torch.from_numpy(pixels)[None])


def of_pil(size: int) -> Callable[[np.ndarray], torch.Tensor]:
    """Return the function that makes an image of uint8 pixels (28, 28): float32 (1, size, size)."""
    steps = transforms.Compose([transforms.Resize(size), transforms.ToTensor()])
    return lambda pixels: steps(Image.fromarray(pixels))


class Images(Dataset):
    """The images and labels, one by one."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, transform: Callable[[np.ndarray], Any]
    ) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def per_core(
    images: np.ndarray,
    labels: np.ndarray,
    size: int,
    batch_size: int,
    transform: Callable[[int], Callable[[np.ndarray], torch.Tensor]],
    seconds: float = 1.0,
) -> float:
    """Return the images per second of one core's time, over a run of about so many seconds."""
    loader = DataLoader(Images(images, labels, transform(size)), batch_size, shuffle=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # an image is too small for several
    count, ends, begun = 0, time.perf_counter() + seconds, time.process_time()
    for x, _ in loader:
        count += len(x)
        if time.perf_counter() > ends:
            break
    used = time.process_time() - begun
    torch.set_num_threads(threads)
    return count / used


if __name__ == "__main__":
    from command import SAMPLE, read

    for way in (of_tensors, of_pil):
        print(f"{way.__name__}: {per_core(*read(SAMPLE), 224, 128, way):,.0f} images/sec per core")
