"""A backend of one file and one entry in the registry works everywhere."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import by_backend, logits, native, render, run
from nets import EVERY_LAYER, example

import alexnet
from alexnet import backends, cli, data, load_fashion_mnist, train_ch6
from alexnet.backends.registry import FRAMEWORKS
from alexnet.backends.source import source
from alexnet.costs import worker
from alexnet.costs.job import Job
from alexnet.parity.check import Settings, parity
from alexnet.spec import BatchNorm, Conv, Dense, Dropout, Flatten, Layer, MaxPool, Net, ReLU
from alexnet.spec.layers import LAYERS
from alexnet.training.checkpoint import convert
from alexnet.workers import processes

SIXTH = "channels_last"
FOLDER = Path(__file__).parent / "sixth_backend"
USES = re.compile(r"^from (helpers import .*\b(by_backend|is_numpy|layers_of)\b|own_nets)", re.M)
REGISTER = f"""
import alexnet.backends
from alexnet.backends.registry import FRAMEWORKS
alexnet.backends.__path__.append({str(FOLDER)!r})  # as if the file were there
from alexnet.backends.channels_last import ENTRY
FRAMEWORKS[ENTRY.name] = ENTRY
"""

# Features that keep the order of their image: through a norm, a rectifier and dropout.
DROPOUT = Net(
    "dropout",
    (2, 7, 9),
    (
        Conv(3, 3, padding=1),
        Dropout(0.4),
        MaxPool(3, stride=2),
        Flatten(),
        BatchNorm(momentum=0.25, epsilon=2**-10),
        Dropout(0.3),
        ReLU(),
        Dense(11),
        Dropout(0.5),
        Dense(5),
    ),
)


@pytest.fixture(autouse=True)
def sixth(monkeypatch):
    """Register it in this process and in its workers, like an entry in the source."""
    monkeypatch.setattr(backends, "__path__", list(backends.__path__))
    monkeypatch.setattr(
        processes,
        "LAUNCH",
        processes.LAUNCH.replace(
            "from alexnet.workers.worker", f"{REGISTER}\nfrom alexnet.workers.worker"
        ),
    )
    exec(REGISTER, {})
    yield
    del FRAMEWORKS[SIXTH]
    sys.modules.pop(f"alexnet.backends.{SIXTH}")


def command(monkeypatch, *arguments):
    """Run the command line in this process."""
    monkeypatch.setattr(sys, "argv", ["alexnet", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.mark.parametrize("net", [*EVERY_LAYER, DROPOUT], ids=lambda net: net.name)
def test_it_builds_every_layer(net):
    weights, images, _ = example(net)
    found = {}
    for name in ("numpy", SIXTH):
        model = render(name, net)
        backends.set_weights(model, weights)
        found[name] = logits(name, model, images)
        for key, w in backends.get_weights(model).items():
            np.testing.assert_array_equal(w, weights[key], err_msg=key)
    np.testing.assert_allclose(found[SIXTH], found["numpy"], rtol=0, atol=1e-6)
    assert backends.owner(model) == SIXTH


@pytest.mark.parametrize("net", [*EVERY_LAYER, DROPOUT], ids=lambda net: net.name)
def test_its_source_makes_the_same_net(net):
    weights, images, _ = example(net)
    names = {}
    exec(source(net.resolve(), SIXTH), names)
    shown, built = names["net"], render(SIXTH, net)
    for model in (shown, built):
        backends.set_weights(model, weights)
    np.testing.assert_array_equal(shown(native(SIXTH, images)), built(native(SIXTH, images)))


def test_show_prints_it(monkeypatch, capsys):
    assert command(monkeypatch, "show", "lenet", "--backend", SIXTH) == 0
    assert "    spec.Conv(6, 5, padding=2),  # 6×28×28\n" in capsys.readouterr().out
    assert command(monkeypatch, "show", "lenet") == 0
    assert "net = Stack((1, 28, 28), [" in capsys.readouterr().out


def test_it_agrees_with_the_reference_including_dropout():
    (found,) = parity(DROPOUT, [SIXTH], Settings(steps=3, dtype="float64", dropout=True))
    assert found.problem == ""
    assert found.largest < 1e-12


def small(**options):
    return load_fashion_mnist(32, None, source="sample", subset=(160, 64), **options)


@pytest.mark.parametrize("nesterov", [False, True])
def test_it_trains_like_the_reference(nesterov, capsys):
    settings = {"momentum": 0.5, "nesterov": nesterov}
    histories = [
        train_ch6("lenet", *small(), 2, 0.5, backend=name, **settings) for name in ("numpy", SIXTH)
    ]
    losses = [[step["loss"] for step in history.steps] for history in histories]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert "examples/sec on the CPU" in capsys.readouterr().out
    test_iter = small()[1]
    accuracy = histories[1].last.test_accuracy
    assert alexnet.evaluate(histories[1].net, test_iter) == accuracy


def test_its_loader_gives_its_layout():
    train_iter, _ = small(backend=SIXTH)
    X, _ = next(iter(train_iter))
    assert X.shape == (32, 28, 28, 1)
    assert isinstance(train_iter, data.ImageLoader)


@pytest.mark.parametrize("names", [("numpy", SIXTH), (SIXTH, "numpy")], ids="-".join)
def test_a_run_resumes_in_it_and_from_it(names, tmp_path):
    """With its velocities, which it scales differently from the reference."""
    path = tmp_path / "run.safetensors"
    settings = {"lr": 0.5, "momentum": 0.9, "checkpoint": path}
    whole = train_ch6("lenet", *small(), 2, 0.5, backend=names[1], momentum=0.9)
    train_ch6("lenet", *small(), 1, backend=names[0], **settings)
    resumed = train_ch6("lenet", *small(), 2, backend=names[1], resume=True, **settings)
    losses = [[step["loss"] for step in history.steps] for history in (whole, resumed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    loaded = alexnet.load(path, backend=SIXTH)
    for key, w in alexnet.get_weights(resumed.net).items():
        np.testing.assert_array_equal(alexnet.get_weights(loaded)[key], w)


def test_a_checkpoint_is_written_in_its_own_format(tmp_path):
    net = alexnet.build("lenet", backend=SIXTH)
    alexnet.save(net, tmp_path / "lenet.safetensors")
    path = convert(tmp_path / "lenet.safetensors", SIXTH)
    assert path.name == "lenet.channels_last.npz"
    assert np.load(path)["0.weight"].shape == (5, 5, 1, 6)


@pytest.mark.slow
def test_compare_and_report_include_it(monkeypatch, tmp_path, capsys):
    recipe = {"train_examples": 96, "test_examples": 32, "num_epochs": 1, "data": "sample"}
    found = alexnet.compare("lenet", ["numpy", SIXTH], out=tmp_path / "run", **recipe)
    first, second = found.rows
    assert [row.problem for row in found.rows] == ["", ""]
    assert second.version == "6.0"
    assert second.logits_difference < 1e-5
    assert second.parity.agrees("float32")
    assert first.answers.classes == second.answers.classes
    losses = [[step["loss"] for step in row.history.steps] for row in found.rows]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Channels Last" in page
    assert "Stack" in page
    assert found.plot().axes[0].get_lines()[1].get_color() == "#7b4fa3"
    assert command(monkeypatch, "report", tmp_path / "run") == 0


@pytest.mark.slow
def test_cost_measures_each_of_its_layers(monkeypatch):
    monkeypatch.setattr(worker, "SECONDS", 0.0)
    events = []
    job = Job(SIXTH, DROPOUT.to_dict(), 3, "cpu")
    worker.run(job, lambda kind, **fields: events.append((kind, fields.get("figures"))))
    assert [kind for kind, _ in events] == ["ready", *["measured"] * len(DROPOUT.layers)]
    assert all(figures.keys() == {"forward", "backward"} for _, figures in events[1:])


def test_doctor_examines_it(monkeypatch, capsys):
    assert command(monkeypatch, "doctor", "--backends", SIXTH) == 0
    said = capsys.readouterr().out
    assert said.startswith("Channels Last 6.0\n")
    assert "self-test: a training step agrees with the reference" in said
    assert "note: slow: it turns every image around" in said


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("base", [Layer, ReLU])
def test_a_layer_that_a_backend_does_not_know_is_refused(name, base, listed, monkeypatch):
    """In every backend, before anything is built; a subclass is not taken for its base class."""
    swish = type("Swish", (base,), {})
    if listed and base is Layer:
        monkeypatch.setitem(LAYERS, "Swish", swish)
    net = Net("new", (3,), (Dense(4), swish()))
    title = backends.framework(name).title
    with pytest.raises(
        alexnet.BackendError, match=rf"new, layer 1: {title} does not support Swish"
    ):
        alexnet.build(net, backend=name)


def test_a_test_without_its_code_is_skipped_and_says_where():
    with pytest.raises(
        pytest.skip.Exception, match=rf"^tests/test_sixth_\w+\.py has no .* {SIXTH}$"
    ):
        by_backend(SIXTH, {"torch": 1})
    with pytest.raises(KeyError):  # of the known backends, every test has what it needs
        by_backend("torch", {})


@pytest.mark.slow
def test_a_new_backend_passes_the_tests_or_they_say_what_is_missing():
    """The files of tests that have code for each framework, on a copy of NumPy."""
    files = [p for p in FOLDER.parent.glob("test_*.py") if USES.search(p.read_text("utf-8"))]
    arguments = ["-q", "-m", "not slow", "-p", "copy_of_numpy", "-p", "no:cacheprovider"]
    folders = os.pathsep.join([str(FOLDER), os.environ.get("PYTHONPATH", "")])
    found = run(
        *[sys.executable, "-m", "pytest", *arguments, "--backends", "numpy,copy", *map(str, files)],
        PYTHONPATH=folders,
    )
    assert len(files) > 8
    assert found.returncode == 0, found.stdout
    assert re.search(r"\d+ passed, \d+ skipped", found.stdout)
