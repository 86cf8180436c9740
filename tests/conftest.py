"""Which backends a run covers, the order in which their frameworks are loaded, and fixtures."""

from __future__ import annotations

import gc
import importlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

# The tests ignore the user's own data and subsets.
os.environ.pop("ALEXNET_SUBSET", None)
os.environ.pop("ALEXNET_DATA", None)

import matplotlib
import pytest
from dataset_files import SAMPLE_FILES

from alexnet import backends, data, load_fashion_mnist
from alexnet.datasets import files
from alexnet.datasets.known import FASHION_MNIST, SAMPLE
from alexnet.errors import BackendError

matplotlib.use("Agg")
PACKAGE = Path(backends.__file__).parents[1]
pytest.register_assert_rewrite("resumable")  # so that its assertions show values


def pytest_addoption(parser):
    parser.addoption(
        "--backends",
        default=",".join(backends.FRAMEWORKS),
        help="the backends that this run covers (default: all); one that is missing fails the run",
    )


COLUMNS = [n for n in backends.FRAMEWORKS if (PACKAGE / f"{n}.py").exists()]  # of the book


def chosen(config) -> list[str]:
    names = config.getoption("--backends").split(",")
    return [name for name in backends.FRAMEWORKS if name in names]


def pytest_configure(config):
    unknown = set(config.getoption("--backends").split(",")) - set(backends.FRAMEWORKS)
    if unknown:
        raise pytest.UsageError(f"--backends: unknown: {', '.join(sorted(unknown))}")
    for name in backends.import_order():  # Paddle must not come after TensorFlow
        if name in chosen(config):
            try:
                backends.load(name)
            except BackendError as error:
                raise pytest.UsageError(f"this run is to cover {name}: {error}") from None
    gc.collect()
    gc.freeze()  # later collections skip the many objects of the frameworks: half a second each time


ONLY_IF_NAMED = ("release", "gpu")  # markers of tests that run only if -m names them


def pytest_collection_modifyitems(config, items):
    """Deselect, visibly, the tests that need a backend outside this run, and those that -m must name."""
    covered = set(chosen(config))
    left_out = [i for i in items for m in i.iter_markers("needs") if not covered >= set(m.args)]
    unnamed = [m for m in ONLY_IF_NAMED if not re.search(rf"\b{m}\b", config.option.markexpr)]
    left_out += [i for i in items if any(i.get_closest_marker(m) for m in unnamed)]
    left_out = list(dict.fromkeys(left_out))
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_report_header(config):
    versions = (f"{name} {backends.load(name).version()}" for name in chosen(config))
    return f"backends: {', '.join(versions)}"


def pytest_generate_tests(metafunc):
    """`name`: each backend of the run; `framework`: each but the NumPy reference.

    The tests of the book run for the backends that have a column.
    """
    names = chosen(metafunc.config)
    if metafunc.module.__name__.startswith("test_book_"):
        names = [n for n in names if n in (*COLUMNS, "numpy")]
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", names)
    if "framework" in metafunc.fixturenames:
        metafunc.parametrize("framework", [n for n in names if n != "numpy"])


@pytest.fixture
def backend(name):
    return backends.load(name)


@pytest.fixture(scope="session")
def covered(request):
    """The names of the backends that this run covers."""
    return chosen(request.config)


@pytest.fixture(scope="session")
def real_images():
    """uint8 (32, 28, 28): the first test images of the sample."""
    return load_fashion_mnist(resize=None, source="sample")[1].pixels[:32].copy()


# --- the book -------------------------------------------------------------------------------------


@pytest.fixture
def the_sample(monkeypatch, tmp_path):
    """Loaders read 320 and 40 images of the package's sample; pictures go to a temporary folder."""
    monkeypatch.setenv("ALEXNET_DATA", "sample")
    monkeypatch.setenv("ALEXNET_SUBSET", "320:40")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def d2l(framework):
    return importlib.import_module(f"alexnet.{framework}")


# --- the report ------------------------------------------------------------------------------------


@pytest.fixture
def without_curves(monkeypatch):
    """Reports get empty pictures in place of curves, which take most of their time."""
    module = importlib.import_module("alexnet.comparison.report.curves")
    empty = module.Picture("data:,", "data:,", "")
    monkeypatch.setattr(module, "picture", lambda draw, description: empty)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


# --- data files -----------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A machine without any dataset, whose only mirror does not answer (a closed port)."""
    monkeypatch.setattr(files, "cache", lambda dataset: tmp_path / "cache" / dataset.name)
    monkeypatch.setattr(
        data,
        "FASHION_MNIST",
        replace(FASHION_MNIST, places=(), mirrors=("http://127.0.0.1:9/",)),
    )
    return tmp_path


@pytest.fixture
def sample_as_dataset(monkeypatch):
    """The loader takes the sample's four files for the whole of Fashion-MNIST."""
    dataset = replace(FASHION_MNIST, sha256=SAMPLE.sha256)
    monkeypatch.setattr(data, "FASHION_MNIST", dataset)
    return dataset


@pytest.fixture
def sample_copy(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(SAMPLE_FILES, copy)
    return copy
