"""The book's own cells, and other people's programs, read from the documents this project was made from.

The documents stay outside the project, beside its folder; without them these tests are skipped.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import run

from alexnet import data, load_mnist
from alexnet.datasets.files import sample_folder
from alexnet.datasets.known import MNIST, SAMPLE

SEEDS = Path(__file__).parents[2] / "shared" / "seeds"
pytestmark = pytest.mark.skipif(not SEEDS.is_dir(), reason=f"there are no documents in {SEEDS}")


def document(number: str) -> str:
    (path,) = SEEDS.glob(f"{number}_*.txt")
    return path.read_text()


FIRST_LINE = {
    "mxnet": "from mxnet import np, npx\n",
    "torch": "import torch\nfrom torch import nn\n",
    "tensorflow": "import tensorflow as tf\n",
    "paddle": "import warnings\n",
}
RANDOM_IMAGE = {"mxnet": "np.", "torch": "torch.", "tensorflow": "tf.", "paddle": "paddle."}
SHAPE = re.compile(r"^(\w+) output shape:\s*(?:[\w.]+\()?[\[(]([\d, ]+)[\])]", re.MULTILINE)
CLOSING = re.compile(
    r"loss \d\.\d{3}, train acc [01]\.\d{3}, test acc [01]\.\d{3}\n\d+\.\d examples/sec on \S+\n$"
)


def between(text: str, start: str, *ends: str) -> str:
    """From ``start`` up to the first of ``ends``."""
    begin = text.index(start)
    return text[begin : min(i for i in (text.find(e, begin + 1) for e in ends) if i > 0)]


def cells_of_the_chapter(framework: str) -> tuple[str, list[tuple[str, str]]]:
    """The cells of one column of the chapter, one after another; the shapes that it prints."""
    text = document("000")
    net = between(text, FIRST_LINE[framework], *FIRST_LINE.values(), "W0818 ")
    loop = between(text, f"X = {RANDOM_IMAGE[framework]}", "\nX = ", "\n7.1.3.")
    code, printed = re.split(r"(?<=X\.shape\)\n)", loop, maxsplit=1)
    load = between(text, "batch_size = 128\n", "\n7.1.4.")
    train = between(text, "lr, num_epochs = ", "loss ")
    return "\n".join([net, code, load, train]), SHAPE.findall(printed)


def with_our_import(code: str) -> str:
    """The code with the one line changed that a reader must change."""
    changed, lines = re.subn(r"^from d2l import", "from alexnet import", code, flags=re.MULTILINE)
    assert lines == 1
    return changed


def check(code: str, shapes: list[tuple[str, str]], folder: Path) -> None:
    """Run a column's cells, cut down; they print the shapes and end with the two lines."""
    program = folder / "cells.py"
    program.write_text(with_our_import(code))
    env = {"ALEXNET_SUBSET": "6:4", "ALEXNET_DATA": "sample", "PWD": str(folder)}
    found = run("env", "-C", str(folder), sys.executable, str(program), **env)
    assert found.returncode == 0, found.stderr
    assert SHAPE.findall(found.stdout) == shapes
    assert CLOSING.search(found.stdout)


@pytest.mark.slow
def test_the_cells_of_the_chapter_run_with_one_line_changed(framework, tmp_path):
    code, shapes = cells_of_the_chapter(framework)
    assert shapes[0][1] == ("1, 54, 54, 96" if framework == "tensorflow" else "1, 96, 54, 54")
    assert len(shapes) == {"mxnet": 13, "torch": 21, "tensorflow": 14, "paddle": 21}[framework]
    check(code, shapes, tmp_path)


def indented(lines: list[str], levels: dict[str, int]) -> str:
    """Code that has lost its indentation, each line at the level given for its first words.

    A line without a given level has that of the line before it; inside brackets the level does not
    matter.
    """
    level, result = 0, []
    for line in lines:
        level = next((n for start, n in levels.items() if line.startswith(start)), level)
        result.append("    " * level + line)
    return "\n".join(result) + "\n"


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_the_notes_on_the_tensorflow_column_run(tmp_path):
    """Its code has no indentation, and prose between the cells."""
    text = document("001")
    net = between(text, "import tensorflow as tf\n", "构造一个")
    loop = between(text, "X = tf.random", "3.5 ")
    code, printed = re.split(r"(?<=X\.shape\)\n)", loop, maxsplit=1)
    load = between(text, "batch_size = 128\n", "这里使用")
    train = between(text, "lr, num_epochs = ", "3.6")
    levels = {
        "def ": 0,
        "return ": 1,
        "for ": 0,
        "X = layer": 1,
        "print(": 1,
        "X = tf": 0,
        "batch": 0,
    }
    lines = "".join([net, code, load, train]).splitlines()
    check(indented(lines, levels), SHAPE.findall(printed), tmp_path)


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_the_notes_on_the_torch_column_run(tmp_path):
    """Its code has no line breaks, so comments run into the next line."""
    text = document("002")
    code = between(text, "import torch\n", "Conv2d output shape")
    code = re.sub(r"#.*?(?=nn\.)", "", code)
    for after in ("as d2l", "in net:"):
        code = code.replace(after, f"{after}\n")
    code = re.sub(r"(?<=\))(?=print\(|batch_size|lr, num)", "\n", code)
    levels = {"X=layer": 1, "print(": 1, "batch_size": 0}
    check(indented(code.splitlines(), levels), SHAPE.findall(text), tmp_path)


@pytest.mark.slow
@pytest.mark.needs("torch")
@pytest.mark.parametrize("version", ["GPU", "CPU"])
def test_the_programs_for_mnist_run_on_this_loader(version, monkeypatch, capsys):
    """Plain PyTorch with its own loop; only the lines that load MNIST differ.

    The sample's images take the place of MNIST, which is not here. They are resized to 96:
    the programs print a first dense layer of 192*5*5 inputs, which fits sides from 95 to 110; at the
    224 that they print, PyTorch refuses it (192*13*13), whatever the loader.
    """
    monkeypatch.setattr(data, "MNIST", replace(MNIST, sha256=SAMPLE.sha256))
    monkeypatch.setenv("ALEXNET_SUBSET", "192:8")
    text = document("004")
    program = text.split(f"{version}版本:\n", 1)[1]
    program = program[: program.index("print('Finished Training')")]
    before, _, after = program.partition("transform = transforms.Compose")
    after = after[after.index("\n# 初始化") :]
    loader, _ = load_mnist(64, resize=96, root=sample_folder(), backend="torch", device="cpu")
    levels = {
        "import": 0, "class ": 0, "def ": 1, "super": 2, "x = ": 2, "return": 2,
        "# 定义数据": 0, "# 数据": 0, "# 初始化": 0, "for epoch": 0, "running_loss = ": 1,
        "for inputs": 1, "inputs, labels = ": 2, "print(": 1,
    }  # fmt: skip
    code = indented([*before.splitlines(), *after.splitlines()], levels)
    exec(
        compile(code, f"the {version} program", "exec"),
        {"__name__": "program", "train_loader": loader},
    )
    losses = [
        float(x) for x in re.findall(r"Epoch \[\d+/10\], Loss: ([\d.]+)", capsys.readouterr().out)
    ]
    assert len(losses) == 10
    assert losses[-1] < 2.4
