"""Nothing needs names that only Unix has: a Python without them imports, trains and compares."""

from __future__ import annotations

import sys

import pytest
from helpers import run

WITHOUT_UNIX = """
import os, signal, sys
import psutil  # it uses them itself on Linux, not on Windows
sys.modules["resource"] = sys.modules["fcntl"] = None  # importing them raises ImportError
for name in ("killpg", "setsid", "getpgid", "sched_getaffinity", "fork"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP"):
    delattr(signal, name)
"""


@pytest.fixture
def without_unix(tmp_path):
    """An environment in which a Python, and every process that it starts, lacks those names."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT_UNIX)
    return {"PYTHONPATH": str(folder), "ALEXNET_DATA": "sample", "ALEXNET_SUBSET": "96:32"}


def python(code, env):
    return run(sys.executable, "-c", code, **env)


def test_the_unix_names_are_gone(without_unix):
    found = python("import os; print(hasattr(os, 'killpg'))", without_unix)
    assert found.stdout == "False\n", found.stderr


def test_it_imports_trains_and_saves(without_unix, tmp_path):
    found = python(
        "import alexnet\n"
        "data = alexnet.load_fashion_mnist(16, resize=None)\n"
        f"path = {str(tmp_path / 'net.safetensors')!r}\n"
        "alexnet.train_ch6('lenet', *data, 1, 0.1, backend='numpy', checkpoint=path)\n"
        "print(alexnet.evaluate(alexnet.load(path, backend='numpy'), data[1]))",
        without_unix,
    )
    assert found.returncode == 0, found.stderr
    assert "examples/sec on cpu" in found.stdout


@pytest.mark.slow
def test_it_compares(without_unix, tmp_path):
    out = tmp_path / "run"
    compare = [sys.executable, "-m", "alexnet", "compare", "lenet", "--backends", "numpy"]
    found = run(*compare, "--out", str(out), "--epochs", "1", **without_unix)
    assert found.returncode == 0, found.stderr
    assert "numpy" in (out / "table.txt").read_text()
    assert (out / "report.html").exists()


@pytest.mark.slow
def test_a_silent_worker_is_ended(without_unix):
    """Without Unix process groups; the processes that it started end too."""
    code = """
import sys, psutil
from alexnet.comparison.plan import Plan
from alexnet.comparison.run import run_plan
from alexnet.training.recipes import Recipe
from alexnet.workers import processes
from pathlib import Path
processes.LAUNCH = '''
import json, subprocess, sys, time
sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeps)
print(json.dumps({"event": "error", "message": str(child.pid)}), flush=True)
time.sleep(600)
'''
plan = Plan({"lenet": Recipe(96, 32, 1, 16, 0.5)}, None, ("numpy",), timeout=2)
(row,) = run_plan(plan, out=Path(sys.argv[1])).rows
child = int(row.problem)
alive = psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE
print("alive" if alive else "ended")
"""
    found = run(sys.executable, "-c", code, without_unix["PYTHONPATH"] + "/run", **without_unix)
    assert found.stdout == "ended\n", found.stderr
