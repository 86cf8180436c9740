"""The book's small names: array functions, labels, corr2d, Accumulator, Timer."""

from __future__ import annotations

import numpy as np
import pytest

from alexnet import backends
from alexnet.errors import DataError, RunError

pytestmark = pytest.mark.usefixtures("the_sample")


def test_small_names_compute_what_they_say(framework, d2l):
    X = d2l.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert int(d2l.size(X)) == 6
    assert backends.to_numpy(d2l.argmax(X, 1)).tolist() == [2, 2]
    assert float(d2l.reduce_sum(X)) == 21
    assert float(d2l.reduce_mean(X)) == 3.5
    assert d2l.numpy(d2l.reshape(X, (3, 2))).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert d2l.numpy(d2l.transpose(X)).tolist() == [[1, 4], [2, 5], [3, 6]]
    assert d2l.numpy(d2l.matmul(X, d2l.transpose(X))).tolist() == [[14, 32], [32, 77]]
    assert "int32" in str(d2l.astype(X, d2l.int32).dtype)
    for name in ("abs", "exp", "log", "sin", "cos", "sinh", "cosh", "tanh"):
        found = d2l.numpy(getattr(d2l, name)(X))
        assert found == pytest.approx(getattr(np, name)(d2l.numpy(X)), rel=1e-5), name
    assert d2l.numpy(d2l.arange(4)).tolist() == [0, 1, 2, 3]
    assert d2l.numpy(d2l.linspace(0, 1, 3)).tolist() == [0, 0.5, 1]
    assert d2l.numpy(d2l.eye(2)).tolist() == [[1, 0], [0, 1]]
    assert d2l.numpy(d2l.ones((2, 3))).tolist() == [[1] * 3] * 2
    assert d2l.numpy(d2l.zeros((2, 3))).tolist() == [[0] * 3] * 2
    rows = d2l.meshgrid(d2l.tensor([1, 2]), d2l.tensor([3, 4]))[0]
    assert sorted(d2l.numpy(rows).ravel().tolist()) == [1, 1, 2, 2]
    size = {"torch": (0.0, 1.0, (500,)), "paddle": (0.0, 1.0, [500]), "mxnet": (0.0, 1.0, (500,))}
    drawn = d2l.numpy(d2l.normal(*size.get(framework, ((500,), 0.0, 1.0))))
    assert abs(drawn.mean()) < 0.3
    assert 0.8 < drawn.std() < 1.2
    uniform = d2l.numpy(d2l.rand(*((500,) if framework in ("torch", "mxnet") else ([500],))))
    assert 0 <= uniform.min() < uniform.max() <= 1
    assert d2l.numpy(d2l.concat([X, X], 0)).shape == (4, 3)
    assert d2l.numpy(d2l.stack([X, X])).shape == (2, 2, 3)


def test_labels_have_names(d2l):
    with pytest.raises(DataError, match="labels must be from 0 to 9, got 10"):
        d2l.get_fashion_mnist_labels([10])
    _, y = next(iter(d2l.load_data_fashion_mnist(4)[1]))
    assert d2l.get_fashion_mnist_labels(y) == ["bag", "dress", "shirt", "dress"]


def test_corr2d_is_the_cross_correlation(framework, d2l):
    rng = np.random.default_rng(0)
    X, K = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 7), (2, 3)))
    windows = np.lib.stride_tricks.sliding_window_view(X, (2, 3))
    expected = (windows * K).sum(axis=(2, 3))
    found = backends.to_numpy(d2l.corr2d(d2l.tensor(X), d2l.tensor(K)))
    assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(
        DataError, match=r"the kernel must fit into the input \(2, 9\), got \(3, 2\)"
    ):
        d2l.corr2d(d2l.ones((2, 9)), d2l.ones((3, 2)))


def test_an_accumulator_needs_a_value_for_each_sum(d2l):
    sums = d2l.Accumulator(2)
    sums.add(d2l.tensor(1.5), 2)
    sums.add(1, d2l.tensor([3.0]))
    assert (sums[0], sums[1]) == (2.5, 5)
    sums.reset()
    assert sums[1] == 0
    with pytest.raises(RunError, match="must get 2 values, got 3"):
        sums.add(1, 2, 3)


def test_a_timer_adds_up(d2l):
    timer = d2l.Timer()
    times = [timer.stop()]
    timer.start()
    times.append(timer.stop())
    assert timer.times == times
    assert timer.sum() == pytest.approx(sum(times))
    assert timer.avg() == pytest.approx(sum(times) / 2)
    assert timer.cumsum() == pytest.approx([times[0], sum(times)])
