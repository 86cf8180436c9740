"""On all 70,000 images: the accuracy of train_ch6, and the predictions of a trained net."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_files import DEBIAN
from helpers import native
from loops import PLAIN_LOOPS, Silent

import alexnet
from alexnet import backends, load_fashion_mnist, train_ch6
from alexnet.spec import Conv, Dense, Flatten, MaxPool, Net, ReLU

BATCH_SIZE, LR = 64, 0.1
# LeNet's sizes with rectifiers, which learn within one epoch; the book's sigmoids need several.
RELU_LENET = Net(
    "relu-lenet",
    (1, 28, 28),
    (
        Conv(6, 5, padding=2),
        ReLU(),
        MaxPool(2),
        Conv(16, 5),
        ReLU(),
        MaxPool(2),
        Flatten(),
        Dense(120),
        ReLU(),
        Dense(84),
        ReLU(),
        Dense(10),
    ),
)


def plain_accuracy(name):
    """Test accuracy after an epoch of the framework's own loop, with another order and other weights."""
    train_iter, test_iter = load_fashion_mnist(BATCH_SIZE, resize=None, root=DEBIAN)
    order = np.random.default_rng(100).permutation(train_iter.num_examples)
    images = (train_iter.pixels[order, None] / np.float32(255)).astype(np.float32)
    labels = train_iter.labels[order]
    net = alexnet.build(RELU_LENET, backend=name, seed=100)
    batches = (
        (native(name, images[i : i + BATCH_SIZE]), labels[i : i + BATCH_SIZE])
        for i in range(0, len(labels), BATCH_SIZE)
    )
    PLAIN_LOOPS[name](net, batches, LR)
    return alexnet.evaluate(net, test_iter, "cpu")


@pytest.mark.release
@pytest.mark.slow
def test_training_on_60000_images_is_as_accurate_as_the_frameworks_own_loop(framework):
    """Another seed changes the accuracy after one epoch by about one point (measured)."""
    loaders = load_fashion_mnist(BATCH_SIZE, resize=None, root=DEBIAN)
    history = train_ch6(RELU_LENET, *loaders, 1, LR, "cpu", backend=framework, callback=Silent())
    ours, theirs = history.last.test_accuracy, plain_accuracy(framework)
    print(f"{framework}: train_ch6 {ours}, plain loop {theirs}")
    assert min(ours, theirs) > 0.78
    assert abs(ours - theirs) < 0.03


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.needs("torch")
def test_a_trained_lenet_makes_the_same_ten_thousand_predictions_everywhere(covered, tmp_path):
    """Except on images whose two largest logits are equal within 1e-5."""
    path = tmp_path / "lenet.safetensors"
    data = alexnet.load_fashion_mnist(64, resize=None, root=DEBIAN, normalize=True)
    history = alexnet.train_ch6(
        "lenet", *data, 3, 0.1, backend="torch", momentum=0.9, callback=Silent(), checkpoint=path
    )
    print(f"test accuracy {history.last.test_accuracy}")
    assert history.last.test_accuracy > 0.80
    scores = {}
    for name in covered:
        backend, net = backends.load(name), alexnet.load(path, backend=name, device="cpu")
        batches = (backend.predict(net, X) for X, _ in data[1].on(name, "cpu"))
        scores[name] = np.concatenate([backend.to_numpy(s) for s in batches])  # (10000, 10)
    ordered = np.sort(scores["torch"], axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-5
    assert clear.sum() > 9_990
    for name, found in scores.items():
        same = found.argmax(axis=1) == scores["torch"].argmax(axis=1)
        print(
            f"{name}: {(~same).sum()} of {len(same)} differ, {(~same & clear).sum()} of them clear"
        )
        assert same[clear].all(), name
