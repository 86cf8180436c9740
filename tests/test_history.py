"""The report of a training: closing lines, figures, history, pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fits import fit, load
from loops import Silent

import alexnet
from alexnet import Epoch, History, backends, data, train_ch6
from alexnet.errors import AlexNetError, DataError
from alexnet.training import loop


def test_training_prints_two_closing_lines(capsys):
    train_ch6("lenet", *load(), 1, 0.1, backend="numpy")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("loss 2.")
    assert ", train acc 0." in first
    assert ", test acc 0." in first
    assert second.endswith(" examples/sec on cpu")


def test_the_callback_hears_every_read_and_epoch(monkeypatch):
    monkeypatch.setattr(loop.Run, "READ_EVERY", 0.0)
    callback = Silent()
    fit("lenet", load(train=70, batch_size=32), 2, backend="numpy", callback=callback)
    assert callback.calls == [("begin", 6), *["step"] * 3, "epoch", *["step"] * 3, "epoch", "end"]


def test_the_figures_are_means_over_examples():
    """The last, smaller batch counts less."""
    history = fit("lenet", load(train=33, batch_size=32), backend="numpy")
    weights = np.array([32, 1]) / 33
    assert history.last.loss == pytest.approx(weights @ [s["loss"] for s in history.steps])
    accuracies = [s["accuracy"] for s in history.steps]
    assert history.last.train_accuracy == pytest.approx(weights @ accuracies)


class Clock:
    """A clock that only the test moves."""

    now = 100.0

    def perf_counter(self):
        return self.now


def test_examples_per_second_exclude_warm_up_evaluation_and_drawing(monkeypatch):
    """Step 1 takes 50 s, later steps 2 s, drawing 7 s, evaluation 1000 s: 32 / (2 * 2) remain."""
    clock = Clock()
    monkeypatch.setattr("alexnet.training.loop.time", clock)
    numpy_backend = backends.load("numpy")
    steps = []

    class SlowTrainer(numpy_backend.Trainer):
        def step(self, X, y):
            clock.now += 2 if steps else 50
            steps.append(len(y))
            return super().step(X, y)

    def slow_predict(net, X):
        clock.now += 1000
        return net(X)

    class SlowCallback(Silent):
        def step(self, history):
            clock.now += 7

    monkeypatch.setattr(numpy_backend, "Trainer", SlowTrainer)
    monkeypatch.setattr(numpy_backend, "predict", slow_predict)
    history = fit("lenet", load(48, 40, 16), 2, backend="numpy", callback=SlowCallback())
    assert history.warmup_seconds == 50
    assert history.timed_seconds == 5 * 2
    assert history.examples_per_sec == (16 * 5) / 10
    assert [e.seconds for e in history.epochs] == [54, 6]


def test_a_saved_history_loads_as_the_same(tmp_path):
    history = fit("lenet", load(train=40), 2, backend="numpy", momentum=0.5, seed=2)
    history.save(tmp_path / "history.json")
    back = History.load(tmp_path / "history.json")
    assert back == history
    assert back.examples_per_sec == history.examples_per_sec
    assert back.settings["image_shape"] == [1, 28, 28]
    assert set(back.versions) == {"alexnet", "python", "numpy"}


def test_a_diverged_run_is_still_valid_json(tmp_path):
    history = History("lenet", "numpy", "1", "cpu", {}, {}, [Epoch(float("inf"), 0.1, 0.1, 1.0)])
    history.record_step(4, float("nan"), 0, 0.25)
    history.timed_examples, history.timed_seconds = 4, 1.0
    history.save(tmp_path / "history.json")
    json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)
    back = History.load(tmp_path / "history.json")
    assert np.isnan(back.last.loss)
    assert np.isnan(back.steps[0]["loss"])


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', '{"format": 1}', "{"])
def test_a_file_without_a_history_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(AlexNetError, match=r"x\.json: "):
        History.load(tmp_path / "x.json")


def test_a_history_plots_its_curves(tmp_path):
    history = fit("lenet", load(train=64, batch_size=4), 2, backend="numpy")
    figure = history.plot()
    figure.savefig(tmp_path / "curves.png")
    loss, accuracy = figure.axes
    assert loss.get_xlabel() == "epoch"
    assert loss.lines[0].get_xdata()[-1] <= 2
    assert list(accuracy.lines[-1].get_ydata()) == [e.test_accuracy for e in history.epochs]


def test_a_loss_that_hardly_changes_lies_below_the_edge_of_its_plot():
    losses = (2.301, 2.303, 2.302)
    steps = [{"examples": 4, "loss": x, "accuracy": 0.1, "seconds": 1.0} for x in losses]
    loss = History("lenet", "numpy", "1", "cpu", {}, {}, steps=steps).plot().axes[0]
    bottom, top = loss.get_ylim()
    assert bottom == 0
    assert top > 1.02 * max(losses)


def test_show_images_accepts_the_batches_of_loaders(framework):
    backend = backends.load(framework)
    X, y = next(load()[1].on(framework, "cpu").epoch(0))
    figure = alexnet.show_images(backend.to_numpy(X), alexnet.label_names(y))
    assert len(figure.axes) == 32
    shown = [axes.get_title() for axes in figure.axes]
    assert shown == [data.FASHION_MNIST.labels[int(i)] for i in y]


@pytest.mark.parametrize("images", [np.zeros((3, 4)), np.zeros((2, 3, 4, 4)), np.zeros((0, 4, 4))])
def test_show_images_refuses_arrays_that_are_not_grey_images(images):
    with pytest.raises(DataError, match="images must be"):
        alexnet.show_images(images)


@pytest.mark.parametrize("wrong", [None, "16", 0, -1, 1.5, []])
@pytest.mark.parametrize("setting", ["train_examples", "batch_size", "num_epochs", "first_batches"])
def test_a_history_with_odd_settings_does_not_stop_early(setting, wrong):
    """A worker may send them, and the views ask."""
    settings = {"train_examples": 64, "batch_size": 16, "num_epochs": 2, "first_batches": 3}
    history = History("lenet", "torch", "2", "cpu", settings, {})
    assert history.stops_early
    assert history.planned_steps == 8
    history.settings[setting] = wrong
    assert not history.stops_early


def test_the_speed_of_one_new_step_counts_that_step():
    """A resumed run has older steps, whose seconds were spent in another process."""
    steps = [{"examples": n, "loss": 1.0, "accuracy": 0.5, "seconds": 2.0} for n in (64, 64, 10)]
    history = History("lenet", "torch", "2", "cpu", {}, {}, steps=steps, warmup_seconds=2.0)
    assert history.examples_per_sec == 5.0
