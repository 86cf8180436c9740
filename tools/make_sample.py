"""Make the sample in alexnet/datasets/sample/ from the full Fashion-MNIST data set.

    python tools/make_sample.py

Chooses 500 training and 100 test images of each class with a fixed seed and shuffles them. Writes them as
IDX files, and prints the SHA-256 of their uncompressed bytes for alexnet/datasets/known.py.
"""

import gzip
import hashlib

import numpy as np

from alexnet.datasets import files
from alexnet.datasets.known import FASHION_MNIST

SEED = 2012


def idx(array: np.ndarray) -> bytes:
    """Return uint8 values as an IDX file: magic number, sizes (big-endian), values."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + np.ascontiguousarray(array).tobytes()


def main() -> None:
    rng = np.random.default_rng(SEED)
    arrays = files.read(FASHION_MNIST, files.locate(FASHION_MNIST))
    for start, per_class in ((0, 500), (2, 100)):
        images, labels = arrays[start : start + 2]
        of_class = (np.flatnonzero(labels == c) for c in range(10))
        chosen = np.concatenate([rng.choice(c, per_class, replace=False) for c in of_class])
        chosen = rng.permutation(chosen)
        for name, array in zip(files.FILES[start : start + 2], (images, labels), strict=True):
            data = idx(array[chosen])
            (files.sample_folder() / f"{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))
            print(f'"{hashlib.sha256(data).hexdigest()}",  # {name}')


if __name__ == "__main__":
    main()
