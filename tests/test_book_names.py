"""The names of the drop-ins for the book's library: signatures, help, names of other chapters."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from helpers import python

from alexnet import backends
from alexnet.book.other_chapters import CHAPTER_OF

pytestmark = pytest.mark.usefixtures("the_sample")


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


def test_every_name_is_in_all_and_has_a_docstring(d2l):
    assert set(d2l.__all__) >= {*SIGNATURES, *SMALL.split()}
    for name in d2l.__all__:
        value = getattr(d2l, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), name


def test_help_shows_the_columns_own_source(framework, d2l):
    assert inspect.getsourcefile(d2l.train_ch6).endswith(f"alexnet/{framework}.py")
    assert "examples/sec in two lines" in d2l.train_ch6.__doc__


def test_an_editor_completes_the_names(framework, d2l, monkeypatch, tmp_path):
    import jedi

    monkeypatch.setattr(jedi.settings, "cache_directory", str(tmp_path))  # others would damage it
    code = f"from alexnet import {framework} as d2l\nd2l."
    found = {c.name: c.type for c in jedi.Script(code).complete(2, 4)}
    assert set(found) >= set(d2l.__all__)
    assert found["train_ch6"] == "function"
    assert found["Animator"] == "class"


@pytest.mark.parametrize("name_of_another", ["RNNModel", "load_array", "MultiHeadAttention"])
def test_a_name_of_another_chapter_is_refused_with_that_chapter(framework, d2l, name_of_another):
    chapter = CHAPTER_OF[name_of_another]
    message = f"alexnet.{framework} has no {name_of_another}: .* chapter on {chapter}; "
    with pytest.raises(AttributeError, match=message):
        getattr(d2l, name_of_another)


def test_no_name_is_listed_both_here_and_for_another_chapter(d2l):
    assert not set(d2l.__all__) & set(CHAPTER_OF)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        d2l.no_such_name  # noqa: B018  (to ask for it is the test)
    assert not hasattr(d2l, "no_such_name")


def test_importing_the_column_of_a_missing_framework_names_it():
    found = python(
        "import sys; sys.modules['paddle'] = None\n"
        "from alexnet import backends\n"
        "backends.installed = lambda name: False\n"
        "try: from alexnet import paddle as d2l\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    assert found.stdout.startswith(
        "MissingBackendError Paddle is not installed; run pip install"
    ), found.stderr


def test_every_column_of_the_book_has_a_module():
    """The other tests of the book run for the modules that exist."""
    folder = Path(backends.__file__).parents[1]
    columns = {name for name in backends.FRAMEWORKS if (folder / f"{name}.py").exists()}
    assert columns >= {"torch", "mxnet", "tensorflow", "paddle"}
