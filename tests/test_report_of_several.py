"""The report of several runs: shared parts and differences."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from helpers import alexnet_here
from reports import BEGUN, comparison, labels, page_of, row, text_of
from small_runs import SMALL

from alexnet.comparison.plan import Plan
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Answers


@pytest.mark.slow
def test_runs_of_two_machines_appear_side_by_side(tmp_path):
    mine, theirs = (
        comparison(tmp_path / name, [row("torch", labels(), machine=machine)], lr=lr)
        for name, machine, lr in (("mine", "a laptop", 0.5), ("theirs", "a server", 0.25))
    )
    theirs.rows[0].answers = Answers([(labels()[0] + 1) % 10, *labels()[1:]], [0.5] * 16)
    for run in (mine, theirs):
        run.save()
    path = tmp_path / "both.html"
    done = alexnet_here(
        "report", str(tmp_path / "mine"), str(tmp_path / "theirs"), "--out", str(path)
    )
    assert done.returncode == 0, done.stderr
    page = path.read_text(encoding="utf-8")
    said = text_of(page)
    assert "machine a laptop a server" in said
    assert "learning rate 0.5 0.25" in said
    assert "lenet, mine" in said and "lenet, theirs" in said  # their curves
    assert "PyTorch, mine · 1 PyTorch, theirs 1 ·" in said
    assert len(re.findall(r"<figure>", page)) == 2 * 4
    programs = re.findall(r'<div class="highlight">', page)
    assert len(programs) == 1  # both runs have the same program


@pytest.mark.usefixtures("without_curves")
def test_folders_with_the_same_name_are_shown_with_their_whole_paths(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    runs = [comparison(tmp_path / side / "run", [row("torch", labels())]) for side in "ab"]
    said = text_of(page_of(*runs, path=tmp_path / "report.html"))
    assert str(tmp_path / "a" / "run") in said and str(tmp_path / "b" / "run") in said


@pytest.mark.usefixtures("without_curves")
def test_the_report_tells_runs_of_different_sizes_apart(tmp_path):
    """By the size of the net and by the run."""
    small = comparison(tmp_path / "small", [row("torch", labels())])
    large = comparison(tmp_path / "large", [row("torch", labels())], resize=32)
    said = text_of(page_of(small, large, path=tmp_path / "report.html"))
    assert "lenet at 1×28×28, lenet at 1×32×32 in PyTorch" in said
    assert "image size 28×28 32×32" in said
    assert "Within a run, all frameworks of a net" in said
    assert "lenet at 1×32×32, large" in said  # its curves
    assert "Images with a wrong answer first:" in said


@pytest.mark.usefixtures("without_curves")
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
