"""The command line: its output and its refusals."""

from __future__ import annotations

import json
import shutil

import pytest
import typer
from helpers import alexnet, alexnet_here

from alexnet.cli.app import app
from alexnet.datasets import files


def test_summary_prints_the_table_with_its_totals():
    found = alexnet("summary", "alexnet")
    assert found.returncode == 0, found.stderr
    assert "46,764,746" in found.stdout
    assert "938,146,176" in found.stdout
    assert "96×54×54" in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_the_command_prints_its_version():
    assert alexnet("--version").stdout.startswith("alexnet 0.")


def test_no_text_of_the_help_stands_in_angle_brackets_which_are_not_shown():
    for name, command in typer.main.get_command(app).commands.items():
        texts = [command.help, *(parameter.help for parameter in command.params)]
        assert all("<" not in (text or "") for text in texts), name


def test_train_prints_the_closing_lines_and_saves(tmp_path):
    found = alexnet(
        "train", "lenet", "--backend", "numpy", "--data", "sample", "--epochs", "1",
        "--examples", "64", "--save", str(tmp_path / "h.json"),
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    first, second, *_, loss, speed = found.stdout.splitlines()
    assert (
        first
        == "Images: the Fashion-MNIST sample in this package (5,000 training and 1,000 test images)"
    )
    assert second.startswith(
        "lenet in NumPy at 28×28: 64 images, epochs: 1, batches of 16, lr 0.5,"
    )
    assert loss.startswith("loss ")
    assert speed.endswith(" examples/sec on cpu")
    assert json.loads((tmp_path / "h.json").read_text())["model"] == "lenet"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [("train", "lenet", "--backend", "numpy"), ("compare", "lenet")]
)
def test_the_subset_of_the_environment_cuts_a_run_down(command, tmp_path):
    where = ["--out", str(tmp_path / "run"), "--backends", "numpy"] if "compare" in command else []
    found = alexnet(*command, *where, "--data", "sample", "--epochs", "1", ALEXNET_SUBSET="20:10")
    assert found.returncode == 0, found.stderr
    line = found.stdout.splitlines()[0]
    assert line.endswith(", at most 20 training and 10 test images (ALEXNET_SUBSET)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "vgg"], "unknown net 'vgg'; known nets: alexnet, .*, lenet"),
        (
            ["summary", "alexnet", "--size", "64"],
            "layer 12 MaxPool(3, stride=2): input (256, 2, 2)",
        ),
        (["train", "vgg", "--backend", "numpy"], "unknown net 'vgg'"),
        (["train", "lenet", "--backend", "jax"], "unknown backend 'jax'; known backends: numpy"),
        (
            ["train", "lenet", "--batch-size", "0"],
            "batch_size must be a whole number of at least 1",
        ),
        (["train", "lenet", "--batch-size", "-3"], "batch_size must be .*, got -3"),
        (["train", "alexnet", "--resize", "40"], "the smallest image that fits is 65×65"),
        (["train", "lenet", "--lr", "0"], "lr must be a finite number above 0, got 0"),
        (["train", "lenet", "--epochs", "0"], "num_epochs must be .*, got 0"),
        (["train", "lenet", "--momentum", "1"], "momentum must be"),
        (["train", "lenet", "--device", "gpu:7"], "cannot use 'gpu:7'; available GPUs: none"),
        (
            ["train", "lenet", "--data", "/nonexistent"],
            "/nonexistent: the folder does not exist (named by --data or",
        ),
        (["compare", "vgg"], "unknown net 'vgg'"),
        (["compare", "lenet", "--backends", "numpy,jax"], "unknown backend 'jax'"),
        (["compare", "lenet", "--batch-size", "0"], "batch_size must be"),
        (["compare", "lenet", "--lr", "-1"], "lr must be"),
        (["compare", "alexnet", "--resize", "30"], "the smallest image that fits is 65×65"),
        (["compare", "lenet", "--out", "/dev/null/run"], "cannot create the run's folder"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_bad_input_gives_one_sentence_and_exit_status_1(arguments, message, tmp_path):
    import re

    if arguments[0] == "train" and "--backend" not in arguments:
        arguments = [*arguments, "--backend", "numpy"]
    if arguments[0] != "summary" and "--data" not in arguments:
        arguments = [*arguments, "--data", "sample"]
    run = tmp_path / "run"
    if arguments[0] == "compare" and "--out" not in arguments:
        arguments = [*arguments, "--out", str(run)]
    found = alexnet_here(*arguments)
    assert found.returncode == 1, found.stdout
    lines = found.stderr.strip().splitlines()
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("error: ")
    assert message in lines[0] or re.search(message, lines[0])
    assert not run.exists()


def test_a_truncated_data_file_is_one_sentence_of_the_command(tmp_path):
    shutil.copytree(files.sample_folder(), tmp_path / "data")
    path = tmp_path / "data" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:5000])
    found = alexnet("train", "lenet", "--backend", "numpy", ALEXNET_DATA=str(tmp_path / "data"))
    assert found.returncode == 1
    (line,) = found.stderr.strip().splitlines()
    assert "train-images-idx3-ubyte.gz: the file is damaged or truncated" in line
