"""The data: which files count, how faults are told, and which batches come in which order."""

from __future__ import annotations

import gzip
import http.server
import multiprocessing
import shutil
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet import backends, data, load_fashion_mnist, load_mnist
from alexnet.comparison.plan import plan
from alexnet.data import ImageLoader
from alexnet.datasets import files
from alexnet.datasets.known import FASHION_MNIST, SAMPLE
from alexnet.datasets.resize import ImageTransform
from alexnet.errors import BackendError, DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SAMPLE_FILES = files.sample_folder()


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A machine where no dataset lies anywhere and no mirror answers (a closed port)."""
    monkeypatch.setattr(files, "cache", lambda dataset: tmp_path / "cache" / dataset.name)
    monkeypatch.setattr(
        data,
        "FASHION_MNIST",
        replace(FASHION_MNIST, places=(), mirrors=("http://127.0.0.1:9/",)),
    )
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """The sample's four files taken for the whole of Fashion-MNIST."""
    dataset = replace(FASHION_MNIST, sha256=SAMPLE.sha256)
    monkeypatch.setattr(data, "FASHION_MNIST", dataset)
    return dataset


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(SAMPLE_FILES, copy)
    return copy


# --- real files -----------------------------------------------------------------------------------


def test_the_whole_of_fashion_mnist_from_debian():
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


def test_plain_and_compressed_files_are_the_same(small, folder):
    before, _ = load_fashion_mnist(64, resize=None, root=folder)
    packed = folder / "train-images-idx3-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    after, _ = load_fashion_mnist(64, resize=None, root=folder)
    assert np.array_equal(before.pixels, after.pixels)


def test_the_environment_names_a_folder(small, folder, monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA", str(folder))
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000


def test_a_named_folder_may_hold_one_for_each_dataset(small, folder, monkeypatch):
    folder.rename(folder.parent / "fashion-mnist")
    assert load_fashion_mnist(64, resize=None, root=folder.parent)[0].num_examples == 5000


def test_the_librarys_cache_comes_before_other_places(alone, small, monkeypatch):
    shutil.copytree(SAMPLE_FILES, alone / "cache" / "fashion-mnist")
    monkeypatch.setattr(data, "FASHION_MNIST", replace(small, places=(str(DEBIAN),)))
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000


# --- faults ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "train-images-idx3-ubyte.gz: the file is damaged or cut short"),
        (truncated_plain, "t10k-images-idx3-ubyte: has 5,000 bytes, its header promises 784,016"),
        (corrupted, "t10k-labels-idx1-ubyte.gz: is not Fashion-MNIST's .SHA-256"),
        (mislabelled, "train-images-idx3-ubyte.gz: holds labels, which is not what its name says"),
        (swapped, "train-images-idx3-ubyte.gz: is not Fashion-MNIST's .SHA-256"),
        (
            not_idx,
            "train-labels-idx1-ubyte.gz: is not an IDX file of bytes .it begins with 3c68746d",
        ),
        (not_gzip, "train-labels-idx1-ubyte.gz: the file is damaged or cut short"),
        (empty, "train-labels-idx1-ubyte: is not an IDX file of bytes .it begins with nothing"),
    ],
)
def test_a_damaged_file_is_named(small, folder, damage, message):
    damage(folder)
    with pytest.raises(DataError, match=message):
        load_fashion_mnist(64, resize=None, root=folder)


@given(
    magic=st.sampled_from([b"", b"\0\0\x08\x01", b"\0\0\x08\x03"]),
    rest=st.binary(max_size=40),
    name=st.sampled_from(files.FILES),
)
def test_no_bytes_get_past_the_check(magic, rest, name):
    with pytest.raises(DataError):
        files.parse(Path(name), magic + rest, "0" * 64, "nothing")


def test_a_folder_that_is_not_there():
    with pytest.raises(DataError, match=r"there is no such folder .it was named by root"):
        load_fashion_mnist(root="/nonexistent/folder")


def test_an_empty_folder_while_offline(alone, tmp_path):
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


def test_no_data_anywhere_does_not_fall_back_to_the_sample(alone):
    with pytest.raises(DataError, match="could not be downloaded"):
        load_fashion_mnist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": -4}, "batch_size must be a whole number of at least 1, not -4"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1, not 2.5"),
        ({"resize": 0}, "resize must be a whole number of at least 1, not 0"),
        ({"resize": (224, 224)}, r"resize must be a whole number of at least 1, not \(224, 224\)"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"subset": (0, 5)}, "subset must be a whole number of at least 1, not 0"),
        ({"subset": 5}, r"subset must be \(training, test\) examples, not 5"),
        ({"source": "web"}, "Fashion-MNIST has no source 'web'"),
        ({"source": "sample", "root": "/tmp"}, "exclude each other"),
        ({"backend": "jax"}, "unknown backend 'jax'"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, message):
    with pytest.raises((DataError, BackendError), match=message):
        load_fashion_mnist(**{"source": "sample", **arguments})


def test_the_sample_can_be_named_in_the_environment(monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA", "sample")
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000
    assert plan(["lenet"], full=False).root is None
    with pytest.raises(DataError, match="sample: there is no such folder"):
        load_mnist()


def test_mnist_has_no_sample():
    with pytest.raises(DataError, match="MNIST has no source 'sample'"):
        load_mnist(source="sample")


@pytest.mark.parametrize("text", ["512", "512:", "a:b", "0:1", "1:2:3"])
def test_a_wrong_subset_in_the_environment_is_refused(monkeypatch, text):
    monkeypatch.setenv("ALEXNET_SUBSET", text)
    with pytest.raises(DataError, match="ALEXNET_SUBSET must be training:test examples"):
        load_fashion_mnist(source="sample")


# --- download -------------------------------------------------------------------------------------


class Counting(http.server.SimpleHTTPRequestHandler):
    """A mirror on this machine that counts what it gives."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror():
    """Serves a folder over HTTP on the loopback; gives its address and what was asked for."""
    servers = []

    def serve(folder):
        Counting.asked.clear()
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(Counting, directory=str(folder))
        )
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_missing_files_are_downloaded_and_kept(alone, small, mirror, monkeypatch):
    address = mirror(SAMPLE_FILES)
    monkeypatch.setattr(data, "FASHION_MNIST", replace(small, places=(), mirrors=(address,)))
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000
    assert len(Counting.asked) == 4
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000
    assert len(Counting.asked) == 4  # from the cache, the second time
    kept = sorted(p.name for p in (alone / "cache" / "fashion-mnist").iterdir())
    assert [name for name in kept if not name.startswith(".")] == sorted(
        f"{name}.gz" for name in files.FILES
    )


def test_a_mirror_with_wrong_bytes_is_passed_over(alone, small, mirror, folder, monkeypatch):
    corrupted(folder)
    mirrors = ("http://127.0.0.1:9/", mirror(folder), mirror(SAMPLE_FILES))
    monkeypatch.setattr(data, "FASHION_MNIST", replace(small, places=(), mirrors=mirrors))
    assert load_fashion_mnist(64, resize=None)[1].num_examples == 1000


def test_wrong_bytes_from_every_mirror_leave_nothing(alone, small, mirror, folder, monkeypatch):
    not_idx(folder)
    monkeypatch.setattr(data, "FASHION_MNIST", replace(small, places=(), mirrors=(mirror(folder),)))
    with pytest.raises(DataError, match="could not be downloaded"):
        load_fashion_mnist()
    kept = {p.name for p in (alone / "cache" / "fashion-mnist").iterdir()}
    assert "train-labels-idx1-ubyte.gz" not in kept
    assert not any(name.startswith(".download-") for name in kept)


def _download(dataset, folder):
    files.download(dataset, folder)


def test_two_downloads_at_once_fetch_each_file_once(small, mirror, tmp_path):
    """Real processes: the second waits for the first, and then finds nothing missing."""
    dataset = replace(small, places=(), mirrors=(mirror(SAMPLE_FILES),))
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_download, args=(dataset, tmp_path / "to")) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert len(Counting.asked) == 4
    assert not files.missing(tmp_path / "to")


# --- batches --------------------------------------------------------------------------------------


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
    whole, part = numbered(50), replace(numbered(50), first=3)
    assert labels(part) == labels(whole)[:12]
    assert len(part) == 3
    assert len(replace(numbered(5), first=3)) == 2


def test_orders_differ_by_epoch_and_by_seed_and_come_back():
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
            if framework == "tensorflow":
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


def test_the_smaller_of_both_subsets_counts(monkeypatch):
    monkeypatch.setenv("ALEXNET_SUBSET", "20:30")
    train_iter, test_iter = load_fashion_mnist(8, source="sample", subset=(10, 100))
    assert (train_iter.num_examples, test_iter.num_examples) == (10, 30)
