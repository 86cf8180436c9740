"""train_ch6: one loop for every framework and every kind of net, and what it reports."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import native
from loops import PLAIN_LOOPS, Silent

import alexnet
from alexnet import Epoch, History, backends, data, load_fashion_mnist, train_ch6
from alexnet.errors import AlexNetError, BackendError, DataError, RunError, SpecError
from alexnet.spec import Conv, Dense, Flatten, MaxPool, Net, ReLU, zoo

TINY = Net(
    "tiny", (1, 28, 28), (Conv(6, 5, stride=2), ReLU(), MaxPool(3, stride=2), Flatten(), Dense(10))
)


def load(train=96, test=40, batch_size=32, **options):
    return load_fashion_mnist(
        batch_size, resize=None, source="sample", subset=(train, test), **options
    )


def fit(net, loaders=None, num_epochs=1, lr=0.1, **options):
    options.setdefault("callback", Silent())
    options.setdefault("device", "cpu")
    return train_ch6(net, *(loaders or load()), num_epochs, lr, **options)


# --- what it computes -----------------------------------------------------------------------------


def test_all_frameworks_take_the_same_steps(framework):
    """Losses of every batch, accuracies and final weights, over two epochs with a small last batch."""
    loaders = load(train=100, batch_size=32)
    expected = fit(TINY, loaders, 2, backend="numpy", momentum=0.5)
    found = fit(TINY, loaders, 2, backend=framework, momentum=0.5)
    for a, b in zip(expected.steps, found.steps, strict=True):
        assert b["examples"] == a["examples"]
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
    for a, b in zip(expected.epochs, found.epochs, strict=True):
        assert (b.train_accuracy, b.test_accuracy) == (a.train_accuracy, a.test_accuracy)
    weights = alexnet.get_weights(found.net)
    for key, w in alexnet.get_weights(expected.net).items():
        assert np.abs(weights[key] - w).max() < 1e-4


def test_it_is_the_frameworks_own_plain_loop(framework):
    """The losses of 12 steps of a loop as one writes it by hand, on the same batches and weights."""
    train_iter, test_iter = load(train=192, batch_size=16)
    ours = fit("lenet", (train_iter, test_iter), lr=0.5, backend=framework)
    net = alexnet.build("lenet", backend=framework, seed=0)
    batches = ((native(framework, X), y) for X, y in train_iter.epoch(0))
    theirs = PLAIN_LOOPS[framework](net, batches, 0.5)
    assert len(theirs) == 12
    assert [s["loss"] for s in ours.steps] == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(
    ("train", "batch_size", "steps"),
    [(1, 1, 1), (1, 8, 1), (5, 2, 3), (9, 8, 2), (3, 1, 3)],
    ids=["one example", "one of less than a batch", "three", "a last batch of one", "singles"],
)
def test_few_batches_train(name, train, batch_size, steps):
    history = fit(TINY, load(train, 1, batch_size), backend=name)
    assert len(history.steps) == steps
    assert sum(s["examples"] for s in history.steps) == train
    assert history.examples_per_sec > 0
    assert 0 <= history.last.test_accuracy <= 1


def test_a_run_repeats_itself(name):
    loaders = load()
    first = fit("lenet", loaders, backend=name, seed=3)
    next(iter(loaders[0]))  # peeking does not shift the order
    again = fit("lenet", loaders, backend=name, seed=3)
    other = fit("lenet", loaders, backend=name, seed=4)
    losses = [[s["loss"] for s in h.steps] for h in (first, again, other)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-6)


def test_dropout_is_seeded(name):
    from alexnet.spec import Dropout

    net = Net("drop", (1, 28, 28), (Flatten(), Dropout(0.5), Dense(10)))
    losses = [[s["loss"] for s in fit(net, backend=name, seed=seed).steps] for seed in (1, 1, 2)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-6)


# --- which nets it takes --------------------------------------------------------------------------


def by_hand(name):
    """LeNet as the book's readers write it, in each framework, and a net that is a class."""
    if name == "torch":
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2, stride=2),
            nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(2, stride=2), nn.Flatten(),
            nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
        )  # fmt: skip
    if name == "mxnet":
        from mxnet.gluon import nn

        net = nn.Sequential()
        net.add(
            nn.Conv2D(channels=6, kernel_size=5, padding=2, activation="sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Conv2D(channels=16, kernel_size=5, activation="sigmoid"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(120, activation="sigmoid"),
            nn.Dense(84, activation="sigmoid"),
            nn.Dense(10),
        )
        return net
    if name == "tensorflow":
        from tensorflow.keras import layers, models

        return models.Sequential([
            layers.Conv2D(filters=6, kernel_size=5, activation="sigmoid", padding="same"),
            layers.AvgPool2D(pool_size=2, strides=2),
            layers.Conv2D(filters=16, kernel_size=5, activation="sigmoid"),
            layers.AvgPool2D(pool_size=2, strides=2),
            layers.Flatten(),
            layers.Dense(120, activation="sigmoid"),
            layers.Dense(84, activation="sigmoid"),
            layers.Dense(10),
        ])  # fmt: skip
    from paddle import nn

    return nn.Sequential(
        nn.Conv2D(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2D(2, stride=2),
        nn.Conv2D(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2D(2, stride=2), nn.Flatten(),
        nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip


def test_a_net_written_by_hand_starts_from_the_same_weights(framework):
    """With activations inside layers or beside them, shapes given or inferred: the same run."""
    expected = fit("lenet", backend="numpy", lr=0.5)
    for net in (by_hand(framework), lambda: by_hand(framework)):
        found = fit(net, lr=0.5)
        assert found.backend == framework
        assert [s["loss"] for s in found.steps] == pytest.approx(
            [s["loss"] for s in expected.steps], rel=1e-4
        )


def classes(name):
    """A net that is no sequence: its class, with a branch and a sum."""
    if name == "torch":
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(784, 10), nn.Linear(784, 10)

            def forward(self, X):
                X = X.flatten(1)
                return self.a(X) + self.b(X).sigmoid()
    elif name == "mxnet":
        from mxnet import npx
        from mxnet.gluon import nn

        class Net(nn.Block):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Dense(10), nn.Dense(10)

            def forward(self, X):
                return self.a(X) + npx.sigmoid(self.b(X))
    elif name == "tensorflow":
        import tensorflow as tf

        class Net(tf.keras.Model):
            def __init__(self):
                super().__init__()
                self.flat = tf.keras.layers.Flatten()
                self.a, self.b = tf.keras.layers.Dense(10), tf.keras.layers.Dense(10)

            def call(self, X):
                X = self.flat(X)
                return self.a(X) + tf.sigmoid(self.b(X))
    else:
        from paddle import nn

        class Net(nn.Layer):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(784, 10), nn.Linear(784, 10)

            def forward(self, X):
                X = X.flatten(1)
                return self.a(X) + nn.functional.sigmoid(self.b(X))

    return Net()


@pytest.mark.needs("torch")
def test_a_net_that_is_a_class_trains_the_same_everywhere(framework):
    losses = [
        [s["loss"] for s in fit(classes(f), load(train=320), lr=0.02).steps]
        for f in sorted({framework, "torch"})
    ]
    assert losses[0] == pytest.approx(losses[-1], rel=1e-4)
    assert losses[0][-1] < losses[0][0]


def test_reinit_false_goes_on_with_the_nets_weights(name):
    net = alexnet.build("lenet", backend=name, seed=5)
    before = alexnet.get_weights(net)
    fit(net, load(train=8), lr=1e-12, reinit=False)
    after = alexnet.get_weights(net)
    assert all(np.allclose(after[key], w, atol=1e-9) for key, w in before.items())
    fit(net, load(train=8), lr=1e-12, seed=6)
    assert np.abs(alexnet.get_weights(net)["0.weight"] - before["0.weight"]).max() > 0.01


def test_batches_of_the_readers_own(name):
    """Any iterable of (X, y) in the framework's layout, here lists of tensors."""
    backend = backends.load(name)
    lists = [
        [(native(name, X), backend.to_tensor(y, backend.cpu())) for X, y in it.epoch(0)]
        for it in load()
    ]
    found = fit(alexnet.build("lenet", backend=name), lists, lr=0.5)
    expected = fit("lenet", backend=name, lr=0.5)
    assert [s["loss"] for s in found.steps] == pytest.approx(
        [s["loss"] for s in expected.steps], rel=1e-6
    )


@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_labels_in_a_column_and_of_other_kinds(name, kind):
    """As Paddle's and Keras' own datasets give them; images as float64."""
    lists = [[(native(name, X), y[:, None].astype(kind)) for X, y in it.epoch(0)] for it in load()]
    found = fit(alexnet.build("lenet", backend=name), lists, lr=0.5)
    expected = fit("lenet", backend=name, lr=0.5)
    assert found.last.test_accuracy == expected.last.test_accuracy
    assert [s["accuracy"] for s in found.steps] == [s["accuracy"] for s in expected.steps]


def test_numpy_images_in_double_precision(name):
    swap = (0, 2, 3, 1) if name == "tensorflow" else (0, 1, 2, 3)
    lists = [[(X.astype(np.float64).transpose(swap), y) for X, y in it.epoch(0)] for it in load()]
    found = fit(alexnet.build("lenet", backend=name), lists, lr=0.5)
    expected = fit("lenet", backend=name, lr=0.5)
    assert [s["loss"] for s in found.steps] == pytest.approx(
        [s["loss"] for s in expected.steps], rel=1e-5
    )


@pytest.mark.needs("torch")
def test_a_torch_net_that_views_its_features_trains():
    """The class of seed 003 does; memory formats other than the default break it."""
    import torch

    class Viewing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, 3, 5)
            self.fc = torch.nn.Linear(3 * 24 * 24, 10)

        def forward(self, x):
            x = self.conv(x)
            return self.fc(x.view(x.size(0), 3 * 24 * 24))

    assert fit(Viewing()).last.loss > 0


@pytest.mark.needs("torch")
def test_reinit_leaves_other_arrays_alone():
    import torch

    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.PReLU())
    net.register_buffer("std", torch.tensor([0.353]))
    fit(net, lr=1e-12)
    assert net.std.item() == pytest.approx(0.353)
    assert net[2].weight.item() == pytest.approx(0.25)


@pytest.mark.needs("tensorflow")
def test_a_keras_net_inside_a_class_starts_from_the_same_weights():
    import tensorflow as tf

    class Wrapped(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.net = by_hand("tensorflow")

        def call(self, X):
            return self.net(X)

    found, expected = (fit(net, lr=0.5) for net in (Wrapped(), by_hand("tensorflow")))
    assert [s["loss"] for s in found.steps] == pytest.approx(
        [s["loss"] for s in expected.steps], rel=1e-5
    )


def test_numbers_of_numpy_and_whole_ones_are_taken(name, tmp_path):
    loaders = load(batch_size=np.int64(32))
    history = fit(
        "lenet", loaders, np.int64(1), 1, backend=name, seed=np.int64(3), momentum=np.float32(0.5)
    )
    history.save(tmp_path / "h.json")
    assert History.load(tmp_path / "h.json") == history


def test_evaluate_is_the_share_of_right_answers(name):
    _, test_iter = load()
    net = alexnet.build("lenet", backend=name)
    backend = backends.load(name)
    weights = {key: np.zeros_like(w) for key, w in alexnet.get_weights(net).items()}
    weights[max(weights, key=lambda k: (k.endswith("bias"), int(k.split(".")[0])))][3] = 1
    backend.set_weights(net, weights)  # says 3 to everything
    assert alexnet.evaluate(net, test_iter, "cpu") == (test_iter.labels == 3).mean()


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_epochs": 0}, RunError, "num_epochs must be a whole number of at least 1, not 0"),
        ({"num_epochs": 1.5}, RunError, "num_epochs must be a whole number of at least 1, not 1.5"),
        ({"lr": 0}, RunError, "lr must be a finite number above 0, not 0"),
        ({"lr": float("nan")}, RunError, "lr must be a finite number above 0, not nan"),
        ({"lr": "0.1"}, RunError, "lr must be a finite number above 0, not '0.1'"),
        ({"momentum": 1.0}, RunError, "momentum must be a number of at least 0 and below 1"),
        ({"seed": -1}, RunError, "seed must be a whole number of at least 0, not -1"),
        ({"net": "lennet"}, SpecError, "unknown model 'lennet'"),
        ({"backend": None}, BackendError, "say which framework is to train it"),
        ({"backend": "jax"}, BackendError, "unknown backend 'jax'"),
        ({"net": 42}, BackendError, "int is not a net of NumPy, PyTorch"),
        (
            {"net": "alexnet"},
            SpecError,
            "alexnet, layer 5 .*; the smallest image that fits is 65×65",
        ),
        ({"loaders": ([], [])}, DataError, "the training set gives no batches"),
    ],
)
def test_a_wrong_argument_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        fit(**{"net": "lenet", "backend": "numpy", **options})


def test_a_net_of_another_backend_is_refused(framework):
    net = alexnet.build("lenet", backend=framework)
    with pytest.raises(BackendError, match="backend='numpy' was given, but the net is one of"):
        fit(net, backend="numpy")


def test_a_net_that_gives_images_is_refused(name):
    net = Net("conv", (1, 28, 28), (Conv(3, 3),))
    with pytest.raises(RunError, match=r"a net must give \(batch, classes\), this one gives"):
        fit(net, backend=name)


def test_labels_beyond_the_nets_classes_are_refused(name):
    net = Net("few", (1, 28, 28), (Flatten(), Dense(4)))
    with pytest.raises(DataError, match="the training set has label 9, the net has 4 classes"):
        fit(net, backend=name)


def test_a_generator_runs_dry_after_one_epoch():
    train_iter, test_iter = load()
    with pytest.raises(DataError, match="a generator can be iterated only once"):
        fit("lenet", ((b for b in train_iter), test_iter), 2, backend="numpy")


# --- what it reports ------------------------------------------------------------------------------


def test_the_two_closing_lines(capsys):
    train_ch6("lenet", *load(), 1, 0.1, backend="numpy")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("loss 2.")
    assert ", train acc 0." in first
    assert ", test acc 0." in first
    assert second.endswith(" examples/sec on cpu")


def test_the_display_is_told_of_everything():
    callback = Silent()
    fit("lenet", load(train=70, batch_size=32), 2, backend="numpy", callback=callback)
    assert callback.calls == [("begin", 6), *["step"] * 3, "epoch", *["step"] * 3, "epoch", "end"]


def test_the_figures_are_means_over_examples():
    """Not over batches: the last, smaller batch counts less."""
    history = fit("lenet", load(train=33, batch_size=32), backend="numpy")
    weights = np.array([32, 1]) / 33
    assert history.last.loss == pytest.approx(weights @ [s["loss"] for s in history.steps])
    accuracies = [s["accuracy"] for s in history.steps]
    assert history.last.train_accuracy == pytest.approx(weights @ accuracies)


class Clock:
    """A clock that moves only when told to."""

    now = 100.0

    def perf_counter(self):
        return self.now


def test_examples_per_second_leave_out_warm_up_evaluation_and_drawing(monkeypatch):
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


def test_a_history_comes_back_from_its_file(tmp_path):
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
def test_a_file_that_is_no_history_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(AlexNetError, match=r"x\.json: "):
        History.load(tmp_path / "x.json")


def test_a_history_draws_itself(tmp_path):
    history = fit("lenet", load(train=64, batch_size=4), 2, backend="numpy")
    figure = history.plot()
    figure.savefig(tmp_path / "curves.png")
    loss, accuracy = figure.axes
    assert loss.get_xlabel() == "epoch"
    assert loss.lines[0].get_xdata()[-1] <= 2
    assert list(accuracy.lines[-1].get_ydata()) == [e.test_accuracy for e in history.epochs]


def test_show_images_takes_what_loaders_give(framework):
    backend = backends.load(framework)
    X, y = next(load()[1].on(framework, "cpu").epoch(0))
    figure = alexnet.show_images(backend.to_numpy(X), alexnet.label_names(y))
    assert len(figure.axes) == 32
    shown = [axes.get_title() for axes in figure.axes]
    assert shown == [data.FASHION_MNIST.labels[int(i)] for i in y]


@pytest.mark.parametrize("images", [np.zeros((3, 4)), np.zeros((2, 3, 4, 4)), np.zeros((0, 4, 4))])
def test_show_images_refuses_what_are_no_grey_images(images):
    with pytest.raises(DataError, match="images must be"):
        alexnet.show_images(images)


@pytest.mark.parametrize("wrong", ["lenet", zoo.LENET, lambda: alexnet.build("lenet", "numpy")])
def test_evaluate_refuses_what_is_not_a_net(wrong):
    """A table or a function would be evaluated untrained."""
    with pytest.raises(BackendError, match="is not a net of NumPy, PyTorch"):
        alexnet.evaluate(wrong, load(48, 40, 16)[1])
