"""The batches of the loaders and their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alexnet import backends, load_fashion_mnist
from alexnet.data import ImageLoader
from alexnet.datasets.resize import ImageTransform


def numbered(n, batch_size=4, shuffle=True, seed=0):
    """A loader whose labels are the examples' numbers."""
    pixels = np.arange(n * 6, dtype=np.uint8).reshape(n, 2, 3)
    return ImageLoader(pixels, np.arange(n), batch_size, ImageTransform(), shuffle, seed)


def labels(batches):
    return [int(i) for _, y in batches for i in y]


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), epochs=st.integers(1, 3))
def test_every_epoch_shows_every_example_once(n, batch_size, epochs):
    loader = numbered(n, batch_size)
    for _ in range(epochs):
        sizes = [len(y) for _, y in loader]
        assert len(sizes) == len(loader)
        assert sum(sizes) == n
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert 1 <= sizes[-1] <= batch_size
    assert sorted(labels(loader)) == list(range(n))


def test_the_first_batches_are_the_first_of_the_whole_epoch():
    whole, part = numbered(50), replace(numbered(50), max_batches=3)
    assert labels(part) == labels(whole)[:12]
    assert len(part) == 3
    assert len(replace(numbered(5), max_batches=3)) == 2


def test_orders_differ_by_epoch_and_seed_and_repeat():
    loader = numbered(50)
    first, second = labels(loader), labels(loader)
    assert first != second
    assert labels(loader.epoch(0)) == first
    assert labels(numbered(50)) == first
    assert labels(numbered(50, seed=1)) != first


def test_the_test_set_is_never_shuffled():
    _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    assert labels(test_iter) == labels(test_iter) == test_iter.labels.tolist()


def test_images_stay_with_their_labels():
    loader = numbered(30)
    for X, y in loader:
        assert np.array_equal((X[:, 0] * 255).round().astype(int), loader.pixels[y])


def test_every_framework_gets_the_same_batches(framework):
    options = {"resize": 40, "source": "sample", "subset": (50, 10), "seed": 3, "normalize": True}
    plain, _ = load_fashion_mnist(32, **options)
    own, _ = load_fashion_mnist(32, backend=framework, device="cpu", **options)
    backend = backends.load(framework)
    for _ in range(2):
        for (X, y), (native_X, native_y) in zip(plain, own, strict=True):
            found = backend.to_numpy(native_X)
            if backends.framework(framework).channels_last:
                found = found.transpose(0, 3, 1, 2)
            assert found.shape == X.shape
            assert np.abs(found - X).max() < 1e-5
            assert backend.to_numpy(native_y).tolist() == y.tolist()
            assert backend.to_numpy(native_y).dtype == np.int64


def test_numpy_batches_are_float32_in_range_and_int64():
    train_iter, _ = load_fashion_mnist(8, resize=61, source="sample", subset=(8, 8))
    ((X, y),) = train_iter
    assert (X.shape, X.dtype, y.dtype) == ((8, 1, 61, 61), np.float32, np.int64)
    assert X.min() >= 0
    assert X.max() <= 1


def test_normalised_images_have_mean_zero_and_deviation_one():
    train_iter, _ = load_fashion_mnist(5000, resize=None, source="sample", normalize=True)
    ((X, _),) = train_iter
    assert abs(X.mean()) < 0.02
    assert abs(X.std() - 1) < 0.02


def test_the_smaller_of_two_subsets_is_used(monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "20:30")
    train_iter, test_iter = load_fashion_mnist(8, source="sample", subset=(10, 100))
    assert (train_iter.num_examples, test_iter.num_examples) == (10, 30)
