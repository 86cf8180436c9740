"""The report: one self-contained page about the runs."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import matplotlib.style
import numpy as np
import pytest
from helpers import alexnet, alexnet_here
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from reports import comparison, first_images, history, labels, page_of, row, short, text_of

import alexnet as alexnet_package
from alexnet.backends.source import source
from alexnet.comparison.report.answers import most_disputed
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Answers, Row
from alexnet.datasets.known import FASHION_MNIST
from alexnet.spec.zoo import get
from alexnet.training.history import Epoch
from alexnet.workers.machine import describe


def test_the_report_has_every_figure_of_a_real_run(tmp_path):
    """`alexnet report` writes the same again."""
    done = alexnet(
        "compare", "lenet", "--backends", "numpy", "--data", "sample", "--examples", "64",
        "--epochs", "2", "--out", str(tmp_path / "run"), ALEXNET_SUBSET="64:32",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    said = text_of(page)
    (found,) = Comparison.load(tmp_path / "run").rows
    last = found.history.last
    for figure in (
        f"{last.loss:.3f}",
        f"{last.train_accuracy:.3f}",
        f"{last.test_accuracy:.3f}",
        f"{found.history.examples_per_sec:,.1f}",
        f"{found.history.warmup_seconds:.2f} s",
        f"{found.peak_memory / 1e6:,.0f} MB",
        f"{found.logits_difference:.1e}",
        f"{found.parity.gradients:.1e}",
        found.machine,
        "61,706",  # parameters of LeNet
        "416,520",  # multiply-adds
        "batch size 16",
        "learning rate 0.5",
        "training images 64",
        "test images 32",
    ):
        assert figure in said, figure
    program = source(get("lenet").resolve(), "numpy")
    assert " ".join(program.split()).replace(" ", "") in said.replace(" ", "")
    again = alexnet_here("report", str(tmp_path / "run"), "--out", str(tmp_path / "again.html"))
    assert again.stdout == f"{tmp_path / 'again.html'}\n"
    assert text_of((tmp_path / "again.html").read_text(encoding="utf-8")) == said


@pytest.mark.usefixtures("without_curves")
def test_disputed_images_come_first_with_everyones_answer(tmp_path):
    right = labels()
    torch, paddle = list(right), list(right)
    torch[5], paddle[5] = (right[5] + 1) % 10, (right[5] + 2) % 10  # three answers
    paddle[9] = (right[9] + 3) % 10  # two
    torch[2] = paddle[2] = mxnet_2 = (right[2] + 4) % 10  # one, and wrong
    mxnet = [*right[:2], mxnet_2, *right[3:]]
    rows = [row("torch", torch), row("mxnet", mxnet), row("paddle", paddle)]
    page = page_of(comparison(tmp_path, rows), path=tmp_path / "report.html")
    order = [int(number) for number in re.findall(r'alt="test image (\d+):', page)]
    assert order[:3] == [5, 9, 2]
    assert sorted(order) == list(range(16))
    name = FASHION_MNIST.labels
    assert (
        f"{name[right[5]]} no. 5 PyTorch {name[torch[5]]} 50% MXNet {name[mxnet[5]]} 50% "
        f"Paddle {name[paddle[5]]} 50%"
    ) in text_of(page)
    assert "All 3 give the same answer for 14 of the 16 test images." in text_of(page)
    assert "PyTorch · 1 2 MXNet 1 · 2 Paddle 2 2 ·" in text_of(page)
    card = re.search(r"test image 5:.*?</ul>", page, re.DOTALL)[0]
    assert re.findall(r'class="(right|wrong)"', card) == ["wrong", "right", "wrong"]


@pytest.mark.usefixtures("without_curves")
def test_the_report_says_so_if_no_answer_differs(tmp_path):
    wrong = [(labels()[0] + 1) % 10, *labels()[1:]]
    rows = [row("torch", wrong), row("paddle", wrong)]
    said = text_of(page_of(comparison(tmp_path, rows), path=tmp_path / "report.html"))
    assert "All 2 give the same answer for 16 of the 16 test images." in said
    assert "All nets give the same answers. The images that they get wrong come first:" in said
    assert "different answers first" not in said


@given(st.data())
def test_no_image_is_less_disputed_than_a_later_one(data):
    nets, images = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12))
    numbers = st.lists(st.integers(0, 3), min_size=images, max_size=images)
    said = np.array(data.draw(st.lists(numbers, min_size=nets, max_size=nets)))
    right = np.array(data.draw(numbers))
    order = most_disputed(said, right)
    assert sorted(order) == list(range(images))
    keys = [(len(set(said[:, n])), sum(said[:, n] != right[n])) for n in order]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.usefixtures("without_curves")
def test_the_picture_of_a_test_image_is_the_image(tmp_path):
    page = page_of(comparison(tmp_path, [row("torch", labels())]), path=tmp_path / "report.html")
    for data, number in re.findall(
        r'src="data:image/png;base64,([^"]+)" alt="test image (\d+)', page
    ):
        picture = imread(io.BytesIO(base64.b64decode(data)))[..., 0] * 255
        np.testing.assert_array_equal(picture.round(), first_images().pixels[int(number)])


@pytest.mark.usefixtures("without_curves")
def test_a_net_that_took_fewer_steps_is_not_compared(tmp_path):
    """Its answers count nowhere, and its number of steps stands in the place of its accuracy."""
    torch = labels()
    torch[7] = (torch[7] + 1) % 10
    rows = [short(row("numpy", [0] * 16)), row("torch", torch), row("paddle", labels())]
    page = page_of(comparison(tmp_path, rows), path=tmp_path / "report.html")
    assert re.search(r'alt="test image (\d+):', page)[1] == "7"
    said = text_of(page)
    assert "All 2 give the same answer for 15 of the 16 test images." in said
    assert "NumPy took 2 of 4 steps." in said


@pytest.mark.usefixtures("without_curves")
def test_the_report_says_how_many_processes_trained_each_net(tmp_path):
    found = comparison(tmp_path, [row("numpy", labels()), row("torch", labels())])
    said = []
    for workers in (1, 2):
        found.plan = replace(found.plan, workers=workers)
        said.append(text_of(page_of(found, path=tmp_path / "report.html")))
    assert "Each net trained" not in said[0]
    assert "Each net trained in 2 processes (NumPy: 1)." in said[1]


@pytest.mark.usefixtures("without_curves")
def test_without_the_test_images_the_report_says_so(tmp_path):
    other = row("torch", labels())
    other.history.settings["test_crc32"] = "00000000"
    said = text_of(page_of(comparison(tmp_path, [other]), path=tmp_path / "report.html"))
    assert "The test images were not found on the machine that made this report." in said


@pytest.mark.usefixtures("without_curves")
def test_an_unreadable_folder_of_images_is_ignored(tmp_path):
    """The folder of a run on another machine may be unreadable here. This one's name is too long."""
    found = comparison(tmp_path, [row("torch", labels())])
    found.plan = replace(found.plan, root=str(tmp_path / (5000 * "x")))
    page = page_of(found, path=tmp_path / "report.html")
    assert 'alt="test image' in page  # the sample has them


@pytest.mark.usefixtures("without_curves")
def test_words_of_a_worker_are_text_not_markup(tmp_path):
    evil = '<script>alert(1)</script><img src="http://example.org/x.png">'
    bad = Row("lenet", "torch", problem=evil, version=evil, device=evil, machine=evil)
    page = page_of(comparison(tmp_path, [bad, row("numpy", labels())]), path=tmp_path / "r.html")
    assert "<script" not in page
    assert '<img src="http' not in page
    assert evil in text_of(page)


def test_a_run_without_any_result_has_a_report(tmp_path):
    rows = [Row("lenet", "torch", problem="killed by SIGKILL"), Row("lenet", "mxnet")]
    said = text_of(page_of(comparison(tmp_path, rows), path=tmp_path / "report.html"))
    assert "killed by SIGKILL" in said
    assert "has no result" in said
    assert "Curves" not in said


def test_a_diverged_net_has_a_report(tmp_path):
    """Its losses and probabilities are NaN."""
    lost = row("torch", [0] * 16)
    lost.history = history("torch", losses=(2.25, float("nan"), float("nan"), float("nan")))
    lost.answers = Answers([0] * 16, [None] * 16)
    lost.history.epochs = [Epoch(float("nan"), 0.1, 0.1, 0.5), Epoch(float("nan"), 0.1, 0.1, 0.5)]
    first = comparison(tmp_path / "run", [lost])
    first.save()
    loaded = Comparison.load(tmp_path / "run")
    assert "nan" in text_of(page_of(loaded, path=tmp_path / "report.html"))


@pytest.mark.usefixtures("without_curves")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "{run}"], "every run must be given only once, got "),
        (["{nothing}"], "cannot read the comparison (No such file"),
        (
            ["{run}", "--out", "{run}/comparison.json/report.html"],
            "cannot write the report (",
        ),
    ],
)
def test_the_command_refuses_a_wrong_report_in_one_sentence(arguments, message, tmp_path):
    comparison(tmp_path / "run", [row("torch", labels())]).save()
    places = {"run": tmp_path / "run", "nothing": tmp_path / "nothing"}
    done = alexnet_here("report", *(a.format(**places) for a in arguments))
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_survives_a_report_that_cannot_be_written(tmp_path):
    """A folder has the name of the report."""
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    small = {"data": "sample", "train_examples": 32, "test_examples": 16, "num_epochs": 1}
    with pytest.warns(UserWarning, match="cannot write its report"):
        found = alexnet_package.compare("lenet", ["numpy"], out=tmp_path / "run", **small)
    assert found.rows[0].history is not None


@pytest.mark.parametrize(
    ("unit", "where"),
    [
        ("step", [1, 2, 3, 4]),
        ("epoch", [2 / 3, 1, 5 / 3, 2]),
        ("second", [0.25, 0.5, 0.75, 1]),
        ("example", [16, 24, 40, 48]),
    ],
)
def test_a_run_is_measured_in_steps_epochs_seconds_and_examples(unit, where):
    np.testing.assert_allclose(history("torch").curve().positions(unit), where)


def test_the_report_ignores_the_users_matplotlib_style(tmp_path):
    found = comparison(tmp_path, [row("torch", labels())])
    plain = page_of(found, path=tmp_path / "plain.html")
    with matplotlib.style.context("dark_background"):
        styled = page_of(found, path=tmp_path / "styled.html")
    colours = [
        set(re.findall("#[0-9a-f]{6}", base64.b64decode(uri).decode()))
        for uri in (re.search(r'svg\+xml;base64,([^"]+)', p)[1] for p in (plain, styled))
    ]
    assert colours[0] == colours[1]


def test_gpus_are_named_as_their_driver_names_them(tmp_path, monkeypatch):
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho NVIDIA L4\necho NVIDIA L4\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ", NVIDIA L4, NVIDIA L4, " in describe()
