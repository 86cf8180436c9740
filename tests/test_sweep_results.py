"""What a sweep shows: its table, its CSV, its picture, its page, and the estimate of its time."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from reports import text_of
from sweeps import by_hand

from alexnet import DataError
from alexnet.comparison.rows import Row
from alexnet.sweeps import estimate as estimating
from alexnet.sweeps.estimate import dry_run, estimate, work
from alexnet.sweeps.page import PAGE, keep_page
from alexnet.sweeps.picture import MOST_PANELS, panels
from alexnet.sweeps.settings import SETTINGS
from alexnet.sweeps.table import lines, marks
from alexnet.views.tables import as_text

ACCURACIES = {0.1: (0.5, 0.75), 0.5: (0.25, 0.5)}  # by learning rate, of seeds 0 and 1


def accuracy(settings, backend, seed):
    return ACCURACIES[settings["lr"]][seed] + (0.125 if settings["width"] == 2 else 0)


@pytest.fixture
def swept(tmp_path):
    return by_hand(tmp_path, {"width": [0.5, 2], "lr": [0.1, 0.5], "crop": 0}, accuracy, seeds=2)


def test_the_table_has_means_and_deviations_over_the_seeds(swept):
    text = repr(swept)
    (line,) = re.findall(r"^0\.5 +0\.1 .*$", text, re.MULTILINE)
    deviation = np.std([0.5, 0.75], ddof=1)
    assert f"0.625 ±{deviation:.3f}" in line
    assert "1.625 ±0.000" in line  # the loss
    assert "1.0 ±0.0" in line  # the seconds of two epochs of 0.5 s
    parameters = swept.combinations["width=0.5, lr=0.1, crop=0"].table.parameter_count
    assert f"{parameters:,}" in line
    assert re.search(r"^width +lr +test +loss +ex/s +seconds +parameters", text, re.MULTILINE)
    assert "crop=0" in text  # a setting with one value is no column, but it is said
    assert "seeds 0 to 1" in text


def test_best_fastest_and_smallest_are_marked(swept):
    fast = next(row for row in swept.rows if row.model == "width=2, lr=0.5, crop=0")
    fast.history.timed_seconds /= 2
    found = lines(swept)
    named = {found[n].combination.label: said for n, said in marks(found).items()}
    assert named == {
        "width=2, lr=0.1, crop=0": ["best"],
        "width=2, lr=0.5, crop=0": ["fastest"],
        "width=0.5, lr=0.1, crop=0": ["smallest"],
        "width=0.5, lr=0.5, crop=0": ["smallest"],
    }
    assert "Best (the highest test accuracy): width=2, lr=0.1." in repr(swept)


def test_nets_of_one_size_have_no_smallest_and_no_column(tmp_path):
    found = by_hand(tmp_path, {"lr": [0.1, 0.5]}, lambda *run: 0.5)
    assert marks(lines(found)) == {}
    assert "61,706 parameters" in repr(found)
    assert not re.search(r"^lr .*parameters", repr(found), re.MULTILINE)


def test_missing_and_failed_runs_are_told(swept):
    lost = swept.rows[0]
    swept.rows[0] = Row(lost.model, lost.backend, lost.seed, problem="killed by SIGKILL")
    away = swept.rows[-1]
    swept.rows[-1] = Row(away.model, away.backend, away.seed)
    text = repr(swept)
    assert text.count("1 of 2 seeds") == 2
    assert "width=0.5, lr=0.1, seed 0: killed by SIGKILL" in text
    assert "1 run is not done yet" in text
    assert 0 not in marks(lines(swept))  # seeds that are left may be the lucky ones
    assert "0.750 " in re.findall(r"^0\.5 +0\.1 .*$", text, re.MULTILINE)[0]  # seed 1 alone
    states = [run["state"] for run in swept.records()]
    assert (states[0], states[-1], states.count("done")) == ("failed", "not done", 6)


def test_the_csv_has_a_line_of_plain_numbers_for_each_run(swept):
    swept.save_tables()
    text = (swept.folder / "sweep.csv").read_bytes().decode("utf-8")
    read = list(csv.DictReader(io.StringIO(text)))
    assert len(read) == 8
    first = read[0]
    assert first.keys() >= SETTINGS.keys() - {s for s in SETTINGS if SETTINGS[s].of_net}
    assert (first["width"], first["lr"], first["seed"]) == ("0.5", "0.1", "0")
    assert float(first["test_accuracy"]) == 0.5
    assert int(first["parameters"]) > 10_000  # no separators
    assert (first["normalize"], first["resize"], first["state"]) == ("yes", "28", "done")
    assert float(first["run_seconds"]) == 2.0
    assert {run["width"] for run in read} == {"0.5", "2"}


def test_a_value_that_is_not_finite_is_an_empty_field(swept):
    swept.rows[0].history.epochs[-1].loss = float("nan")
    assert swept.records()[0]["loss"] is None


# --- the picture ------------------------------------------------------------------------------------


def test_one_setting_of_numbers_is_a_line_over_its_own_scale(tmp_path):
    found = by_hand(tmp_path, {"lr": [0.5, 0.1]}, lambda s, b, n: s["lr"] + n / 8, seeds=2)
    accuracy_axes, speed_axes = found.plot().axes
    assert accuracy_axes.get_xscale() == speed_axes.get_xscale() == "log"
    line = accuracy_axes.containers[0].lines[0]
    assert line.get_xdata().tolist() == [0.1, 0.5]  # in order, though given otherwise
    assert line.get_ydata() == pytest.approx([0.1625, 0.5625])
    bars = accuracy_axes.containers[0].lines[2][0].get_segments()
    assert np.ptp(bars[0][:, 1]) == pytest.approx(2 * np.std([0, 0.125], ddof=1))
    assert [text.get_text() for text in accuracy_axes.get_xticklabels()] == ["0.1", "0.5"]
    assert accuracy_axes.get_xlabel() == "learning rate"


def test_epochs_are_on_a_linear_scale_and_categories_are_points(tmp_path):
    epochs = by_hand(tmp_path, {"num_epochs": [1, 2, 5]}, lambda *run: 0.5).plot().axes[0]
    assert epochs.get_xscale() == "linear"
    kinds = by_hand(tmp_path, {"pool": ["max", "avg"]}, lambda *run: 0.5).plot().axes[0]
    assert kinds.containers[0].lines[0].get_linestyle() == "None"
    assert [text.get_text() for text in kinds.get_xticklabels()] == ["max", "avg"]


def test_two_settings_are_small_multiples_of_one_scale(tmp_path):
    values = {"activation": ["relu", "tanh"], "batch_size": [8, 16, 64]}
    figure = by_hand(
        tmp_path, values, lambda s, b, n: s["batch_size"] / 100, ["numpy", "torch"]
    ).plot()
    assert [axes.get_title() for axes in figure.axes] == ["activation=relu", "activation=tanh"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    for axes in figure.axes:
        assert axes.get_xlabel() == "batch size"
        assert [c.get_label() for c in axes.containers] == ["NumPy", "PyTorch"]


def test_many_combinations_are_shown_as_one_plot_for_each_setting(tmp_path):
    values = {
        "width": [0.5, 1, 2, 3],
        "batch_size": [4, 8, 16, 32],
        "lr": [0.1, 0.2, 0.3, 0.4, 0.5],
    }
    found = by_hand(tmp_path, values, lambda s, b, n: s["lr"])
    assert MOST_PANELS < 4 * 4
    shown, said = panels(found)
    assert len(shown) == 3
    assert "the mean over all runs with this value" in said
    widths, _, rates = found.plot().axes
    assert widths.containers[0].lines[0].get_ydata() == pytest.approx([0.3] * 4)
    assert rates.containers[0].lines[0].get_ydata() == pytest.approx(values["lr"])
    few = {"width": [0.5, 1], "batch_size": [4, 8], "lr": [0.1, 0.2, 0.5]}
    assert len(panels(by_hand(tmp_path, few, lambda *run: 0.5))[0]) == 4


def test_a_picture_without_a_result_is_refused(swept):
    swept.rows = swept.plan.rows()
    with pytest.raises(DataError, match="needs at least one run with a result"):
        swept.plot()


# --- the page -----------------------------------------------------------------------------------------


def page_of(sweep):
    assert keep_page(sweep) == ""
    return (sweep.folder / PAGE).read_text(encoding="utf-8")


def test_the_page_has_the_table_the_pictures_the_curves_and_the_settings(swept):
    page = page_of(swept)
    text = text_of(page)
    assert "lenet with every combination of width factor, learning rate" in text
    assert "0.625 ±0.177" in text
    for mark in ("best", "smallest"):
        assert f'<span class="mark">{mark}</span>' in page
    described = re.findall(r'alt="([^"]+)"', page)
    assert "test accuracy by width factor, lr=0.1: 0.5 0.625, 2 0.750" in described
    assert any(alt.startswith("training loss by epoch; ") for alt in described)
    assert len(described) == 2 + 2 * 2  # a plot and two curves for each learning rate
    assert page.count("prefers-color-scheme: dark") >= len(described)
    assert re.search(r"learning rate 0\.1, 0\.5", text)
    assert "NumPy 1.2.3 on cpu" in text
    assert "http" not in page.replace("https://zh.d2l.ai", "").replace("http-equiv", "")
    assert "<script" not in page


def test_the_page_escapes_what_a_worker_said(swept):
    swept.rows[0] = replace(swept.rows[0], history=None, problem="<script>alert(1)</script>")
    page = page_of(swept)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_page_without_any_result_is_written(swept):
    swept.rows = swept.plan.rows()
    assert "8 runs are not done yet" in text_of(page_of(swept))


def test_a_page_of_too_many_curves_shows_the_best(tmp_path):
    values = {"width": [0.5, 1], "batch_size": list(range(8, 21))}
    found = by_hand(tmp_path, values, lambda s, b, n: s["batch_size"] / 100 + s["width"] / 1000)
    assert "the 10 best combinations" in page_of(found)


def test_a_notebook_shows_the_table_and_the_picture(swept):
    shown = swept._repr_html_()
    assert "0.625 ±0.177" in shown
    assert "data:image/png;base64" in shown


def test_the_fastest_run_is_not_cut_at_the_top_of_its_plot(tmp_path):
    found = by_hand(tmp_path, {"lr": [0.1, 0.5]}, lambda *run: 0.5, seeds=2)
    for row in found.rows[2:]:  # the speeds of the two seeds differ, so the bars are long
        row.history.timed_seconds *= 10
    speed = found.plot().axes[1]
    tops = [
        line.mean("examples_per_sec") + line.deviation("examples_per_sec") for line in lines(found)
    ]
    low, high = speed.get_ylim()
    assert low == 0
    assert 1.05 * max(tops) < high < 1.2 * max(tops)


# --- the estimate -------------------------------------------------------------------------------------


def test_the_estimate_rests_on_the_runs_that_are_done(swept):
    rows = swept.rows
    for number in (5, 6, 7):  # seed 1: all but width=0.5, lr=0.1
        rows[number] = Row(rows[number].model, rows[number].backend, rows[number].seed)
    rows[3] = Row(rows[3].model, rows[3].backend, rows[3].seed)  # width=2, lr=0.5: no seed is done
    found = estimate(swept)
    assert set(found.seconds) == {row.name for row in (rows[3], *rows[5:])}
    assert found.seconds[rows[6].name] == 2.0  # as long as with the other seed
    done = [row for row in rows if row.history]
    speeds = [work(swept.combinations[row.model]) / 2.0 for row in done]
    expected = work(swept.combinations[rows[3].model]) / np.median(speeds)
    assert found.seconds[rows[3].name] == pytest.approx(expected)
    said = as_text(dry_run(swept))
    assert "4 runs to do, 4 done: about" in said
    assert "at the speed of the runs that are done (NumPy " in said


def test_the_work_grows_with_epochs_and_examples(tmp_path):
    values = {"train_examples": [100, 200], "test_examples": 50, "num_epochs": [1, 3]}
    found = by_hand(tmp_path, values, lambda *run: 0.5).combinations.values()
    one, more, three, _ = (work(combination) for combination in found)
    assert three == 3 * one
    assert more - one == 2 * (3 * 416_520 - 117_600) * 100
    assert one == 2 * (3 * 416_520 - 117_600) * 100 + 2 * 416_520 * 50


def test_the_estimate_counts_all_epochs_of_a_run_that_was_interrupted(swept):
    for row in swept.done:
        swept.seconds[row.name] = 0.1  # of the process after --resume; the two epochs took 2 s
        row.history.epochs = [replace(epoch, seconds=1.0) for epoch in row.history.epochs]
    missing = swept.rows[-1]
    missing.history = None
    assert estimate(swept).seconds[missing.name] == pytest.approx(2.0)


def test_without_a_run_the_estimate_says_that_it_is_a_guess(swept, monkeypatch):
    monkeypatch.setattr(estimating, "peaks", lambda device, precision: {"matmul": 1e11})
    swept.rows = swept.plan.rows()
    found = estimate(swept)
    first = swept.rows[0]
    needed = work(swept.combinations[first.model]) / (estimating.SHARE * 1e11)
    assert found.seconds[first.name] == pytest.approx(estimating.START + needed)
    assert "no run is done yet, so this is a rough guess" in found.basis
    assert "(100 GFLOP/s, measured now)" in found.basis


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_fits_a_phone_and_a_desktop_and_loads_nothing(swept, browser, width, scheme):
    page_of(swept)
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True
    )
    page, heard, asked = context.new_page(), [], []
    page.on("console", lambda message: heard.append(message.text))
    page.on("request", lambda r: None if r.url.startswith("data:") else asked.append(r.url))
    page.goto((swept.folder / PAGE).absolute().as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img").count() == 6
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert (heard, len(asked)) == ([], 1)
    context.close()
