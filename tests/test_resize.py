"""The resize: bilinear with half-pixel centres, as in the frameworks, and never out of range."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import by_backend
from hypothesis import given
from hypothesis import strategies as st

from alexnet import backends
from alexnet.datasets.resize import ImageTransform, resize_matrix


@given(size_out=st.integers(1, 300), size_in=st.integers(1, 40))
def test_rows_are_weights_of_two_neighbours_that_add_up_to_one(size_out, size_in):
    matrix = resize_matrix(size_out, size_in)
    assert matrix.dtype == np.float32
    assert (matrix >= 0).all()
    assert (matrix.astype(np.float64).sum(axis=1) == 1).all()  # exactly
    for row in matrix:
        (places,) = np.nonzero(row)
        assert places[-1] - places[0] <= 1


@given(size_in=st.integers(1, 40))
def test_the_same_size_changes_nothing(size_in):
    assert np.array_equal(resize_matrix(size_in, size_in), np.eye(size_in))


@given(size_out=st.integers(1, 300), size_in=st.integers(1, 40))
def test_the_resize_is_symmetric(size_out, size_in):
    matrix = resize_matrix(size_out, size_in)
    assert np.allclose(matrix[::-1, ::-1], matrix, atol=1e-6)


def test_a_ramp_stays_a_ramp():
    ramp = np.arange(28, dtype=np.float32)
    found = resize_matrix(224, 28) @ ramp
    expected = ((np.arange(224) + 0.5) / 8 - 0.5).clip(0, 27)
    assert np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [28, 225, 231])
def test_pixels_stay_in_range(size):
    """White stays exactly 1, although float32 rounds."""
    pixels = np.full((2, 28, 28), 255, np.uint8)
    pixels[1, 3:9, 5:20] = 0
    images = backends.load("numpy").images(pixels, ImageTransform(resize_matrix(size, 28)), "cpu")
    assert images.min() == 0
    assert images.max() == 1
    assert (images[0] == 1).all()


@pytest.mark.parametrize("size", [56, 224, 231])
def test_it_is_the_frameworks_bilinear_resize(framework, real_images, size):
    """Each framework's own operator, with the options for half-pixel centres."""
    x = real_images[:3].astype(np.float32)[:, None] / 255
    if framework == "torch":
        import torch

        own = torch.nn.functional.interpolate(torch.from_numpy(x), size=size, mode="bilinear")
        own = own.numpy()
    elif framework == "mxnet":
        import mxnet as mx

        image = mx.nd.array(x)
        own = mx.nd.contrib.BilinearResize2D(image, height=size, width=size, align_corners=False)
        own = own.asnumpy()
    elif framework == "tensorflow":
        import tensorflow as tf

        own = tf.image.resize(x.transpose(0, 2, 3, 1), (size, size)).numpy().transpose(0, 3, 1, 2)
    elif framework == "paddle":
        import paddle

        image = paddle.to_tensor(x)
        own = paddle.nn.functional.interpolate(image, (size, size), mode="bilinear", align_mode=0)
        own = own.numpy()
    else:
        own = by_backend(framework, {})
    ours = backends.load("numpy").images(
        real_images[:3], ImageTransform(resize_matrix(size, 28)), "cpu"
    )
    # They compute the places of pixels (up to 28) in float32, we in float64: 28 * 2**-24 apart.
    tolerance = 2e-7 if size % 28 == 0 else 5e-6
    assert np.abs(own - ours).max() < tolerance
