"""A built wheel has all that the package needs."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from helpers import run

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the contents of a new wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = run("sh", "-c", f'cd "{ROOT}" && exec "$@"', "sh", *build)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


def from_wheel(installed, folder, code):
    """Run a program in an empty folder; it imports the wheel's package first."""
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "import alexnet\n"
        f"assert alexnet.__file__.startswith({str(installed)!r})\n" + code
    )
    found = run("sh", "-c", f'cd "{folder}" && exec "$@"', "sh", sys.executable, "-c", program)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_it_can_be_imported_and_has_its_sample(installed, tmp_path):
    code = (
        "data = alexnet.load_fashion_mnist(64, resize=None, source='sample', subset=(64, 64))\n"
        "print(alexnet.evaluate(alexnet.build('lenet', 'numpy'), data[1]))\n"
    )
    assert 0 <= float(from_wheel(installed, tmp_path, code)) <= 1


@pytest.mark.slow
def test_it_has_the_template_of_its_report(installed, tmp_path):
    code = (
        "small = dict(data='sample', train_examples=32, test_examples=16, num_epochs=1)\n"
        "print(alexnet.compare('lenet', ['numpy'], out='run', **small))"
    )
    assert "numpy" in from_wheel(installed, tmp_path, code)
    assert "NumPy" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_startup_file_is_a_copy(installed):
    copy = (installed / "_alexnet_startup.py").read_bytes()
    assert copy == (installed / "alexnet" / "backends" / "mxnet_startup.py").read_bytes()
    assert (installed / "_alexnet_startup.pth").read_text() == "import _alexnet_startup\n"
