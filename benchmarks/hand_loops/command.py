"""What the hand-written loops share when they run by themselves: options, images and one line of output."""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
SAMPLE = Path(__file__).parents[2] / "alexnet" / "datasets" / "sample"


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the training images, uint8 (N, 28, 28), and their labels, int64 (N,)."""
    images, labels = (gzip.decompress((folder / name).read_bytes()) for name in FILES)
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return pixels.copy(), np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)


def main(train: Callable[..., float]) -> None:
    """Read the options, train, and print the speed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=("alexnet", "lenet"), default="alexnet")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5, help="timed steps; one more comes before")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16 or tf32")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--data", type=Path, default=SAMPLE, help="folder with the IDX files (.gz)")
    options = vars(parser.parse_args())
    images, labels = read(options.pop("data"))
    print(f"{train(images, labels, **options):.1f} examples/sec")
