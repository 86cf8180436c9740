"""Initial weights: Xavier, zero biases, the same wherever a net has its activations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.spec import zoo
from alexnet.spec.weights import initial_weights

SHAPES = st.lists(st.integers(1, 12), min_size=2, max_size=4).map(tuple)


@given(shape=SHAPES, seed=st.integers(0, 2**32))
def test_weights_lie_within_xaviers_bound(shape, seed):
    w = initial_weights({"0.weight": shape}, seed)["0.weight"]
    receptive = int(np.prod(shape[2:]))
    bound = np.sqrt(6 / (shape[0] * receptive + shape[1] * receptive))
    assert w.shape == shape
    assert w.dtype == np.float32
    assert np.abs(w).max() <= bound * (1 + 1e-6)


def test_weights_fill_the_bound_evenly():
    w = initial_weights({"0.weight": (300, 200)}, 0)["0.weight"]
    bound = np.sqrt(6 / 500)
    assert abs(w.mean()) < 0.01 * bound
    assert w.var() == pytest.approx(bound**2 / 3, rel=0.02)


def test_every_array_and_every_seed_has_its_own_weights():
    shapes = {"0.weight": (4, 5), "1.weight": (4, 5)}
    a, b = initial_weights(shapes, 0), initial_weights(shapes, 1)
    arrays = [*a.values(), *b.values()]
    assert len({x.tobytes() for x in arrays}) == 4


def test_the_places_of_activations_do_not_matter():
    """Keys 0, 3, 7 in one framework may be 0, 2, 5 in another; the weights are the same."""
    shapes = list(zoo.LENET.resolve().parameters.values())
    a = initial_weights({f"{i}.weight": s for i, s in enumerate(shapes)}, 0)
    b = initial_weights({f"{3 * i}.weight": s for i, s in enumerate(shapes)}, 0)
    assert all(np.array_equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def test_vectors_start_at_zero_or_one():
    names = ("weight", "bias", "running_mean", "running_var")
    w = initial_weights({f"3.{name}": (5,) for name in names}, 0)
    assert [float(x[0]) for x in w.values()] == [1.0, 0.0, 0.0, 1.0]
