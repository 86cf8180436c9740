"""The data: which files are used, and how faulty ones are refused."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dataset_files import (
    DEBIAN,
    SAMPLE_FILES,
    corrupted,
    empty,
    mislabelled,
    not_gzip,
    not_idx,
    swapped,
    truncated,
    truncated_plain,
)
from hypothesis import given
from hypothesis import strategies as st

from alexnet import data, load_fashion_mnist, load_mnist
from alexnet.comparison.plan import plan
from alexnet.datasets import files
from alexnet.datasets.known import FASHION_MNIST
from alexnet.errors import BackendError, DataError

# --- real files -----------------------------------------------------------------------------------


def test_debians_files_are_the_whole_of_fashion_mnist():
    """Needs Debian's package dataset-fashion-mnist, which .ci/run installs."""
    train, test = load_fashion_mnist(256, resize=None, root=DEBIAN)
    assert (train.num_examples, test.num_examples) == (60_000, 10_000)
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert train.pixels.mean() / 255 == pytest.approx(FASHION_MNIST.mean, abs=5e-5)
    assert (train.pixels / 255).std() == pytest.approx(FASHION_MNIST.std, abs=5e-5)


def test_the_sample_is_balanced_and_from_the_whole():
    train, test = load_fashion_mnist(256, resize=None, source="sample")
    assert np.bincount(train.labels).tolist() == [500] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    whole, whole_test = load_fashion_mnist(256, resize=None, root=DEBIAN)
    for part, of in ((train, whole), (test, whole_test)):
        known = {(p.tobytes(), int(y)) for p, y in zip(of.pixels, of.labels, strict=True)}
        assert all(
            (p.tobytes(), int(y)) in known for p, y in zip(part.pixels, part.labels, strict=True)
        )


def test_the_sample_is_small_and_has_its_licence():
    assert sum(f.stat().st_size for f in SAMPLE_FILES.iterdir()) <= 3_000_000
    assert "Zalando" in (SAMPLE_FILES / "LICENSE").read_text()


def test_plain_and_compressed_files_are_the_same(sample_as_dataset, sample_copy):
    before, _ = load_fashion_mnist(64, resize=None, root=sample_copy)
    packed = sample_copy / "train-images-idx3-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    after, _ = load_fashion_mnist(64, resize=None, root=sample_copy)
    assert np.array_equal(before.pixels, after.pixels)


def test_the_environment_may_name_the_data_folder(sample_as_dataset, sample_copy, monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA", str(sample_copy))
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000


def test_a_named_folder_may_have_a_subfolder_for_each_dataset(
    sample_as_dataset, sample_copy, monkeypatch
):
    sample_copy.rename(sample_copy.parent / "fashion-mnist")
    assert load_fashion_mnist(64, resize=None, root=sample_copy.parent)[0].num_examples == 5000


def test_the_librarys_cache_comes_before_other_places(offline, sample_as_dataset, monkeypatch):
    shutil.copytree(SAMPLE_FILES, offline / "cache" / "fashion-mnist")
    monkeypatch.setattr(data, "FASHION_MNIST", replace(sample_as_dataset, places=(str(DEBIAN),)))
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000


def test_the_sample_can_be_named_in_the_environment(monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA", "sample")
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000
    assert plan(["lenet"], full=False).root is None
    with pytest.raises(DataError, match="sample: the folder does not exist"):
        load_mnist()


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "train-images-idx3-ubyte.gz: the file is damaged or truncated"),
        (
            truncated_plain,
            "t10k-images-idx3-ubyte: must have 784,016 bytes according to its header, got 5,000",
        ),
        (corrupted, "t10k-labels-idx1-ubyte.gz: is not a file of Fashion-MNIST .SHA-256"),
        (
            mislabelled,
            "train-images-idx3-ubyte.gz: contains labels, which does not match the name of the file",
        ),
        (swapped, "train-images-idx3-ubyte.gz: is not a file of Fashion-MNIST .SHA-256"),
        (
            not_idx,
            "train-labels-idx1-ubyte.gz: is not an IDX file of bytes .the file begins with 3c68746d",
        ),
        (not_gzip, "train-labels-idx1-ubyte.gz: the file is damaged or truncated"),
        (
            empty,
            "train-labels-idx1-ubyte: is not an IDX file of bytes .the file begins with nothing",
        ),
    ],
)
def test_a_damaged_file_is_named(sample_as_dataset, sample_copy, damage, message):
    damage(sample_copy)
    with pytest.raises(DataError, match=message):
        load_fashion_mnist(64, resize=None, root=sample_copy)


@given(
    magic=st.sampled_from([b"", b"\0\0\x08\x01", b"\0\0\x08\x03"]),
    rest=st.binary(max_size=40),
    name=st.sampled_from(files.FILES),
)
def test_random_bytes_are_refused(magic, rest, name):
    with pytest.raises(DataError):
        files.parse(Path(name), magic + rest, "0" * 64, "nothing")


def test_a_missing_folder_is_refused():
    with pytest.raises(DataError, match=r"the folder does not exist .named by root="):
        load_fashion_mnist(root="/nonexistent/folder")


def test_an_empty_folder_without_network_is_refused_with_advice(offline, tmp_path):
    named = tmp_path / "named"
    named.mkdir()
    with pytest.raises(DataError) as caught:
        load_fashion_mnist(root=named)
    message = str(caught.value)
    assert message.startswith(f"Fashion-MNIST is not in {named} and could not be downloaded")
    assert "apt-get install dataset-fashion-mnist" in message
    assert "source='sample'" in message
    assert "\n" not in message
    assert [p.name for p in named.iterdir() if p.name != ".download.lock"] == []


def test_missing_data_is_refused_not_replaced_by_the_sample(offline):
    with pytest.raises(DataError, match="could not be downloaded"):
        load_fashion_mnist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": -4}, "batch_size must be a whole number of at least 1, got -4"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, got 2.5"),
        ({"resize": 0}, "resize must be a whole number of at least 1, got 0"),
        ({"resize": (224, 224)}, r"resize must be a whole number of at least 1, got \(224, 224\)"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"subset": (0, 5)}, "subset must be a whole number of at least 1, got 0"),
        ({"subset": 5}, r"subset must be \(training, test\) examples, got 5"),
        ({"source": "web"}, "Fashion-MNIST has no source 'web'"),
        ({"source": "sample", "root": "/tmp"}, "cannot be used together"),
        ({"backend": "jax"}, "unknown backend 'jax'"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, message):
    with pytest.raises((DataError, BackendError), match=message):
        load_fashion_mnist(**{"source": "sample", **arguments})


def test_mnist_has_no_sample():
    with pytest.raises(DataError, match="MNIST has no source 'sample'"):
        load_mnist(source="sample")


@pytest.mark.parametrize("text", ["512", "512:", "a:b", "0:1", "1:2:3"])
def test_a_wrong_subset_in_the_environment_is_refused(monkeypatch, text):
    monkeypatch.setenv("ALEXNET_SUBSET", text)
    with pytest.raises(DataError, match="ALEXNET_SUBSET must be training:test examples"):
        load_fashion_mnist(source="sample")
