"""What a comparison says about agreement: equal answers, close losses, short rows, several seeds."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from reports import comparison, history, labels, page_of, row, short, text_of

from alexnet.comparison.agreement import agreements, sentences
from alexnet.comparison.plan import Plan
from alexnet.comparison.results import Comparison, empty_rows
from alexnet.comparison.table import rows_table
from alexnet.training.plots import plot_by_net
from alexnet.training.recipes import QUICK
from alexnet.views.tables import as_text


def changed(*images):
    """The right answers, with another answer for these images."""
    answers = labels()
    for image in images:
        answers[image] = (answers[image] + 1) % 10
    return answers


def three(seed=None, **fields):
    """PyTorch, MXNet and Paddle disagree on images 3, 5 and 7, and on the loss of a step by 0.25."""
    rows = [
        row("torch", labels(), seed=seed),
        row("mxnet", changed(3), seed=seed),
        row("paddle", changed(5, 7), seed=seed),
    ]
    rows[2].history = history("paddle", losses=(2.5, 2.25, 2.0, 1.75))
    return [replace(r, **fields) for r in rows]


def plan(**settings):
    return Plan({"lenet": QUICK["lenet"], "alexnet": QUICK["alexnet"]}, None, (), **settings)


def test_answers_and_losses_of_all_rows_are_compared():
    (found,) = agreements(three())
    assert [r.backend for r in found.rows] == ["torch", "mxnet", "paddle"]
    assert (found.images, found.same, found.least) == (16, 13, 13)
    assert found.loss_gap == pytest.approx(0.25)
    assert sentences(three(), plan()) == [
        "PyTorch, MXNet and Paddle give the same answer for 13 of 16 test images. Each pair agrees on at "
        "least 81%. Their losses in a step differ by 0.25 on average."
    ]


def test_equal_answers_need_no_word_about_pairs():
    assert sentences([row("torch", labels()), row("mxnet", labels())], plan()) == [
        "PyTorch and MXNet give the same answer for 16 of 16 test images. Their losses in a step differ by "
        "0 on average."
    ]


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        (True, " All used the same dropout masks."),
        (False, " Each framework drew its own dropout masks, so their curves and answers differ."),
    ],
)
def test_a_net_with_dropout_says_whose_masks_it_used(shared, said):
    (found,) = sentences(three(model="alexnet"), plan(shared_dropout=shared))
    assert found.endswith(said)


def test_too_few_answers_or_steps_do_not_end_the_comparison():
    """A faulty worker may send them. The common part is compared; a row without answers is left out."""
    rows = [*three(), row("tensorflow", [])]
    rows[0].answers = replace(rows[0].answers, classes=labels()[:8], probabilities=[0.5] * 8)
    rows[1].history.steps.pop()
    (found,) = agreements(rows)
    assert (found.images, found.same) == (8, 5)
    assert len(found.rows) == 3


def test_a_row_without_a_result_is_not_compared():
    rows = [*three()[:1], replace(row("mxnet", labels()), history=None)]
    assert agreements(rows) == []
    assert sentences(rows, plan()) == []


def test_a_short_row_says_how_many_steps_it_took():
    """Its answers are not compared; its losses are, with the same steps of the others."""
    rows = [short(row("numpy", [0] * 16)), *three()]
    rows[0].history.steps[1]["loss"] = 2.0  # the others: 2.0, 2.0 and 2.25
    (found,) = agreements(rows)
    assert found.same == 13
    *_, said = sentences(rows, plan())
    assert said == (
        "NumPy took 2 of 4 steps. In these, its loss differs from the mean of the others by at most "
        "0.083."
    )
    table = as_text([rows_table(rows)]).splitlines()
    numpy, torch = (next(line for line in table if line.startswith(n)) for n in ("numpy", "torch"))
    assert re.search(r"–\s+–\s+2 steps", numpy)
    assert "0.625" in torch
    assert "0.625" not in numpy


def test_a_short_row_has_no_test_accuracy_in_the_picture():
    curve = short(row("numpy", [0] * 16)).history.curve()
    assert len(curve.test_accuracy) == 0
    assert len(curve.loss) == 2


def seeds():
    """Three seeds; the test accuracies of PyTorch are 0.625, 0.725 and 0.825."""
    rows = [r for seed in (4, 5, 6) for r in three(seed)]
    for number, r in enumerate(rows):
        r.history.epochs[-1] = replace(
            r.history.epochs[-1], test_accuracy=0.625 + number // 3 * 0.1
        )
    return rows


def test_rows_of_several_seeds_have_names_of_their_own():
    plan = Plan({"lenet": QUICK["lenet"]}, None, ("numpy", "torch"), seeds=2)
    rows = empty_rows(plan, 4)
    assert [(r.seed, r.backend) for r in rows] == [
        (4, "numpy"), (4, "torch"), (5, "numpy"), (5, "torch")
    ]  # fmt: skip
    assert len({r.name for r in rows}) == 4
    assert [r.name for r in empty_rows(replace(plan, seeds=1), 4)] == ["lenet-numpy", "lenet-torch"]


def test_the_table_shows_mean_and_standard_deviation_over_the_seeds():
    lines = as_text([rows_table(seeds())]).splitlines()
    torch = next(line for line in lines if line.startswith("torch"))
    assert "0.725 ±0.100" in torch
    assert sum(line.startswith("torch") for line in lines) == 1


def test_agreement_is_told_for_every_seed():
    assert sentences(seeds(), plan()) == [
        "PyTorch, MXNet and Paddle give the same answer for 13, 13 and 13 of 16 test images (seeds 4, 5 "
        "and 6). Each pair agrees on at least 81%. Their losses in a step differ by 0.25 on average."
    ]


def test_the_least_agreement_is_rounded_down():
    """14 of 16 images are 87.5%, which is not "at least 88%"."""
    (text,) = sentences([row("torch", [0] * 16), row("mxnet", [0] * 14 + [1] * 2)], plan())
    assert "Each pair agrees on at least 87%." in text


def test_the_picture_shows_the_mean_over_the_seeds():
    """One labelled line for each framework, with a bar for the standard deviation."""
    rows = seeds()
    figure = plot_by_net([r.history for r in rows])
    loss, accuracy = figure.axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [
        "PyTorch", "MXNet", "Paddle"
    ]  # fmt: skip
    faint = [line for line in loss.get_lines() if line.get_alpha() != 1]
    assert len(faint) == 9
    (mean, *_), *_ = accuracy.containers
    np.testing.assert_allclose(mean.get_ydata(), [0.5, 0.725])


def test_the_report_shows_means_and_every_seed(tmp_path):
    rows = seeds()
    run = comparison(tmp_path, rows)
    plan = replace(run.plan, names=("torch", "mxnet", "paddle"), seeds=3)
    run = Comparison(plan, 4, None, tmp_path, run.begun, rows)
    run.save()
    page = page_of(Comparison.load(tmp_path), path=tmp_path / "report.html")
    said = text_of(page)
    assert "Mean and standard deviation over the seeds" in said
    assert "0.725 ±0.100" in said
    assert "PyTorch, seed 5" in said
    assert "seeds 4 to 6" in said
    assert "dropout masks the same in all" in said
    assert len(re.findall(r'alt="test image', page)) == 16  # only for the first seed
