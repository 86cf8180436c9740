"""The forward and the backward pass of single layers, in every backend."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import native
from nets import EVERY_LAYER, example, rendered

from alexnet import backends
from alexnet.spec import Flatten, Net
from alexnet.spec.weights import initial_weights

# A net of one layer for each row of the nets that have every layer. The order of a Flatten's output is
# that of its framework.
LAYERS = [
    Net(f"{net.name}-{row.index}", row.input_shape, (row.layer,))
    for net in EVERY_LAYER
    for row in net.resolve().rows
    if not isinstance(row.layer, Flatten)
]


def neutral(name, array):
    """Values of a framework's tensor: images (B, C, H, W)."""
    values = backends.to_numpy(array)
    turned = backends.framework(name).channels_last and values.ndim == 4
    return values.transpose(0, 3, 1, 2) if turned else values


def passes(name, net, input_gradient=True):
    """The output and the gradients of one layer, from an input and a gradient of its output."""
    rng = np.random.default_rng(3)
    weights = {k: w + 0.125 for k, w in initial_weights(net.resolve().parameters, 1).items()}
    images = rng.standard_normal((4, *net.input_shape))
    found = backends.load(name).Passes(rendered(name, net, weights), input_gradient)
    y = found.forward(native(name, images))
    dy = native(name, rng.standard_normal((4, *net.resolve().output_shape)))
    return neutral(name, y), [neutral(name, g) for g in found.backward(dy)]


@pytest.mark.parametrize("net", LAYERS, ids=lambda net: f"{net.name}-{net.layers[0]!r}")
def test_output_and_gradients_of_a_layer_agree_with_the_reference(framework, net):
    expected, (dx, *learned) = passes("numpy", net)
    y, (found, *others) = passes(framework, net)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(found, dx, rtol=0, atol=2e-5 * np.abs(dx).max())
    norms = [np.linalg.norm(g) for g in learned]  # the same in every layout
    np.testing.assert_allclose([np.linalg.norm(g) for g in others], norms, rtol=1e-4)


@pytest.mark.parametrize("net", EVERY_LAYER, ids=lambda net: net.name)
def test_the_gradients_of_a_whole_net_come_in_the_order_of_its_arrays(name, net):
    weights, images, _ = example(net)
    learned = [k for k in weights if "running" not in k]
    for asked in (False, True):
        found = backends.load(name).Passes(rendered(name, net, weights), asked)
        y = found.forward(native(name, images))
        gradients = found.backward(y)
        assert len(gradients) == len(learned) + asked
        sizes = [np.size(backends.to_numpy(g)) for g in gradients[asked:]]
        assert sizes == [weights[k].size for k in learned]
