"""The drop-ins for the book's library: names, loaders, loops; how readers use them in each framework."""

from __future__ import annotations

import importlib
import inspect
import re

import numpy as np
import pytest
from helpers import native, python

import alexnet
from alexnet import backends, load_fashion_mnist
from alexnet.book.other_chapters import CHAPTER_OF
from alexnet.errors import BackendError, DataError, RunError
from alexnet.spec import Dense, Flatten
from alexnet.training.callbacks import ProgressBar


@pytest.fixture(autouse=True)
def the_sample(monkeypatch, tmp_path):
    """The images that come with the package, and a working directory for the pictures."""
    monkeypatch.setenv("ALEXNET_DATA", "sample")
    monkeypatch.setenv("ALEXNET_SUBSET", "320:40")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def d2l(framework):
    return importlib.import_module(f"alexnet.{framework}")


# --- names ----------------------------------------------------------------------------------------

SIGNATURES = {
    "load_data_fashion_mnist": "batch_size resize=None",
    "get_fashion_mnist_labels": "labels",
    "show_images": "imgs num_rows num_cols titles=None scale=1.5",
    "get_dataloader_workers": "",
    "accuracy": "y_hat y",
    "evaluate_accuracy": "net data_iter",
    "evaluate_accuracy_gpu": "net data_iter device=None",
    "Accumulator": "n",
    "Timer": "",
    "train_epoch_ch3": "net train_iter loss updater",
    "train_ch3": "net train_iter test_iter loss num_epochs updater",
    "predict_ch3": "net test_iter n=6",
    "use_svg_display": "",
    "set_figsize": "figsize=(3.5, 2.5)",
    "set_axes": "axes xlabel ylabel xlim ylim xscale yscale legend",
    "plot": (
        "X Y=None xlabel=None ylabel=None legend=None xlim=None ylim=None xscale='linear' "
        "yscale='linear' fmts=('-', 'm--', 'g-.', 'r:') figsize=(3.5, 2.5) axes=None"
    ),
    "Animator": (
        "xlabel=None ylabel=None legend=None xlim=None ylim=None xscale='linear' yscale='linear' "
        "fmts=('-', 'm--', 'g-.', 'r:') nrows=1 ncols=1 figsize=(3.5, 2.5)"
    ),
    "try_gpu": "i=0",
    "try_all_gpus": "",
    "corr2d": "X K",
    "train_ch6": "net train_iter test_iter num_epochs lr device=None",
    "sgd": "params lr batch_size",
    "Residual": "num_channels use_1x1conv=False strides=1",
}
"""As the book has them in every column (device has a default in MXNet's column only)."""

OF_ONE_COLUMN = {
    ("torch", "Residual"): "input_channels num_channels use_1x1conv=False strides=1",
    ("paddle", "Residual"): "input_channels num_channels use_1x1conv=False strides=1",
    ("mxnet", "Residual"): "num_channels use_1x1conv=False strides=1 **kwargs",
    ("tensorflow", "sgd"): "params grads lr batch_size",
    ("tensorflow", "train_ch6"): "net_fn train_iter test_iter num_epochs lr device=None",
    ("tensorflow", "Updater"): "params lr",
    ("tensorflow", "TrainCallback"): "net train_iter test_iter num_epochs device_name",
}

SMALL = (
    "size argmax astype reduce_sum reduce_mean reshape transpose numpy float32 int32 ones zeros eye "
    "arange linspace tensor normal rand meshgrid matmul concat stack abs exp log sin cos sinh cosh "
    "tanh nn_Module plt"
)


def test_signatures_are_the_books(framework, d2l):
    expected = SIGNATURES | {
        n: s for (column, n), s in OF_ONE_COLUMN.items() if column == framework
    }
    for name, signature in expected.items():
        parameters = inspect.signature(getattr(d2l, name)).parameters.values()
        plain = (str(p.replace(annotation=inspect.Parameter.empty)) for p in parameters)
        assert " ".join(plain) == signature, name


def test_every_name_is_listed_and_explained(d2l):
    assert set(d2l.__all__) >= {*SIGNATURES, *SMALL.split()}
    for name in d2l.__all__:
        value = getattr(d2l, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), name


def test_help_tells_the_truth(framework, d2l):
    assert inspect.getsourcefile(d2l.train_ch6).endswith(f"alexnet/{framework}.py")
    assert "examples/sec in two lines" in d2l.train_ch6.__doc__


def test_an_editor_completes_the_names(framework, d2l):
    import jedi

    code = f"from alexnet import {framework} as d2l\nd2l."
    found = {c.name: c.type for c in jedi.Script(code).complete(2, 4)}
    assert set(found) >= set(d2l.__all__)
    assert found["train_ch6"] == "function"
    assert found["Animator"] == "class"


@pytest.mark.parametrize("name_of_another", ["RNNModel", "load_array", "MultiHeadAttention"])
def test_a_name_of_another_chapter_says_so(framework, d2l, name_of_another):
    chapter = CHAPTER_OF[name_of_another]
    message = f"alexnet.{framework} has no {name_of_another}: .* chapter on {chapter}; "
    with pytest.raises(AttributeError, match=message):
        getattr(d2l, name_of_another)


def test_no_name_is_here_and_elsewhere(d2l):
    assert not set(d2l.__all__) & set(CHAPTER_OF)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        d2l.no_such_name  # noqa: B018  (to ask for it is the test)
    assert not hasattr(d2l, "no_such_name")


def test_a_framework_that_is_missing_is_named_when_it_is_asked_for():
    found = python(
        "import sys; sys.modules['paddle'] = None\n"
        "from alexnet import backends\n"
        "backends.installed = lambda name: False\n"
        "try: from alexnet import paddle as d2l\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    assert found.stdout.startswith("MissingBackendError Paddle is not installed; pip install"), (
        found.stderr
    )


# --- loaders --------------------------------------------------------------------------------------

LABELS = {
    "torch": ("int64", (32,)),
    "mxnet": ("int32", (32,)),
    "tensorflow": ("int32", (32,)),
    "paddle": ("int64", (32, 1)),
}


@pytest.mark.parametrize("resize", [None, 64])
def test_batches_are_what_the_frameworks_own_loader_gives(framework, d2l, resize):
    train_iter, test_iter = d2l.load_data_fashion_mnist(32, resize=resize)
    side = resize or 28
    shape = (32, side, side, 1) if framework == "tensorflow" else (32, 1, side, side)
    for data_iter in (train_iter, test_iter):
        X, y = next(iter(data_iter))
        assert type(X).__module__.partition(".")[0] == framework
        assert tuple(X.shape) == shape
        assert str(X.dtype).endswith("float32'>" if framework == "tensorflow" else "float32")
        dtype, of_labels = LABELS[framework]
        assert dtype in str(y.dtype)
        assert tuple(y.shape) == of_labels
        assert 0 <= float(d2l.reduce_mean(X)) <= 1


def test_a_loop_sees_every_image_once_and_in_another_order_each_time(d2l):
    train_iter, test_iter = d2l.load_data_fashion_mnist(64)
    assert (len(train_iter), len(test_iter)) == (5, 1)
    orders = []
    for _ in range(2):
        batches = [backends.to_numpy(y).reshape(-1) for X, y in train_iter]
        orders.append(np.concatenate(batches))
        assert [len(b) for b in batches] == [64] * 5
    expected = load_fashion_mnist(64, resize=None)[0]
    assert all(
        (found == expected.labels[expected.order(n)]).all() for n, found in enumerate(orders)
    )
    assert (orders[0] != orders[1]).any()
    tests = [backends.to_numpy(next(iter(test_iter))[1]).reshape(-1) for _ in range(2)]
    assert (tests[0] == tests[1]).all()


def test_images_are_the_same_in_every_column(framework, d2l):
    X, _ = next(iter(d2l.load_data_fashion_mnist(8, resize=56)[0]))
    expected, _ = next(iter(load_fashion_mnist(8, resize=56)[0]))
    found = backends.to_numpy(X)
    found = found.transpose(0, 3, 1, 2) if framework == "tensorflow" else found
    assert np.abs(found - expected).max() < 1e-6


def test_a_wrong_batch_size_is_refused(d2l):
    with pytest.raises(DataError, match="batch_size must be a whole number of at least 1, not 0"):
        d2l.load_data_fashion_mnist(0)


@pytest.mark.needs("torch")
def test_torch_batches_move_as_in_the_book():
    from alexnet import torch as d2l

    X, y = next(iter(d2l.load_data_fashion_mnist(16)[0]))
    X, y = X.to(d2l.try_gpu()), y.to(d2l.try_gpu())
    assert X.device == d2l.try_gpu()
    assert d2l.to(X, d2l.float32).dtype == d2l.float32


@pytest.mark.needs("mxnet")
def test_mxnet_batches_move_and_split_as_in_the_book():
    from mxnet import gluon

    from alexnet import mxnet as d2l

    X, y = next(iter(d2l.load_data_fashion_mnist(16)[0]))
    assert X.as_in_ctx(d2l.try_gpu()).ctx == y.as_in_ctx(d2l.try_gpu()).ctx == d2l.try_gpu()
    parts = gluon.utils.split_and_load(X, d2l.try_all_gpus())
    assert sum(len(part) for part in parts) == 16


@pytest.mark.needs("paddle")
def test_paddle_batches_move_as_in_the_book():
    import paddle

    from alexnet import paddle as d2l

    X, y = next(iter(d2l.load_data_fashion_mnist(16)[0]))
    device = d2l.try_gpu()
    assert paddle.to_tensor(X, place=device).place == device
    assert paddle.to_tensor(y, place=device).shape == [16, 1]


@pytest.mark.needs("tensorflow")
def test_keras_fits_on_the_datasets_with_callbacks():
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    train_iter, test_iter = d2l.load_data_fashion_mnist(64)
    net = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10)])
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(tf.keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    seen = []
    callback = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch),
        on_epoch_end=lambda epoch, logs: seen.append(sorted(logs)),
    )
    options = {"epochs": 2, "verbose": 0, "callbacks": [callback], "validation_data": test_iter}
    history = net.fit(train_iter, **options)
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert seen == [*range(5), names, *range(5), names]
    assert history.history["loss"][1] < history.history["loss"][0]
    cardinality = tf.data.experimental.cardinality(train_iter).numpy()
    assert cardinality == len(train_iter) == 5


@pytest.mark.slow
def test_a_program_that_leaves_a_loop_ends(framework):
    """No thread of a framework waits for a batch that nobody wants any more."""
    found = python(
        f"from alexnet import {framework} as d2l\n"
        "train_iter, test_iter = d2l.load_data_fashion_mnist(64, resize=224)\n"
        "batches = iter(train_iter)\n"
        "X, y = next(batches)\n"
        "print('left')"
    )
    assert found.stdout.strip() == "left", found.stderr
    assert found.returncode == 0


# --- nets and training ----------------------------------------------------------------------------


class Recording(ProgressBar):
    """A callback that keeps the history of the run."""

    def end(self, history):
        super().end(history)
        self.history = history


def own_loop(framework, d2l, net, train_iter, lr):
    """The loop of section 6.6 as a reader writes it: the loss of each step."""
    return globals()[f"{framework}_loop"](d2l, net, train_iter, lr)


def torch_loop(d2l, net, train_iter, lr):
    import torch

    device, losses = d2l.try_gpu(), []
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    loss = torch.nn.CrossEntropyLoss()
    net.train()
    for X, y in train_iter:
        X, y = X.to(device), y.to(device)
        optimizer.zero_grad()
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def mxnet_loop(d2l, net, train_iter, lr):
    from mxnet import autograd, gluon

    device, losses = d2l.try_gpu(), []
    net.collect_params().reset_ctx(device)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": lr})
    for X, y in train_iter:
        X, y = X.as_in_ctx(device), y.as_in_ctx(device)
        with autograd.record():
            value = loss(net(X), y)
        value.backward()
        trainer.step(X.shape[0])
        losses.append(float(value.sum()) / X.shape[0])
    return losses


def tensorflow_loop(d2l, net, train_iter, lr):
    import tensorflow as tf

    optimizer, losses = tf.keras.optimizers.SGD(learning_rate=lr), []
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with d2l.try_gpu():
        for X, y in train_iter:
            with tf.GradientTape() as tape:
                value = loss(y, net(X, training=True))
            gradients = tape.gradient(value, net.trainable_variables)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables, strict=True))
            losses.append(float(value))
    return losses


def paddle_loop(d2l, net, train_iter, lr):
    import paddle

    device, losses = d2l.try_gpu(), []
    optimizer = paddle.optimizer.SGD(learning_rate=lr, parameters=net.parameters())
    loss = paddle.nn.CrossEntropyLoss()
    net.train()
    for X, y in train_iter:
        X, y = paddle.to_tensor(X, place=device), paddle.to_tensor(y, place=device)
        optimizer.clear_grad()
        value = loss(net(X), y)
        value.backward()
        optimizer.step()
        losses.append(float(value))
    return losses


def test_twenty_steps_are_those_of_the_readers_own_loop(framework, d2l, monkeypatch):
    """The same losses within float32 rounding, and the same weights afterwards."""
    by_hand, by_us = (alexnet.build("lenet", backend=framework, seed=0) for _ in range(2))
    expected = own_loop(framework, d2l, by_hand, d2l.load_data_fashion_mnist(16)[0], 0.5)
    assert len(expected) == 20
    callback = Recording()
    monkeypatch.setattr(d2l, "book_callback", lambda: callback)
    d2l.train_ch6(by_us, *d2l.load_data_fashion_mnist(16), 1, 0.5, d2l.try_gpu())
    losses = [step["loss"] for step in callback.history.steps]
    assert losses == pytest.approx(expected, rel=1e-5)
    weights = alexnet.get_weights(by_us)
    for key, w in alexnet.get_weights(by_hand).items():
        assert np.abs(weights[key] - w).max() < 1e-5, key


def linear(framework):
    """Softmax regression as a net of the framework, its weights not yet made where it can be so."""
    if framework == "torch":
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    if framework == "mxnet":
        from mxnet.gluon import nn

        net = nn.Sequential()
        net.add(nn.Dense(10))
        net.initialize()
        return net
    if framework == "tensorflow":
        from tensorflow.keras import Sequential, layers

        return Sequential([layers.Flatten(), layers.Dense(10)])
    from paddle import nn

    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


LINEAR = alexnet.Net("linear", (1, 28, 28), (Flatten(), Dense(10)))


def made(framework):
    """What train_ch6 takes: a net; in TensorFlow's column a function that makes one."""
    return (lambda: linear(framework)) if framework == "tensorflow" else linear(framework)


TWO_LINES = re.compile(
    r"loss \d\.\d{3}, train acc [01]\.\d{3}, test acc [01]\.\d{3}\n\d+\.\d examples/sec on (.+)\n"
)


def test_training_ends_with_the_two_lines(framework, d2l, capsys):
    net = made(framework)
    found = d2l.train_ch6(net, *d2l.load_data_fashion_mnist(64), 2, 0.1, d2l.try_gpu())
    out = capsys.readouterr().out
    device = TWO_LINES.search(out)
    assert out.endswith(device.group(0))
    assert device.group(1) == str(backends.try_gpu(backend=framework))
    if framework == "tensorflow":
        assert found.evaluate(d2l.load_data_fashion_mnist(64)[1], verbose=0)[1] > 0.2
    else:
        assert found is None


def test_train_ch6_leaves_a_picture_where_there_is_no_notebook(framework, d2l, tmp_path, capsys):
    d2l.train_ch6(made(framework), *d2l.load_data_fashion_mnist(64), 1, 0.1)
    name = re.search(r"the curves are kept in (\S*curves\S*\.png)", capsys.readouterr().out).group(
        1
    )
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_net_of_another_column_is_refused(framework, d2l):
    net = alexnet.build("lenet", backend="numpy")
    with pytest.raises(BackendError, match=f"backend='{framework}' was given"):
        d2l.train_ch6(net, *d2l.load_data_fashion_mnist(64), 1, 0.1)


def test_the_devices(framework, d2l):
    backend = backends.load(framework)
    if framework == "tensorflow":
        with d2l.try_gpu():
            assert d2l.ones(2).device.endswith((backend.gpus() or ["CPU:0"])[0].lstrip("/"))
        assert len(d2l.try_all_gpus()) == max(1, len(backend.gpus()))
        return
    assert d2l.try_gpu() == (backend.gpus() or [backend.cpu()])[0]
    assert d2l.try_gpu(99) == backend.cpu()
    assert d2l.try_all_gpus() == (backend.gpus() or [backend.cpu()])


def test_a_run_does_not_depend_on_what_was_looked_at_before(framework, d2l, monkeypatch):
    """A look at a batch, a loop, an earlier run: the first epoch is the first, in every column."""
    loaders = d2l.load_data_fashion_mnist(64)
    losses = []
    for look in (lambda: None, lambda: next(iter(loaders[0])), lambda: list(loaders[0])):
        look()
        callback = Recording()
        monkeypatch.setattr(d2l, "book_callback", lambda callback=callback: callback)
        d2l.train_ch6(made(framework), *loaders, 2, 0.1)
        losses.append([step["loss"] for step in callback.history.steps])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[2] == pytest.approx(losses[0], rel=1e-6)
    net = alexnet.build(LINEAR, backend="numpy")
    expected = alexnet.train_ch6(net, *load_fashion_mnist(64, resize=None), 2, 0.1)
    assert losses[0] == pytest.approx([step["loss"] for step in expected.steps], rel=1e-4)


def test_a_function_that_makes_a_net_gives_it_back(framework, d2l):
    net = d2l.train_ch6(lambda: linear(framework), *d2l.load_data_fashion_mnist(64), 1, 0.1)
    assert backends.owner(net) == framework
    assert d2l.evaluate_accuracy(net, d2l.load_data_fashion_mnist(64)[1]) > 0.2  # chance is 0.1


def test_a_net_of_residual_blocks_trains(framework, d2l, monkeypatch):
    """A class with two paths and batch normalisation, inside the framework's own sequence."""
    if framework == "torch":
        from torch import nn

        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)]
        net = nn.Sequential(d2l.Residual(1, 4, use_1x1conv=True, strides=2), *head)
    elif framework == "mxnet":
        from mxnet.gluon import nn

        net = nn.Sequential()
        net.add(d2l.Residual(4, use_1x1conv=True, strides=2), nn.GlobalAvgPool2D(), nn.Dense(10))
    elif framework == "tensorflow":
        from tensorflow.keras import Sequential, layers

        head = [layers.GlobalAvgPool2D(), layers.Dense(10)]
        net = Sequential([d2l.Residual(4, use_1x1conv=True, strides=2), *head])
    else:
        from paddle import nn

        head = [nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(4, 10)]
        net = nn.Sequential(d2l.Residual(1, 4, use_1x1conv=True, strides=2), *head)
    train_iter, test_iter = d2l.load_data_fashion_mnist(32)
    made_by = (lambda: net) if framework == "tensorflow" else net
    callback = Recording()
    monkeypatch.setattr(d2l, "book_callback", lambda: callback)
    d2l.train_ch6(made_by, train_iter, test_iter, 3, 0.1)
    losses = [epoch.loss for epoch in callback.history.epochs]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize("name_of_it", ["/CPU:0", "CPU:0", "cpu:0", "/device:CPU:0"])
def test_a_device_of_tensorflow_is_taken_however_it_is_written(name_of_it, capsys):
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    device = tf.device(name_of_it)
    d2l.train_ch6(made("tensorflow"), *d2l.load_data_fashion_mnist(64), 1, 0.1, device)
    assert capsys.readouterr().out.endswith("examples/sec on /CPU:0\n")


@pytest.mark.needs("tensorflow")
def test_what_is_no_model_is_refused_before_it_is_trained():
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    with pytest.raises(RunError, match=r"a function that makes a keras\.Model, not Dense"):
        d2l.train_ch6(lambda: tf.keras.layers.Dense(10), *d2l.load_data_fashion_mnist(64), 1, 0.1)


@pytest.mark.needs("tensorflow")
def test_the_books_callback_shows_a_fit(capsys):
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    train_iter, test_iter = d2l.load_data_fashion_mnist(64)
    net = linear("tensorflow")
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(tf.keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    callback = d2l.TrainCallback(net, train_iter, test_iter, 2, "/CPU:0")
    net.fit(train_iter, epochs=2, verbose=0, callbacks=[callback])
    out = capsys.readouterr().out
    assert out.endswith(TWO_LINES.search(out).group(0))
    assert len(re.findall(r"^epoch \d: train loss .*, train acc .*, test acc", out, re.M)) == 2


def test_accuracy_of_a_net_wherever_it_is(framework, d2l):
    _, test_iter = d2l.load_data_fashion_mnist(64)
    net = alexnet.build("lenet", backend=framework)
    backend = backends.load(framework)
    weights = {key: np.zeros_like(w) for key, w in alexnet.get_weights(net).items()}
    weights[max(weights, key=lambda k: (k.endswith("bias"), int(k.split(".")[0])))][3] = 1
    backend.set_weights(net, weights)  # says 3 to everything
    share = (load_fashion_mnist(64, resize=None)[1].labels == 3).mean()
    assert d2l.evaluate_accuracy(net, test_iter) == share
    assert d2l.evaluate_accuracy_gpu(net, test_iter) == share
    assert d2l.evaluate_accuracy_gpu(net, test_iter, d2l.try_gpu()) == share
    assert d2l.evaluate_accuracy(lambda X: net(X), test_iter) == share


def test_residual_keeps_and_halves(framework, d2l):
    """Its shapes; and that it is the sum of two paths: without its convolutions, only relu(X)."""
    shape = (4, 6, 6, 3) if framework == "tensorflow" else (4, 3, 6, 6)
    halved = (4, 3, 3, 6) if framework == "tensorflow" else (4, 6, 3, 3)
    X = native(framework, np.random.default_rng(0).normal(size=(4, 3, 6, 6)))
    keeping = d2l.Residual(*([3] if framework in ("torch", "paddle") else []), 3)
    halving = d2l.Residual(
        *([3] if framework in ("torch", "paddle") else []), 6, use_1x1conv=True, strides=2
    )
    backend = backends.load(framework)
    for net, expected in ((keeping, shape), (halving, halved)):
        backend.to_device(net, backend.cpu())
        assert tuple(backend.predict(net, X).shape) == expected
    weights = alexnet.get_weights(keeping)
    still = {k: w if "running" in k else np.zeros_like(w) for k, w in weights.items()}
    alexnet.set_weights(keeping, still)
    found = backends.to_numpy(backend.predict(keeping, X))
    assert np.allclose(found, np.maximum(backends.to_numpy(X), 0))


# --- what readers write ---------------------------------------------------------------------------


@pytest.mark.needs("mxnet")
def test_a_norm_that_a_reader_wrote_for_mxnet_starts_from_ones():
    """Its gamma is (1, C), and is no weight to draw."""
    from mxnet import init
    from mxnet.gluon import nn

    from alexnet import mxnet as d2l

    class Norm(nn.Block):
        def __init__(self, features, **kwargs):
            super().__init__(**kwargs)
            self.gamma = self.params.get("gamma", shape=(1, features), init=init.One())
            self.beta = self.params.get("beta", shape=(1, features), init=init.Zero())

        def forward(self, X):
            X = X - X.mean(axis=0)
            return X * self.gamma.data() + self.beta.data()

    net = nn.Sequential()
    net.add(nn.Dense(12), Norm(12), nn.Dense(10))
    d2l.train_ch6(net, *d2l.load_data_fashion_mnist(32), 1, 1e-9)
    assert d2l.numpy(net[1].gamma.data()) == pytest.approx(np.ones((1, 12)))


@pytest.mark.needs("tensorflow")
def test_keras_still_says_what_a_class_forgot():
    import tensorflow as tf

    import alexnet.tensorflow  # noqa: F401  (importing it changes Keras)

    class Forgetful(tf.keras.layers.Layer):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"you forgot to call `super\(\).__init__\(\)`"):
        Forgetful()(tf.ones((1, 2)))


@pytest.mark.needs("tensorflow")
def test_cells_that_were_written_for_keras_2_run():
    """A list of layers with ``layers``; a required ``training``; ``add_update``; a watched weight."""
    import tensorflow as tf

    from alexnet import tensorflow as d2l

    class Norm(tf.keras.layers.Layer):
        def build(self, input_shape):
            self.mean = self.add_weight(name="mean", shape=[input_shape[-1]], trainable=False)

        def call(self, inputs, training):
            seen.append(training)
            if training:
                batch = tf.reduce_mean(inputs, 0)
                self.add_update(self.mean.assign(0.9 * self.mean + 0.1 * batch))
                return inputs - batch
            return inputs - self.mean

    class Block(tf.keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.blocks = []
            self.blocks.append(tf.keras.layers.Dense(10))
            self.blocks.append(Norm())

        def call(self, X):
            for layer in self.blocks.layers:
                X = layer(X)
            return X

    seen = []
    net = tf.keras.Sequential([tf.keras.layers.Flatten(input_shape=(28, 28, 1)), Block()])
    d2l.train_ch6(lambda: net, *d2l.load_data_fashion_mnist(32), 1, 0.1)
    assert {bool(training) for training in seen} == {True, False}
    assert np.abs(d2l.numpy(net.layers[1].blocks[1].mean)).max() > 0
    dense = net.layers[1].blocks[0]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(dense.weights[0])
        value = tf.reduce_sum(dense(tf.ones((1, 784))))
    assert d2l.numpy(tape.gradient(value, dense.weights[0])) == pytest.approx(np.ones((784, 10)))


# --- softmax regression ---------------------------------------------------------------------------


def from_scratch(framework, d2l):
    """A function for a net, its loss and its updater, on parameters of the reader's own."""
    start = np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype(np.float32)
    if framework == "tensorflow":
        import tensorflow as tf

        W, b = tf.Variable(start), tf.Variable(tf.zeros(10))
        updater = d2l.Updater([W, b], lr=0.1)
    else:
        W, b = d2l.tensor(start), d2l.zeros([10])
        for param in (W, b):
            if framework == "torch":
                param.requires_grad_()
            elif framework == "mxnet":
                param.attach_grad()
            else:
                param.stop_gradient = False

        def updater(batch_size):
            return d2l.sgd([W, b], 0.1, batch_size)

    def net(X):
        scores = d2l.exp(d2l.matmul(d2l.reshape(X, (-1, 784)), W) + b)
        along = {"keepdim" if framework in ("torch", "paddle") else "keepdims": True}
        return scores / d2l.reduce_sum(scores, 1, **along)

    def loss(y_hat, y):
        column, classes = d2l.reshape(y, (-1, 1)), d2l.reshape(d2l.arange(10), (1, 10))
        chosen = d2l.astype(
            d2l.astype(column, d2l.int32) == d2l.astype(classes, d2l.int32), d2l.float32
        )
        return -d2l.log(d2l.reduce_sum(y_hat * chosen, 1))

    return net, loss, updater


def concise(framework):
    """The framework's own net, loss and optimizer, as the concise section has them."""
    net = linear(framework)
    if framework == "torch":
        import torch

        loss = torch.nn.CrossEntropyLoss(reduction="none")
        return net, loss, torch.optim.SGD(net.parameters(), lr=0.1)
    if framework == "mxnet":
        from mxnet import gluon

        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
        return net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer
    if framework == "tensorflow":
        import tensorflow as tf

        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return net, loss, tf.keras.optimizers.SGD(learning_rate=0.1)
    import paddle

    loss = paddle.nn.CrossEntropyLoss(reduction="none")
    return net, loss, paddle.optimizer.SGD(0.1, parameters=net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["from scratch", "concise"])
def test_softmax_regression_learns(framework, d2l, how, capsys):
    net, loss, updater = (
        from_scratch(framework, d2l) if how == "from scratch" else concise(framework)
    )
    train_iter, test_iter = d2l.load_data_fashion_mnist(32)
    first = d2l.train_epoch_ch3(net, train_iter, loss, updater)
    d2l.train_ch3(net, train_iter, test_iter, loss, 5, updater)
    last = d2l.train_epoch_ch3(net, train_iter, loss, updater)
    assert 1 < first[0] < 2.5
    assert last[0] < 0.75 * first[0]
    assert last[1] > max(0.7, first[1])
    assert d2l.evaluate_accuracy(net, test_iter) > 0.3  # of 40 images; chance is 0.1
    assert TWO_LINES.search(capsys.readouterr().out)
    d2l.predict_ch3(net, test_iter, n=4)
    assert len(d2l.plt.gcf().axes) == 4
    assert d2l.plt.gcf().axes[0].get_title().startswith("bag\n")


def test_softmax_regression_is_the_same_in_every_column(framework):
    """One epoch from the same weights and images: the same loss as NumPy's."""
    d2l = importlib.import_module(f"alexnet.{framework}")
    net, loss, updater = from_scratch(framework, d2l)
    found = d2l.train_epoch_ch3(net, d2l.load_data_fashion_mnist(32)[0], loss, updater)
    W, b = np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype(np.float32), np.zeros(10)
    losses, right = [], 0
    for X, y in load_fashion_mnist(32, resize=None)[0]:
        scores = np.exp(X.reshape(-1, 784) @ W + b)
        p = scores / scores.sum(axis=1, keepdims=True)
        losses.extend(-np.log(p[range(32), y]))
        right += (p.argmax(axis=1) == y).sum()
        p[range(32), y] -= 1
        W, b = W - 0.1 / 32 * X.reshape(-1, 784).T @ p, b - 0.1 / 32 * p.sum(axis=0)
    assert found[0] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found[1] == pytest.approx(right / 320)


@pytest.mark.needs("torch")
def test_a_mean_loss_counts_as_much_as_one_of_each_example():
    import torch

    from alexnet import torch as d2l

    losses = []
    for reduction in ("none", "mean"):
        torch.manual_seed(0)
        net = linear("torch")
        loss = torch.nn.CrossEntropyLoss(reduction=reduction)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        losses.append(d2l.train_epoch_ch3(net, d2l.load_data_fashion_mnist(32)[0], loss, optimizer))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_wrong_number_of_epochs_is_refused(framework, d2l):
    with pytest.raises(RunError, match="num_epochs must be a whole number of at least 1, not 0"):
        d2l.train_ch3(linear(framework), [], [], None, 0, None)


# --- small things ---------------------------------------------------------------------------------


def test_the_small_names(framework, d2l):
    X = d2l.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert int(d2l.size(X)) == 6
    assert backends.to_numpy(d2l.argmax(X, 1)).tolist() == [2, 2]
    assert float(d2l.reduce_sum(X)) == 21
    assert float(d2l.reduce_mean(X)) == 3.5
    assert d2l.numpy(d2l.reshape(X, (3, 2))).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert d2l.numpy(d2l.transpose(X)).tolist() == [[1, 4], [2, 5], [3, 6]]
    assert d2l.numpy(d2l.matmul(X, d2l.transpose(X))).tolist() == [[14, 32], [32, 77]]
    assert "int32" in str(d2l.astype(X, d2l.int32).dtype)
    for name in ("abs", "exp", "log", "sin", "cos", "sinh", "cosh", "tanh"):
        found = d2l.numpy(getattr(d2l, name)(X))
        assert found == pytest.approx(getattr(np, name)(d2l.numpy(X)), rel=1e-5), name
    assert d2l.numpy(d2l.arange(4)).tolist() == [0, 1, 2, 3]
    assert d2l.numpy(d2l.linspace(0, 1, 3)).tolist() == [0, 0.5, 1]
    assert d2l.numpy(d2l.eye(2)).tolist() == [[1, 0], [0, 1]]
    assert d2l.numpy(d2l.ones((2, 3))).tolist() == [[1] * 3] * 2
    assert d2l.numpy(d2l.zeros((2, 3))).tolist() == [[0] * 3] * 2
    rows = d2l.meshgrid(d2l.tensor([1, 2]), d2l.tensor([3, 4]))[0]
    assert sorted(d2l.numpy(rows).ravel().tolist()) == [1, 1, 2, 2]
    size = {"torch": (0.0, 1.0, (500,)), "paddle": (0.0, 1.0, [500]), "mxnet": (0.0, 1.0, (500,))}
    drawn = d2l.numpy(d2l.normal(*size.get(framework, ((500,), 0.0, 1.0))))
    assert abs(drawn.mean()) < 0.3
    assert 0.8 < drawn.std() < 1.2
    uniform = d2l.numpy(d2l.rand(*((500,) if framework in ("torch", "mxnet") else ([500],))))
    assert 0 <= uniform.min() < uniform.max() <= 1
    assert d2l.numpy(d2l.concat([X, X], 0)).shape == (4, 3)
    assert d2l.numpy(d2l.stack([X, X])).shape == (2, 2, 3)


def test_accuracy_counts_the_right_ones(d2l):
    y_hat = d2l.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]])
    assert d2l.accuracy(y_hat, d2l.tensor([0, 2])) == 1
    assert d2l.accuracy(y_hat, d2l.tensor([[2], [2]])) == 2  # Paddle's labels are a column
    assert d2l.accuracy(d2l.tensor([1, 2]), d2l.tensor([1, 1])) == 1


def test_numbers_of_half_precision_are_read_as_they_are(framework, d2l):
    module = importlib.import_module(framework)
    # MXNet has no bfloat16 that can be read.
    kinds = ["float16"] if framework == "mxnet" else [module.float16, module.bfloat16]
    for dtype in kinds:
        y_hat = d2l.astype(d2l.tensor([[-1.0, -3.0], [2.0, 5.0]]), dtype)
        assert d2l.accuracy(y_hat, d2l.tensor([0, 1])) == 2
        sums = d2l.Accumulator(1)
        sums.add(d2l.astype(d2l.tensor([2.5]), dtype))
        assert sums[0] == 2.5


def test_labels_have_names(d2l):
    with pytest.raises(DataError, match="there is no label 10; the labels are 0 to 9"):
        d2l.get_fashion_mnist_labels([10])
    _, y = next(iter(d2l.load_data_fashion_mnist(4)[1]))
    assert d2l.get_fashion_mnist_labels(y) == ["bag", "dress", "shirt", "dress"]


def test_corr2d_is_the_cross_correlation(framework, d2l):
    rng = np.random.default_rng(0)
    X, K = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 7), (2, 3)))
    windows = np.lib.stride_tricks.sliding_window_view(X, (2, 3))
    expected = (windows * K).sum(axis=(2, 3))
    found = backends.to_numpy(d2l.corr2d(d2l.tensor(X), d2l.tensor(K)))
    assert found == pytest.approx(expected, abs=1e-5)
    with pytest.raises(DataError, match=r"the kernel \(3, 2\) is larger than the input \(2, 9\)"):
        d2l.corr2d(d2l.ones((2, 9)), d2l.ones((3, 2)))


def test_an_accumulator_wants_a_value_for_each_sum(d2l):
    sums = d2l.Accumulator(2)
    sums.add(d2l.tensor(1.5), 2)
    sums.add(1, d2l.tensor([3.0]))
    assert (sums[0], sums[1]) == (2.5, 5)
    sums.reset()
    assert sums[1] == 0
    with pytest.raises(RunError, match="an Accumulator of 2 sums was given 3 values"):
        sums.add(1, 2, 3)


def test_a_timer_adds_up(d2l):
    timer = d2l.Timer()
    times = [timer.stop()]
    timer.start()
    times.append(timer.stop())
    assert timer.times == times
    assert timer.sum() == pytest.approx(sum(times))
    assert timer.avg() == pytest.approx(sum(times) / 2)
    assert timer.cumsum() == pytest.approx([times[0], sum(times)])


# --- what the columns take beside their own loaders -----------------------------------------------


def numpy_batches(framework):
    """Two batches of NumPy's own arrays, in the framework's layout."""
    loader = load_fashion_mnist(16, resize=None, subset=(32, 32))[1]
    last = framework == "tensorflow"
    return [(X.transpose(0, 2, 3, 1) if last else X, y) for X, y in loader]


def test_a_plain_function_is_evaluated_on_numpys_arrays(framework, d2l):
    """The column knows its framework; nothing is guessed from a batch."""
    net = alexnet.build("lenet", backend=framework)
    batches = numpy_batches(framework)
    there = [(native(framework, X), y) for X, y in load_fashion_mnist(16, None, subset=(32, 32))[1]]
    share = d2l.evaluate_accuracy(net, there)
    assert d2l.evaluate_accuracy_gpu(lambda X: net(X), batches) == share
    assert d2l.evaluate_accuracy_gpu(net, batches, "cpu") == share


@pytest.mark.needs("tensorflow")
def test_keras_nets_are_evaluated_on_numpys_arrays():
    from alexnet import tensorflow as d2l

    net = alexnet.build("lenet", backend="tensorflow")
    assert 0 <= d2l.evaluate_accuracy(net, numpy_batches("tensorflow")) <= 1
    assert d2l.size([1, 2, 3]) == 3


@pytest.mark.needs("torch")
def test_a_plain_function_is_evaluated_without_gradients():
    """By them the book's own batch normalisation tells prediction from training."""
    import torch

    from alexnet import torch as d2l

    seen = []

    def net(X):
        seen.append(torch.is_grad_enabled())
        return X.reshape(len(X), -1)[:, :10]

    d2l.evaluate_accuracy(net, d2l.load_data_fashion_mnist(32)[1])
    assert set(seen) == {False}
