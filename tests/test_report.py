"""The report: one page that stands by itself and says what the runs were."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import replace
from functools import cache

import matplotlib.style
import numpy as np
import pytest
from helpers import alexnet
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from runs import SMALL

import alexnet as alexnet_package
from alexnet import History, load_fashion_mnist
from alexnet.backends.source import source
from alexnet.comparison.plan import Plan
from alexnet.comparison.report import write_report
from alexnet.comparison.report.answers import most_disputed
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Answers, Row
from alexnet.datasets.known import FASHION_MNIST
from alexnet.errors import RunError
from alexnet.json_values import from_json
from alexnet.spec.zoo import get
from alexnet.training.history import Epoch
from alexnet.workers.machine import describe

BEGUN = "2026-11-22T08:00:00+00:00"


@cache
def first_images():
    """The first 16 test images of the sample."""
    return load_fashion_mnist(16, resize=None, source="sample", subset=(16, 16))[1]


def history(backend, seconds=0.25, losses=(2.25, 2.0, 1.75, 1.5)):
    """A run of two epochs of two steps."""
    settings = {"train_examples": 24, "test_examples": 16, "test_crc32": first_images().checksum()}
    found = History("lenet", backend, "1", "cpu", settings, {})
    for examples, loss in zip((16, 8, 16, 8), losses, strict=True):
        found.record_step(examples, loss * examples, examples // 4, seconds)
        found.timed_examples += examples
        found.timed_seconds += seconds
    found.epochs = [Epoch(2.125, 0.25, 0.5, 2 * seconds), Epoch(1.625, 0.25, 0.625, 2 * seconds)]
    return found


def row(backend, classes, **fields):
    answers = Answers(list(classes), [0.5] * len(classes))
    return Row(
        "lenet", backend, "", "1.2.3", "cpu", history=history(backend), answers=answers, **fields
    )


def labels():
    return first_images().labels.tolist()


def comparison(folder, rows, **recipe):
    plan = Plan({"lenet": replace(SMALL, **recipe)}, None, tuple(r.backend for r in rows))
    folder.mkdir(exist_ok=True)
    return Comparison(plan, 0, None, folder, BEGUN, list(rows))


def page_of(*comparisons, path):
    return write_report(comparisons, path).read_text(encoding="utf-8")


def text_of(page):
    """What a page says, without its markup."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


# --- what it says -------------------------------------------------------------------------------


def test_every_figure_of_a_real_run_stands_in_the_report(tmp_path):
    """And the command line writes it again, the same."""
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
    again = alexnet("report", str(tmp_path / "run"), "--out", str(tmp_path / "again.html"))
    assert again.stdout == f"{tmp_path / 'again.html'}\n"
    assert text_of((tmp_path / "again.html").read_text(encoding="utf-8")) == said


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


def test_the_picture_of_a_test_image_is_the_image(tmp_path):
    page = page_of(comparison(tmp_path, [row("torch", labels())]), path=tmp_path / "report.html")
    for data, number in re.findall(
        r'src="data:image/png;base64,([^"]+)" alt="test image (\d+)', page
    ):
        picture = imread(io.BytesIO(base64.b64decode(data)))[..., 0] * 255
        np.testing.assert_array_equal(picture.round(), first_images().pixels[int(number)])


def test_a_net_that_saw_fewer_images_does_not_choose_what_is_shown(tmp_path):
    short = row("numpy", [0] * 16)
    short.history.steps = short.history.steps[:2]
    torch = labels()
    torch[7] = (torch[7] + 1) % 10
    rows = [short, row("torch", torch), row("paddle", labels())]
    page = page_of(comparison(tmp_path, rows), path=tmp_path / "report.html")
    assert re.search(r'alt="test image (\d+):', page)[1] == "7"
    said = text_of(page)
    assert "All 2 give the same answer for 15 of the 16 test images." in said
    assert "NumPy saw fewer training images, and did not count" in said


def test_without_the_test_images_the_report_says_so(tmp_path):
    other = row("torch", labels())
    other.history.settings["test_crc32"] = "00000000"
    said = text_of(page_of(comparison(tmp_path, [other]), path=tmp_path / "report.html"))
    assert "The test images were not found on the machine on which this report was made." in said


def test_what_a_worker_said_is_text_not_markup(tmp_path):
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
    """Its losses are no numbers, and neither are its probabilities."""
    lost = row("torch", [0] * 16)
    lost.history = history("torch", losses=(2.25, float("nan"), float("nan"), float("nan")))
    lost.answers = Answers([0] * 16, [None] * 16)
    lost.history.epochs = [Epoch(float("nan"), 0.1, 0.1, 0.5), Epoch(float("nan"), 0.1, 0.1, 0.5)]
    first = comparison(tmp_path / "run", [lost])
    first.save()
    loaded = Comparison.load(tmp_path / "run")
    assert "nan" in text_of(page_of(loaded, path=tmp_path / "report.html"))


@pytest.mark.slow
def test_runs_of_two_machines_stand_side_by_side(tmp_path):
    mine, theirs = (
        comparison(tmp_path / name, [row("torch", labels(), machine=machine)], lr=lr)
        for name, machine, lr in (("mine", "a laptop", 0.5), ("theirs", "a server", 0.25))
    )
    theirs.rows[0].answers = Answers([(labels()[0] + 1) % 10, *labels()[1:]], [0.5] * 16)
    for run in (mine, theirs):
        run.save()
    path = tmp_path / "both.html"
    done = alexnet("report", str(tmp_path / "mine"), str(tmp_path / "theirs"), "--out", str(path))
    assert done.returncode == 0, done.stderr
    page = path.read_text(encoding="utf-8")
    said = text_of(page)
    assert "machine a laptop a server" in said
    assert "learning rate 0.5 0.25" in said
    assert "lenet, mine" in said and "lenet, theirs" in said  # their curves
    assert "PyTorch, mine · 1 PyTorch, theirs 1 ·" in said
    assert len(re.findall(r"<figure>", page)) == 2 * 4
    programs = re.findall(r'<div class="highlight">', page)
    assert len(programs) == 1  # it is the same for both


def test_folders_of_one_name_go_by_their_whole_paths(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    runs = [comparison(tmp_path / side / "run", [row("torch", labels())]) for side in "ab"]
    said = text_of(page_of(*runs, path=tmp_path / "report.html"))
    assert str(tmp_path / "a" / "run") in said and str(tmp_path / "b" / "run") in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "{run}"], "a run is given twice: "),
        (["{nothing}"], "cannot be read as a comparison (No such file"),
        (
            ["{run}", "--out", "{run}/comparison.json/report.html"],
            "the report cannot be written there (",
        ),
    ],
)
def test_a_wrong_report_is_one_sentence(arguments, message, tmp_path):
    comparison(tmp_path / "run", [row("torch", labels())]).save()
    places = {"run": tmp_path / "run", "nothing": tmp_path / "nothing"}
    done = alexnet("report", *(a.format(**places) for a in arguments))
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


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


@pytest.mark.parametrize(
    "answers",
    [
        {"classes": [1], "probabilities": []},
        {"classes": [-1], "probabilities": [0.5]},
        {"classes": [1.5], "probabilities": [0.5]},
        {"classes": [1], "probabilities": [1.5]},
        {"classes": [1], "probabilities": ["a"]},
    ],
)
def test_what_is_no_answer_is_refused(answers, tmp_path):
    saved = row("torch", labels()).to_dict() | {"answers": answers}
    with pytest.raises(ValueError, match=r"classes|probabilities"):
        from_json(Row, json.loads(json.dumps(saved)), "row")


def at(place, value):
    """A change of a saved comparison: what stands at that place becomes the value."""

    def change(saved):
        *way, last = place
        for key in way:
            saved = saved[key]
        saved[last] = value

    return change


ROW = ("rows", 0)
HISTORY = (*ROW, "history")
DAMAGE = {
    "begun cannot be 5": at(["begun"], 5),
    "seed cannot be '0'": at(["seed"], "0"),
    "device cannot be 3": at(["device"], 3),
    "plan: wrong or missing: root": lambda saved: saved["plan"].pop("root"),
    "lr cannot be 'x'": at(["plan", "recipes", "lenet", "lr"], "x"),
    "test_examples cannot be 1.5": at(["plan", "recipes", "lenet", "test_examples"], 1.5),
    "the smallest image that fits": at(["plan", "recipes", "lenet", "resize"], 2),
    "root cannot be 5": at(["plan", "root"], 5),
    r"pythons cannot be \[\]": at(["plan", "pythons"], []),
    "unknown backend 'jax'": at(["plan", "names"], ["jax"]),
    "unknown model 'vgg'": at(["plan", "recipes"], {"vgg": vars(SMALL)}),
    "its rows are not those of its plan": at(["plan", "recipes"], {}),
    "rows are not those": at([*ROW, "model"], "alexnet"),
    "peak_memory cannot be 'x'": at([*ROW, "peak_memory"], "x"),
    "logits_difference cannot be 'x'": at([*ROW, "logits_difference"], "x"),
    "answers: wrong or missing: classes, probabilities": at([*ROW, "answers"], {}),
    r"machine cannot be \[\]": at([*ROW, "machine"], []),
    "threads cannot be 4": at([*ROW, "threads"], 4),
    r"version cannot be \{\}": at([*ROW, "version"], {}),
    r"backend cannot be \[1\]": at([*ROW, "backend"], [1]),
    "a history's speed is finite": at([*HISTORY, "timed_seconds"], 0),
    "a history's steps have an example": at([*HISTORY, "steps", 0, "examples"], 0),
    "a history's seconds are finite": at([*HISTORY, "steps", 0, "seconds"], None),
    "has an epoch and a step": at([*HISTORY, "epochs"], []),
    "an epoch and a step": at([*HISTORY, "steps"], []),
    "test_crc32 cannot be": at([*HISTORY, "settings", "test_crc32"], []),
    "lr must be a finite number": at(["plan", "recipes", "lenet", "lr"], None),
    "timeout must be above 0": at(["plan", "timeout"], None),
    "parallel must be at least 1": at(["plan", "parallel"], 0),
    "seed must be": at(["seed"], -1),
    "batch_size must be at least 1": at(["plan", "recipes", "lenet", "batch_size"], 0),
    "wrong or missing: plan": lambda saved: saved.pop("plan"),
    "peak_memory cannot be 1000": at([*ROW, "peak_memory"], 10**400),
    "timed_examples cannot be 1000": at([*HISTORY, "timed_examples"], 10**400),
    "warmup_seconds cannot be None": at([*HISTORY, "warmup_seconds"], None),
    "steps are numbers": at([*HISTORY, "steps", 0, "examples"], 10**400),
    "is of format 2; this version reads 3": at(["format"], 2),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_comparison_is_one_sentence(message, tmp_path):
    saved = json.loads(json.dumps(comparison(tmp_path, [row("torch", labels())]).to_dict()))
    file = tmp_path / "comparison.json"
    file.write_text(json.dumps(saved))
    Comparison.load(tmp_path)  # as it is, it is in order
    DAMAGE[message](saved)
    file.write_text(json.dumps(saved))
    with pytest.raises(RunError, match=message) as caught:
        write_report([Comparison.load(tmp_path)], tmp_path / "report.html")
    assert str(file) in str(caught.value)


def test_a_changed_byte_of_a_comparison_is_seen(tmp_path):
    """A digit for a digit, which no check of types would find; an older file has no checksum."""
    found = comparison(tmp_path, [row("torch", labels())])
    found.save()
    file = tmp_path / "comparison.json"
    whole = file.read_text()
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()
    place = whole.index('"loss": ') + len('"loss": ')
    other = "1" if whole[place] != "1" else "2"
    file.write_text(whole[:place] + other + whole[place + 1 :])
    with pytest.raises(RunError, match="it is damaged"):
        Comparison.load(tmp_path)
    file.write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != "sha256"}))
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


def test_a_comparison_of_before_0_1_0_loads(tmp_path):
    """It has no checksum, and calls the timeout ``silence``."""
    found = comparison(tmp_path, [row("torch", labels())])
    saved = json.loads(json.dumps(found.to_dict()))
    saved["plan"]["silence"] = saved["plan"].pop("timeout")
    (tmp_path / "comparison.json").write_text(json.dumps(saved))
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


@pytest.mark.parametrize("text", ["[" * 200_000, "NaN", '{"format": 3, "seed": Infinity}', "3"])
def test_what_is_no_comparison_at_all_is_one_sentence(text, tmp_path):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(RunError, match="cannot be read as a comparison"):
        Comparison.load(tmp_path)


def test_a_folder_of_images_that_cannot_be_looked_into_is_passed_over(tmp_path):
    """As that of a run which was made on another machine. Here: its name is too long."""
    found = comparison(tmp_path, [row("torch", labels())])
    found.plan = replace(found.plan, root=str(tmp_path / (5000 * "x")))
    page = page_of(found, path=tmp_path / "report.html")
    assert 'alt="test image' in page  # the sample has them


def test_a_report_that_cannot_be_made_does_not_cost_the_run(tmp_path):
    """Here: its place is taken by a folder."""
    (tmp_path / "run" / "report.html").mkdir(parents=True)
    small = {"data": "sample", "train_examples": 32, "test_examples": 16, "num_epochs": 1}
    with pytest.warns(UserWarning, match="its report could not be made"):
        found = alexnet_package.compare("lenet", ["numpy"], out=tmp_path / "run", **small)
    assert found.rows[0].history is not None


def test_a_style_that_was_set_for_other_pictures_is_not_the_reports(tmp_path):
    found = comparison(tmp_path, [row("torch", labels())])
    plain = page_of(found, path=tmp_path / "plain.html")
    with matplotlib.style.context("dark_background"):
        styled = page_of(found, path=tmp_path / "styled.html")
    colours = [
        set(re.findall("#[0-9a-f]{6}", base64.b64decode(uri).decode()))
        for uri in (re.search(r'svg\+xml;base64,([^"]+)', p)[1] for p in (plain, styled))
    ]
    assert colours[0] == colours[1]


def test_what_differs_between_runs_is_told_apart(tmp_path):
    """The sizes of a net, and what each run had."""
    small = comparison(tmp_path / "small", [row("torch", labels())])
    large = comparison(tmp_path / "large", [row("torch", labels())], resize=32)
    said = text_of(page_of(small, large, path=tmp_path / "report.html"))
    assert "lenet at 1×28×28, lenet at 1×32×32 in PyTorch" in said
    assert "image size 28×28 32×32" in said
    assert "Within a run, all frameworks of a net" in said
    assert "lenet at 1×32×32, large" in said  # its curves
    assert "Those that it gets wrong first:" in said


@pytest.mark.slow
def test_settings_of_several_nets_name_the_net_in_every_run(tmp_path):
    one = comparison(tmp_path / "one", [row("torch", labels())])
    mnist = replace(row("torch", labels()), model="alexnet-mnist")
    both = Plan({"lenet": SMALL, "alexnet-mnist": replace(SMALL, resize=96)}, None, ("torch",))
    (tmp_path / "two").mkdir()
    two = Comparison(both, 0, None, tmp_path / "two", BEGUN, [row("torch", labels()), mnist])
    said = text_of(page_of(one, two, path=tmp_path / "report.html"))
    assert "lenet: batch size 16 16" in said
    assert "alexnet-mnist: batch size – 16" in said


def test_gpus_are_named_as_their_driver_names_them(tmp_path, monkeypatch):
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho NVIDIA L4\necho NVIDIA L4\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ", NVIDIA L4, NVIDIA L4, " in describe()
