"""Flips and crops: by value, the same in every backend, for the training images alone."""

from __future__ import annotations

import numpy as np
import pytest
from fits import TINY, fit, load
from resumable import assert_same_run, images, interrupt, train

from alexnet import backends, load_fashion_mnist
from alexnet.datasets.resize import resize_matrix
from alexnet.errors import CheckpointError, DataError
from alexnet.training.checkpoint_file import Checkpoint
from alexnet.training.recipes import Recipe
from alexnet.workers.job import Job

AUGMENTED = {"flip": True, "crop": 2}


def epoch(loader, number=0):
    """Return all images (N, S, S) and labels of an epoch, in its order."""
    batches = list(loader.epoch(number))
    X, y = (np.concatenate([backends.to_numpy(b[i]) for b in batches]) for i in (0, 1))
    return X.reshape(len(X), *X.shape[2:] if X.shape[1] == 1 else X.shape[1:3]), y


def changed(image, mirrored, row, column, crop):
    """Return an image (28, 28) cut from its padding at a row and a column, and then mirrored."""
    padded = np.zeros((28 + 2 * crop, 28 + 2 * crop), image.dtype)
    padded[crop : crop + 28, crop : crop + 28] = image
    cut = padded[row : row + 28, column : column + 28]
    return cut[:, ::-1] if mirrored else cut


def changes_of(image, original, crop):
    """Return every flip and corner that makes ``image`` from ``original``."""
    corners = range(2 * crop + 1)
    return [
        (mirrored, row, column)
        for mirrored in (False, True)
        for row in corners
        for column in corners
        if (changed(original, mirrored, row, column, crop) == image).all()
    ]


@pytest.mark.parametrize(("flip", "crop"), [(True, 0), (False, 3), (True, 2)])
def test_each_image_is_flipped_and_cut_as_drawn(flip, crop):
    train_iter, _ = load(train=40, batch_size=16, flip=flip, crop=crop)
    found, labels = epoch(train_iter, 1)
    order, drawn = train_iter.order(1), train_iter.augmentation(1)
    assert (labels == train_iter.labels[order]).all()
    for n, image in enumerate(found):
        original = (train_iter.pixels[order[n]] / np.float32(255)).astype(np.float32)
        change = (bool(drawn.flips[n]), *(int(i) for i in drawn.corners[:, n]))
        assert change in changes_of(image, original, crop)


def test_all_changes_are_equally_likely():
    train_iter, _ = load(train=5000, flip=True, crop=1)
    drawn = [train_iter.augmentation(number) for number in range(10)]
    flips = np.concatenate([d.flips for d in drawn])
    rows, columns = np.concatenate([d.corners for d in drawn], axis=1)
    counts = np.bincount(flips * 9 + rows * 3 + columns, minlength=18)
    assert len(counts) == 18
    assert abs(counts / len(flips) * 18 - 1).max() < 0.1


def test_changes_depend_on_seed_and_epoch():
    def drawn(seed, number):
        change = load(seed=seed, **AUGMENTED)[0].augmentation(number)
        return (change.flips, *change.corners)

    for a, b in zip(drawn(1, 2), drawn(1, 2), strict=True):
        assert (a == b).all()
    for other in ((0, 2), (1, 1), (2, 1)):
        for a, b in zip(drawn(1, 2), drawn(*other), strict=True):
            assert (a == b).mean() < 0.8


def test_every_backend_gets_the_same_images(name):
    expected, _ = epoch(load(**AUGMENTED)[0], 3)
    found, _ = epoch(load(backend=name, device="cpu", **AUGMENTED)[0], 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_images_are_changed_before_the_resize_and_normalised_after():
    plain = load_fashion_mnist(
        8, 40, source="sample", subset=(8, 8), normalize=True, seed=4, **AUGMENTED
    )[0]
    small = load(train=8, batch_size=8, seed=4, **AUGMENTED)[0]
    R = resize_matrix(40, 28)
    expected = (R @ epoch(small)[0] @ R.T - plain.transform.mean) / plain.transform.std
    np.testing.assert_allclose(epoch(plain)[0], expected, rtol=0, atol=1e-5)


def test_test_images_and_pixels_in_memory_do_not_change():
    plain, augmented = load(), load(**AUGMENTED)
    assert (epoch(plain[1])[0] == epoch(augmented[1])[0]).all()
    assert (plain[0].pixels == augmented[0].pixels).all()
    assert (epoch(plain[0])[0] != epoch(augmented[0])[0]).any()
    assert plain[0].checksum() == augmented[0].checksum()


def test_every_backend_trains_on_them(name):
    losses = []
    for backend in ("numpy", name):
        history = fit(TINY, load(**AUGMENTED), 2, backend=backend, lr=0.02)
        assert {key: history.settings[key] for key in AUGMENTED} == AUGMENTED
        losses.append([s["loss"] for s in history.steps])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_run_in_two_parts_sees_the_same_images(name, tmp_path):
    whole = train(name, None, data=images(**AUGMENTED))
    path = tmp_path / "run.safetensors"
    interrupt(name, path, data=images(**AUGMENTED))
    assert_same_run(train(name, path, resume=True, data=images(**AUGMENTED)), whole)


def test_a_resumed_run_needs_the_same_changes(tmp_path):
    """Checkpoints of before these settings had no changes."""
    path = tmp_path / "run.safetensors"
    train("numpy", path, 2)
    old = Checkpoint.read(path)
    del old.history.settings["flip"], old.history.settings["crop"]
    old.write(path)
    with pytest.raises(CheckpointError, match="flip False, crop 0; this run has flip True, crop 2"):
        train("numpy", path, resume=True, data=images(**AUGMENTED))
    assert_same_run(train("numpy", path, resume=True), train("numpy", None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip": 1}, "flip must be True or False, got 1"),
        ({"crop": -1}, "crop must be a whole number of at least 0, got -1"),
        ({"crop": 2.0}, "crop must be a whole number of at least 0, got 2.0"),
        ({"crop": True}, "crop must be a whole number of at least 0, got True"),
        ({"crop": 28}, "crop must be less than 28 pixels, got 28"),
    ],
)
def test_a_wrong_value_is_refused(options, message):
    with pytest.raises(DataError, match=message):
        load(**options)


def test_a_workers_job_passes_them_on():
    recipe = Recipe(64, 32, 1, 16, 0.1, momentum=0.9, nesterov=True, **AUGMENTED)
    job = Job.from_json(Job("lenet", "numpy", recipe, 0, None).to_json())
    assert job.recipe == recipe
    train_iter, test_iter = job.load_data()
    assert (train_iter.flip, train_iter.crop) == (True, 2)
    assert (test_iter.flip, test_iter.crop) == (False, 0)
