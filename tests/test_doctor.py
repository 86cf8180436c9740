"""doctor: its findings on a backend, and its exit status."""

from __future__ import annotations

import sys

import pytest
from helpers import alexnet

from alexnet import backends
from alexnet.cli import doctor
from alexnet.parity import check as parity
from alexnet.workers import examine as checkup


@pytest.mark.slow
def test_doctor_confirms_a_backend_that_works(name):
    found = alexnet("doctor", "--backends", name)
    assert found.returncode == 0, found.stdout + found.stderr
    title, *lines = found.stdout.splitlines()
    assert title == f"{backends.framework(name).title} {backends.load(name).version()}"
    said = dict(line.strip().split(": ", 1) for line in lines)
    assert said["self-test"].startswith("a training step agrees with the reference (")
    assert f"{sys.executable} (" in said["python"]
    assert said["gpu"]
    assert said["threads"].endswith("cores")
    assert all(": " not in text for title, text in said.items() if title == "note")
    assert lines[-1] == "Working backends: 1 of 1"


def test_doctor_names_the_install_command_of_a_missing_backend(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    there, missing = doctor.find(["numpy", "mxnet"], {}, 600)
    assert missing.problem == backends.framework("mxnet").missing
    assert missing.missing
    assert there.well


def test_doctor_reports_a_backend_that_computes_something_else(monkeypatch):
    backend = backends.load("numpy")
    right = backend.gradients
    monkeypatch.setattr(
        backend, "gradients", lambda net, X, y: (right(net, X, y)[0] + 1, right(net, X, y)[1])
    )
    monkeypatch.setattr(parity, "_compute", only_once_right(parity._compute, backend, right))
    said = checkup.examine("numpy")["finding"]
    assert said["problem"].startswith("a training step disagrees with the reference: ")
    assert "self_test" not in said


def only_once_right(compute, backend, right):
    """The backend as it is computes the reference; the wrong one computes the rest."""
    wrong, calls = backend.gradients, []

    def patched(*arguments):
        calls.append(arguments)
        backend.gradients = right if len(calls) == 1 else wrong
        return compute(*arguments)

    return patched


@pytest.mark.parametrize(
    ("gpus", "build", "hardware", "said"),
    [
        ([], None, False, "none: this framework is built for CPUs only"),
        ([], "CUDA 13.0", False, "none: built for CUDA 13.0, but this machine has no GPU"),
        ([], "CUDA 13.0", True, "none: built for CUDA 13.0, but it cannot use the GPU"),
        (["cuda:0", "cuda:1"], "CUDA 13.0", True, "cuda:0, cuda:1 (CUDA 13.0)"),
    ],
)
def test_doctor_says_why_no_gpu_is_seen(gpus, build, hardware, said, monkeypatch):
    backend = backends.load("numpy")
    monkeypatch.setattr(backend, "gpus", lambda: gpus)
    monkeypatch.setattr(backend, "gpu_build", lambda: build)
    monkeypatch.setattr(backends, "gpu_hardware", lambda: hardware)
    assert checkup.examine("numpy")["finding"]["gpu"].startswith(said)


def test_doctor_reports_an_interpreter_that_cannot_run(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nkill -SEGV $$\n")
    script.chmod(0o755)
    found = alexnet("doctor", "--backends", "numpy", "--python", f"numpy={script}")
    assert found.returncode == 1
    assert "problem: killed by SIGSEGV" in found.stdout
    assert found.stderr == "error: cannot use numpy; the problem is printed above\n"
