"""``alexnet sweep`` on the command line."""

from __future__ import annotations

import re

import pytest
from helpers import alexnet, alexnet_here
from sweeps import contents

from alexnet import Sweep

SMALL = ["--backends", "numpy", "--data", "sample", "--epochs", "1"]
SUBSET = {"ALEXNET_SUBSET": "48:16"}


def test_a_sweep_from_its_first_run_to_an_added_value(tmp_path):
    folder = tmp_path / "sweep"
    begun = alexnet(
        "sweep", "lenet", "--activation", "relu,tanh", "--pool-window", "3/2", "--flip", "yes",
        *SMALL, "--out", str(folder), **SUBSET,
    )  # fmt: skip
    assert begun.returncode == 0, begun.stdout + begun.stderr
    lines = begun.stdout.splitlines()
    assert lines[0].startswith("Images: the Fashion-MNIST sample")
    assert re.match(r"1/2 activation=relu in NumPy, seed 0: test 0\.\d+, loss ", lines[1])
    assert lines[-1] == f"Run folder: {folder}; open sweep.html in it for all results"
    before = contents(folder)
    assert len(before) == 2
    listed = alexnet_here(
        "sweep", "--resume", str(folder), "--activation", "sigmoid", "--dry-run", **SUBSET
    )
    assert listed.returncode == 0, listed.stderr
    assert "1 run to do, 2 done: about" in listed.stdout
    added = alexnet("sweep", "--resume", str(folder), "--activation", "sigmoid", **SUBSET)
    assert added.returncode == 0, added.stdout + added.stderr
    assert before.items() < contents(folder).items()
    found = Sweep.load(folder)
    assert [row.finished for row in found.rows] == [True] * 3
    (relu, *_) = found.combinations.values()
    assert relu.recipe.flip
    assert relu.settings["pool_window"] == (3, 2)


def test_a_dry_run_lists_the_runs_and_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = alexnet_here(
        "sweep", "lenet", "--lr", "0.1,0.5", "--width", "0.5,1", "--seeds", "2", *SMALL, "--dry-run"
    )
    assert found.returncode == 0, found.stderr
    assert "8 runs to do: about" in found.stdout
    assert "rough guess" in found.stdout
    assert len(re.findall(r"^(0\.5|1) +(0\.1|0\.5) +[01] ", found.stdout, re.MULTILINE)) == 8
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_gives_exit_status_1(tmp_path):
    found = alexnet_here(
        "sweep", "lenet", "--activation", "relu", "--lr", "1e30,0.1", *SMALL,
        "--out", str(tmp_path / "sweep"), **SUBSET,
    )  # fmt: skip
    assert found.returncode == 1
    assert "1 of 2 runs failed; alexnet sweep --resume" in found.stderr
    assert "is not finite after epoch 1" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the net to sweep; known nets: alexnet, "),
        (["vgg", "--lr", "1"], "unknown net 'vgg'"),
        (["lenet"], "a sweep needs at least one setting, such as --lr 0.01,0.1"),
        (["lenet", "--lr", "0.1,x"], "--lr 0.1,x: 'x' is not a number"),
        (["lenet", "--lr", "0.1,"], "--lr '0.1,': a value is missing"),
        (["lenet", "--activation", ""], "--activation '': a value is missing"),
        (["lenet", "--lr", "1", "--backends", ""], "unknown backend ''"),
        (["lenet", "--lr", "0"], "lr=0.0: must be a finite number above 0"),
        (["lenet", "--pool-window", "9/2,3/2", "--resize", "12"], "pool_window=9/2, resize=12: "),
        (["lenet", "--lr", "1", "--backends", "jax"], "unknown backend 'jax'"),
        (
            ["lenet", "--lr", "1", "--python", "torch=/no"],
            "--python torch=/no: is not an executable",
        ),
        (["--resume", "/nowhere"], "/nowhere/sweep.json: cannot read the file"),
        (["--resume", "/nowhere", "--out", "b"], "--out b cannot be used with --resume /nowhere"),
    ],
)
def test_wrong_commands_are_refused_in_one_sentence(arguments, message):
    found = alexnet_here("sweep", *arguments)
    assert found.returncode == 1
    assert found.stderr.startswith("error: ")
    assert message in found.stderr
    assert len(found.stderr.splitlines()) == 1
