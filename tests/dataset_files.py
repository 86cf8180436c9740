"""The sample's files, and ways to damage a copy of them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from alexnet.datasets import files

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SAMPLE_FILES = files.sample_folder()


def truncated(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100_000])


def truncated_plain(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes())[:5000])
    path.unlink()


def corrupted(folder):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[500] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))


def mislabelled(folder):
    shutil.copy(folder / "train-labels-idx1-ubyte.gz", folder / "train-images-idx3-ubyte.gz")


def swapped(folder):
    shutil.copy(folder / "t10k-images-idx3-ubyte.gz", folder / "train-images-idx3-ubyte.gz")


def not_idx(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"<html>not found</html>"))


def not_gzip(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"<html>not found</html>")


def empty(folder):
    path = folder / "train-labels-idx1-ubyte.gz"
    path.with_suffix("").write_bytes(b"")
    path.unlink()
