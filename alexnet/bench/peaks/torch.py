"""The peaks of PyTorch's matrix product and convolution, and the memory bandwidth, on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from alexnet import backends
from alexnet.backends.torch import using_tf32
from alexnet.bench.peaks.clock import fastest

MATRICES = {"cpu": (2048, 4096), "cuda": (4096, 8192)}  # rows and columns
IMAGES = {"cpu": (64,), "cuda": (128, 512)}  # in a batch of the convolution
ARRAYS = {"cpu": 2**26, "cuda": 2**28}  # float32 numbers in an array: more than the caches hold
CHANNELS, SIDE, WINDOW = 384, 12, 3  # AlexNet's fourth convolution, the fastest on a CPU


def peaks(device: str | None, precision: str) -> dict[str, float]:
    """Return the peaks of the matrix product and the convolution in FLOP/s, each over several sizes.

    ``device``: as in `alexnet.train_ch6`. ``precision``: float32, tf32 or bfloat16. Both the operands and
    the results have this precision.
    """
    place = backends.resolve_device(backends.load("torch"), device)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    matrices, images = MATRICES.get(place.type, (2048,)), IMAGES.get(place.type, (64,))
    torch.backends.cudnn.benchmark = (
        True  # choose the fastest kernel; this process does nothing else
    )
    with torch.no_grad(), using_tf32(precision == "tf32"):
        return {
            "matmul": max(_matmul(n, place, dtype) for n in matrices),
            "convolution": max(_convolution(n, place, dtype) for n in images),
        }


def bandwidth(device: str | None) -> dict[str, float]:
    """Return the memory bandwidth in bytes/s of a copy and of a triad, in all threads.

    A copy reads one array and writes one. A triad, a = b + scalar * c, reads two arrays and writes one
    (STREAM: McCalpin, 1995). ``device``: as in `alexnet.train_ch6`; on a GPU, its own memory is measured.
    """
    place = backends.resolve_device(backends.load("torch"), device)
    size = ARRAYS.get(place.type, 2**26)
    a, b, c = (torch.ones(size, device=place) for _ in "abc")
    copy = fastest(_finished(lambda: a.copy_(b), place))
    triad = fastest(_finished(lambda: torch.add(b, c, alpha=0.5, out=a), place))
    return {"copy": 2 * 4 * size / copy, "triad": 3 * 4 * size / triad}


def _matmul(size: int, place: torch.device, dtype: torch.dtype) -> float:
    a, b = (torch.randn(size, size, device=place).to(dtype) for _ in "ab")
    out = torch.empty_like(a)
    return 2 * size**3 / fastest(_finished(lambda: torch.mm(a, b, out=out), place))


def _convolution(images: int, place: torch.device, dtype: torch.dtype) -> float:
    layout = torch.channels_last
    x = torch.randn(images, CHANNELS, SIDE, SIDE, device=place)
    w = torch.randn(CHANNELS, CHANNELS, WINDOW, WINDOW, device=place)
    x, w = (t.to(dtype).to(memory_format=layout) for t in (x, w))
    flop = 2 * images * SIDE**2 * CHANNELS**2 * WINDOW**2
    return flop / fastest(_finished(lambda: F.conv2d(x, w, padding=WINDOW // 2), place))


def _finished(work: Callable[[], object], place: torch.device) -> Callable[[], None]:
    """Return a function that does the work and waits for the device."""

    def run() -> None:
        work()
        backends.load("torch").synchronize(place)

    return run
