"""The book's plots, in a script, without a display, and in a notebook."""

from __future__ import annotations

import base64
import sys

import nbformat
import numpy as np
import pytest
from helpers import run
from matplotlib import image
from matplotlib import pyplot as plt
from nbclient import NotebookClient

from alexnet import backends
from alexnet.book.plots import Animator, plot, set_axes, show_images
from alexnet.errors import DataError


@pytest.fixture(autouse=True)
def a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    plt.close("all")


def script(code, folder, **env):
    """Run a program in a new Python, in that folder."""
    path = folder / "program.py"
    path.write_text(code)
    return run(sys.executable, str(path), PYTHONPATH="", **env)


LOOP = """
from alexnet.book.plots import Animator
animator = Animator(xlabel="epoch", xlim=[1, 3], legend=["train loss", "train acc", "test acc"])
for epoch in range(3):
    animator.add(epoch + 0.5, (1 / (epoch + 1), 0.25 * epoch, None))
    animator.add(epoch + 1, (None, None, 0.2 * epoch))
"""


@pytest.mark.parametrize("backend", ["", "TkAgg", "module://matplotlib_inline.backend_inline"])
def test_an_animator_in_a_script_prints_and_keeps_a_picture(a_folder, backend):
    """Also without a display: the animator does not use pyplot, which may need one."""
    env = {"MPLBACKEND": backend, "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    no_window = "import matplotlib.pyplot as plt\nassert not plt.get_fignums()\n"
    found = script(LOOP + no_window, a_folder, **env)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        "epoch 0.5: train loss 1.000, train acc 0.000",
        "the curves are saved in program-curves.png",
        "epoch 1: test acc 0.000",
        "epoch 1.5: train loss 0.500, train acc 0.250",
        "epoch 2: test acc 0.200",
        "epoch 2.5: train loss 0.333, train acc 0.500",
        "epoch 3: test acc 0.400",
    ]
    assert image.imread(a_folder / "program-curves.png").std() > 0


def test_the_picture_has_every_point_when_the_program_ends(a_folder):
    """The last points come within a second of the first, and the file is the same as one made late."""
    script(LOOP, a_folder)
    at_the_end = image.imread(a_folder / "program-curves.png")
    animator = Animator(xlabel="epoch", xlim=[1, 3], legend=["train loss", "train acc", "test acc"])
    for epoch in range(3):
        animator.add(epoch + 0.5, (1 / (epoch + 1), 0.25 * epoch, None))
        animator.add(epoch + 1, (None, None, 0.2 * epoch))
    animator.fig.savefig(a_folder / "expected.png", dpi=150)
    assert (at_the_end == image.imread(a_folder / "expected.png")).all()


def test_two_animators_keep_two_pictures(a_folder):
    found = script(LOOP + LOOP, a_folder)
    assert found.returncode == 0, found.stderr
    assert (a_folder / "program-curves.png").is_file()
    assert (a_folder / "program-curves-2.png").is_file()


def test_a_folder_that_cannot_be_written_to_costs_the_picture_only(a_folder):
    (a_folder / "program-curves.png").mkdir()
    found = script(LOOP, a_folder)
    assert found.returncode == 0, found.stderr
    assert "epoch 3: test acc 0.400" in found.stdout
    assert "cannot save the curves in" in found.stdout


def test_an_animator_keeps_what_it_was_given(name):
    backend = backends.load(name)
    one = backend.to_tensor(np.array([0.5], np.float32), backend.cpu())
    animator = Animator(legend=["a"])
    animator.add(1, one)
    animator.add(2, [0.25, 0.75])
    assert animator.X == [[1, 2], [2]]
    assert animator.Y == [[0.5, 0.25], [0.75]]
    assert animator.axes[0].get_legend() is not None
    with pytest.raises(DataError, match="Animator: x and y must have the same length, got 3 and 2"):
        animator.add([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match=r"value must be one number, got a tensor of shape \(2,\)"):
        animator.add(1, [np.zeros(2)])


NOTEBOOK = """
from alexnet.book.plots import Animator
animator = Animator(xlabel="epoch", legend=["train loss"])
for epoch in range(4):
    animator.add(epoch, 1 / (epoch + 1))
"""


def test_an_animator_in_a_notebook_redraws_one_picture(a_folder):
    cells = [nbformat.v4.new_code_cell(NOTEBOOK), nbformat.v4.new_code_cell("animator.add(4, 0.1)")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert "<svg" in output["data"]["image/svg+xml"]
    assert not notebook.cells[1].outputs  # the picture above changed instead
    assert not list(a_folder.glob("*.png"))


@pytest.mark.slow
def test_train_ch6_in_a_notebook_draws_and_ends_with_the_two_lines(a_folder, covered):
    column = next((name for name in covered if name != "numpy"), None)
    if column is None:
        pytest.fail("this test needs a framework")
    code = f"""
import os
os.environ.update(ALEXNET_DATA="sample", ALEXNET_SUBSET="256:64")
from alexnet import {column} as d2l, build
net = build("lenet", backend="{column}")
d2l.train_ch6(net, *d2l.load_data_fashion_mnist(32), 2, 0.5, d2l.try_gpu())
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    picture = next(o for o in outputs if o.output_type == "display_data")
    assert base64.b64decode(picture["data"]["image/png"]).startswith(b"\x89PNG")
    printed = "".join(
        o["text"] for o in outputs if o.output_type == "stream" and o.name == "stdout"
    )
    first, second = printed.splitlines()
    assert first.startswith("loss ")
    assert "examples/sec on" in second


def test_plot_accepts_tensors_of_every_framework(name):
    backend = backends.load(name)
    x = backend.to_tensor(np.linspace(0, 1, 5, dtype=np.float32), backend.cpu())
    plot(x, [x, x * x], "x", "y", legend=["x", "square"], figsize=(4, 3))
    axes = plt.gca()
    assert [list(line.get_ydata()) for line in axes.lines] == [
        [0, 0.25, 0.5, 0.75, 1],
        [0, 0.0625, 0.25, 0.5625, 1],
    ]
    assert axes.get_xlabel() == "x"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["x", "square"]


@pytest.mark.parametrize(
    ("X", "Y", "expected"),
    [
        ([1, 4, 9], None, [([0, 1, 2], [1, 4, 9])]),
        ([1, 2], [3, 4], [([1, 2], [3, 4])]),
        ([1, 2], [[3, 4], [5, 6]], [([1, 2], [3, 4]), ([1, 2], [5, 6])]),
        ([[1, 2], [1, 2, 3]], [[3, 4], [5, 6, 7]], [([1, 2], [3, 4]), ([1, 2, 3], [5, 6, 7])]),
        (np.array([1, 2]), np.array([[3, 4], [5, 6]]), [([1, 2], [3, 4]), ([1, 2], [5, 6])]),
        ([[3, 4], [5, 6]], None, [([0, 1], [3, 4]), ([0, 1], [5, 6])]),
    ],
)
def test_plot_accepts_one_curve_or_several(X, Y, expected):
    plot(X, Y)
    found = [(list(line.get_xdata()), list(line.get_ydata())) for line in plt.gca().lines]
    assert found == expected


def test_plot_refuses_curves_that_do_not_fit():
    with pytest.raises(DataError, match="plot: x and y must have the same length, got 3 and 2"):
        plot([1, 2, 3], [1, 2])
    with pytest.raises(
        DataError, match="plot: X and Y must have the same number of curves, got 2 and 3"
    ):
        plot([[1, 2], [3, 4]], [[1, 2]] * 3)


def test_more_curves_than_formats_are_all_drawn():
    plot([0, 1], [[0, i] for i in range(6)])
    assert len(plt.gca().lines) == 6


def test_set_axes_sets_them_all():
    axes = plt.figure().add_subplot()
    axes.plot([1, 10], [1, 100])
    set_axes(axes, "x", "y", [1, 10], [0.1, 1000], "linear", "log", ["curve"])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("x", "y", "log")
    assert (axes.get_xlim(), axes.get_ylim()) == ((1, 10), (0.1, 1000))


def test_one_epoch_has_an_axis_too(recwarn):
    axes = plt.figure().add_subplot()
    set_axes(axes, "epoch", None, [1, 1], None, "linear", "linear", None)
    assert axes.get_xlim()[0] < 1 < axes.get_xlim()[1]
    assert not recwarn.list


def test_show_images_accepts_tensors_lists_and_colours(name):
    backend = backends.load(name)
    pixels = np.random.default_rng(0).random((6, 1, 8, 9)).astype(np.float32)
    tensor = backend.to_tensor(pixels, backend.cpu())
    for imgs in (tensor, [tensor[i] for i in range(6)], list(pixels[:, 0])):
        axes = show_images(imgs, 2, 3, titles=list("abcdef"))
        assert [a.get_title() for a in axes] == list("abcdef")
        assert np.allclose(axes[5].images[0].get_array(), pixels[5, 0])
    assert len(show_images([np.zeros((8, 9, 3))] * 4, 1, 2)) == 2  # only as many as fit
    assert len(show_images(pixels[:3], 2, 2, titles=[])) == 4  # the last place stays empty
    assert show_images(np.zeros((2, 1, 5)), 1, 2)[0].images[0].get_array().shape == (1, 5)
    with pytest.raises(DataError, match="every image must have a title, got 2 titles for 6 images"):
        show_images(tensor, 2, 3, titles=["a", "b"])
