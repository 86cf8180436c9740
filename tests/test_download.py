"""Downloads of the data, from mirrors on this machine."""

from __future__ import annotations

import http.server
import multiprocessing
import threading
from dataclasses import replace
from functools import partial
from typing import ClassVar

import pytest
from dataset_files import SAMPLE_FILES, corrupted, not_idx

from alexnet import data, load_fashion_mnist
from alexnet.datasets import files
from alexnet.errors import DataError


class Counting(http.server.SimpleHTTPRequestHandler):
    """A mirror on this machine that keeps the requests."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror():
    """A function that serves a folder over HTTP on the loopback and returns its address."""
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


def test_missing_files_are_downloaded_once(offline, sample_as_dataset, mirror, monkeypatch):
    address = mirror(SAMPLE_FILES)
    monkeypatch.setattr(
        data, "FASHION_MNIST", replace(sample_as_dataset, places=(), mirrors=(address,))
    )
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000
    assert len(Counting.asked) == 4
    assert load_fashion_mnist(64, resize=None)[0].num_examples == 5000
    assert len(Counting.asked) == 4  # the second time the files come from the cache
    kept = sorted(p.name for p in (offline / "cache" / "fashion-mnist").iterdir())
    assert [name for name in kept if not name.startswith(".")] == sorted(
        f"{name}.gz" for name in files.FILES
    )


def test_a_mirror_with_wrong_bytes_is_skipped(
    offline, sample_as_dataset, mirror, sample_copy, monkeypatch
):
    corrupted(sample_copy)
    mirrors = ("http://127.0.0.1:9/", mirror(sample_copy), mirror(SAMPLE_FILES))
    monkeypatch.setattr(
        data, "FASHION_MNIST", replace(sample_as_dataset, places=(), mirrors=mirrors)
    )
    assert load_fashion_mnist(64, resize=None)[1].num_examples == 1000


def test_wrong_bytes_from_every_mirror_leave_no_file(
    offline, sample_as_dataset, mirror, sample_copy, monkeypatch
):
    not_idx(sample_copy)
    monkeypatch.setattr(
        data, "FASHION_MNIST", replace(sample_as_dataset, places=(), mirrors=(mirror(sample_copy),))
    )
    with pytest.raises(DataError, match="could not be downloaded"):
        load_fashion_mnist()
    kept = {p.name for p in (offline / "cache" / "fashion-mnist").iterdir()}
    assert "train-labels-idx1-ubyte.gz" not in kept
    assert not any(name.startswith(".download-") for name in kept)


def _download(dataset, folder):
    files.download(dataset, folder)


def test_two_downloads_at_once_fetch_each_file_once(sample_as_dataset, mirror, tmp_path):
    """Real processes: the second waits for the first, then finds all files."""
    dataset = replace(sample_as_dataset, places=(), mirrors=(mirror(SAMPLE_FILES),))
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_download, args=(dataset, tmp_path / "to")) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert len(Counting.asked) == 4
    assert not files.missing(tmp_path / "to")
