"""A built wheel has all that the package needs."""

from __future__ import annotations

import os
import sys
import venv
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest
from helpers import run

from alexnet import Comparison

ROOT = Path(__file__).parent.parent

# Python runs this line when it starts. It refuses connections, also in worker processes.
OFFLINE = (
    "import sys; sys.addaudithook(lambda event, args: event in "
    "('socket.connect', 'socket.getaddrinfo', 'socket.sendto') and sys.exit(f'offline: {event} {args}'))"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A new wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = run("sh", "-c", f'cd "{ROOT}" && exec "$@"', "sh", *build)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel):
    """A folder with the contents of the wheel."""
    with zipfile.ZipFile(wheel) as file:
        file.extractall(wheel.parent / "site")
    return wheel.parent / "site"


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


@pytest.mark.release
@pytest.mark.slow
def test_a_new_environment_compares_and_draws_without_a_network(wheel, tmp_path, monkeypatch):
    """Only the installation of the wheel's dependencies needs a package index."""
    home, work = tmp_path / "home", tmp_path / "work"
    for name in [name for name in os.environ if name.startswith(("PYTHON", "ALEXNET_"))]:
        monkeypatch.delenv(name)
    venv.create(home, with_pip=True)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    installation = run(str(programs / "python"), "-m", "pip", "install", "--quiet", str(wheel))
    assert installation.returncode == 0, installation.stderr
    (packages,) = home.glob("[Ll]ib/**/site-packages")
    (packages / "offline.pth").write_text(OFFLINE)
    work.mkdir()
    monkeypatch.chdir(work)

    refused = run(
        str(programs / "python"), "-c", "import socket; socket.create_connection(('127.0.0.1', 9))"
    )
    assert "offline: socket." in refused.stderr
    compared = run(
        str(programs / "alexnet"), "compare", "lenet", "--data", "sample", "--out", "run"
    )
    assert compared.returncode == 0, compared.stdout + compared.stderr
    numpy, *others = Comparison.load("run").rows
    assert numpy.history.last.train_accuracy > 0.6
    assert numpy.history.last.test_accuracy > 0.6  # chance is 0.1
    assert all(row.missing for row in others)
    assert "NumPy" in (work / "run" / "report.html").read_text(encoding="utf-8")
    drawn = run(str(programs / "alexnet"), "draw", "alexnet")
    assert drawn.returncode == 0, drawn.stdout + drawn.stderr
    picture = ET.parse("alexnet.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert "224×224" in "".join(picture.itertext())
    assert len(picture.findall(".//{*}polygon")) + len(picture.findall(".//{*}path")) > 20
