"""compare: real worker processes, a row for each backend, whatever becomes of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import alexnet
from matplotlib.image import imread
from runs import SMALL, SMALL_ALEXNET, Watcher

from alexnet import History, backends, load_fashion_mnist
from alexnet.comparison import plan as planning
from alexnet.comparison.plan import Plan, plan
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Row
from alexnet.comparison.run import resume
from alexnet.comparison.run import run_plan as compare
from alexnet.comparison.terminal import TerminalWatcher
from alexnet.training.recipes import QUICK
from alexnet.workers import processes

NO_EPOCHS = """
import alexnet
history = alexnet.History("lenet", "torch", "2", "cpu", {}, {}).to_dict() | {"examples_per_sec": 0}
print(json.dumps({"event": "result", "history": history, "peak_memory": 1}), flush=True)
sys.exit(0)
"""


def worker_that(code):
    """A worker that runs this instead of its job."""
    return f"import json, os, signal, sys, time\njob = sys.stdin.readline()\n{code}"


@pytest.mark.needs("torch")
def test_two_backends_get_the_same_run(tmp_path):
    watcher = Watcher()
    found = compare(
        Plan({"lenet": SMALL}, None, ("numpy", "torch")), out=tmp_path / "run", watcher=watcher
    )
    numpy_row, torch_row = found.rows
    losses = [[s["loss"] for s in row.history.steps] for row in (numpy_row, torch_row)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    test_labels = load_fashion_mnist(source="sample")[1].labels[:32]
    for row in found.rows:
        assert row.problem == ""
        assert row.logits_difference < 1e-5
        assert row.peak_memory > 10_000_000
        assert row.history.settings["train_examples"] == 96
        assert row.parity.agrees("float32")
        right = np.equal(row.answers.classes, test_labels)
        assert right.mean() == row.history.last.test_accuracy
    kinds = [kind for name, kind in watcher.events if name == "torch"]
    assert kinds[:4] == ["start", "ready", "initial_logits", "begin"]
    after = [kind for kind in kinds[4:] if kind not in ("step", "test")]
    assert after == ["epoch", "result", "answers", "parity", "end"]


def test_the_run_folder_holds_everything(tmp_path):
    compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names - {".lock"} == {"comparison.json", "table.txt", "curves.png", "lenet-numpy.log"}
    saved = json.loads(
        (tmp_path / "run" / "comparison.json").read_text(), parse_constant=pytest.fail
    )
    assert saved["plan"]["recipes"]["lenet"]["lr"] == 0.5
    (row,) = saved["rows"]
    assert History.from_dict(row["history"]).backend == "numpy"
    assert "numpy" in (tmp_path / "run" / "table.txt").read_text()
    picture = imread(tmp_path / "run" / "curves.png")
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.01  # it is not blank


@pytest.mark.needs("torch")
def test_a_killed_worker_costs_its_own_row(tmp_path):
    watcher = Watcher()
    watcher.when = ("torch", "begin")
    watcher.do = lambda event: os.kill(watcher.pid, signal.SIGKILL)
    found = compare(
        Plan({"lenet": SMALL}, None, ("torch", "numpy")), out=tmp_path / "run", watcher=watcher
    )
    dead, alive = found.rows
    assert dead.history is None
    assert dead.problem.startswith("killed by SIGKILL")
    assert alive.history is not None
    assert [row.backend for row in watcher.rows] == ["torch", "numpy"]
    text = (tmp_path / "run" / "table.txt").read_text()
    assert "PyTorch: killed by SIGKILL" in text


@pytest.mark.parametrize("event", ["result", "answers"])
def test_a_worker_killed_after_its_result_has_its_row(event, tmp_path):
    """And what came after the result is made up for, without training again."""
    watcher = Watcher()
    watcher.when = ("numpy", event)
    watcher.do = lambda event: os.kill(watcher.pid, signal.SIGKILL)
    plan = Plan({"alexnet-mnist": SMALL_ALEXNET}, None, ("numpy",))
    (row,) = compare(plan, out=tmp_path / "run", watcher=watcher).rows
    assert row.problem == ""
    assert row.history is not None
    assert row.note.startswith("after its training: killed by SIGKILL")
    assert (row.answers is None, row.parity) == (event == "result", None)
    assert Comparison.load(tmp_path / "run").rows == [row]
    again = Watcher()
    (mended,) = resume(tmp_path / "run", again).rows
    assert ("numpy", "step") not in again.events
    assert mended.note == ""
    assert mended.parity.agrees("float32")
    right = load_fashion_mnist(source="sample")[1].labels[:16] == mended.answers.classes
    assert right.mean() == row.history.last.test_accuracy
    assert mended.history == row.history
    assert mended.peak_memory >= row.peak_memory
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_an_interrupt_after_a_result_is_noted_and_made_up_for(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    recipe = replace(SMALL, numpy_batches=4)
    plan = Plan({"lenet": recipe}, None, ("numpy",))
    watcher = Watcher(("numpy", "result"), interrupt)
    (row,) = compare(plan, out=tmp_path / "run", watcher=watcher).rows
    assert row.problem == ""
    assert row.note == (
        "trained on the first 4 batches of every epoch only; after its training: interrupted; "
        f"--resume {tmp_path / 'run'} goes on with it"
    )
    (mended,) = resume(tmp_path / "run").rows
    assert mended.note == "trained on the first 4 batches of every epoch only"
    assert mended.parity.agrees("float32")


def test_who_only_adds_what_is_missing_does_not_say_where_it_was_trained(tmp_path, monkeypatch):
    kill = Watcher(("numpy", "result"), lambda event: os.kill(kill.pid, signal.SIGKILL))
    plan = Plan({"lenet": SMALL}, None, ("numpy",))
    (trained,) = compare(plan, out=tmp_path / "run", watcher=kill).rows
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    (mended,) = resume(tmp_path / "run").rows
    assert mended.finished
    for name in ("threads", "machine", "device", "version", "peak_memory", "history"):
        assert getattr(mended, name) == getattr(trained, name)


def test_a_row_that_is_complete_leaves_no_checkpoint_when_interrupted(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    watcher = Watcher(("numpy", "parity"), interrupt)
    plan = Plan({"lenet": SMALL}, None, ("numpy",))
    (row,) = compare(plan, out=tmp_path / "run", watcher=watcher).rows
    assert (row.problem, row.note, row.finished) == ("", "", True)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_failure_is_told_once(tmp_path, monkeypatch):
    """A worker says why, then ends with a status; after that comes an interrupt."""
    wrong = "import alexnet.workers.worker as w\nfrom alexnet.errors import RunError\n"
    wrong += "def parity(*a): raise RunError('no images stand away')\nw.parity = parity\n"
    launch = processes.LAUNCH.replace(
        "from alexnet.workers.worker import main\n", f"{wrong}main = w.main\n"
    )
    monkeypatch.setattr(processes, "LAUNCH", launch)
    monkeypatch.setattr(backends, "installed", lambda name: name != "torch")

    class Interrupting(Watcher):
        def finish(self, row):
            if row.backend == "numpy":
                raise KeyboardInterrupt

    plan = Plan({"lenet": SMALL}, None, ("torch", "numpy", "mxnet"))
    rows = compare(plan, out=tmp_path / "run", watcher=Interrupting()).rows
    missing, row, waiting = rows
    assert missing.problem.startswith("not installed; ")
    assert row.note == "after its training: no images stand away"
    assert waiting.problem.startswith("interrupted; ")


def test_a_diverging_run_says_so(tmp_path):
    """Losses that are no numbers are on the way; the weights stop it."""
    plan = Plan({"alexnet-mnist": replace(SMALL_ALEXNET, lr=1e30)}, None, ("numpy",))
    (row,) = compare(plan, out=tmp_path / "run").rows
    assert re.search("is not finite after epoch 1, so the training stops", row.problem)


def test_a_row_without_a_result_has_no_remark_about_its_images(tmp_path):
    def interrupt(event):
        raise KeyboardInterrupt

    plan = Plan({"lenet": replace(SMALL, numpy_batches=1)}, None, ("numpy",))
    (row,) = compare(
        plan, out=tmp_path / "run", watcher=Watcher(("numpy", "start"), interrupt)
    ).rows
    assert row.note == ""


def test_a_step_that_is_not_the_references_is_noted(tmp_path, monkeypatch):
    wrong = "import alexnet.workers.worker as w\nfrom alexnet.parity.check import Differences\n"
    wrong += "w.parity = lambda *a: iter([Differences('numpy', 0.0, 0.0, 0.5, 0.0, '3.weight')])\n"
    launch = processes.LAUNCH.replace(
        "from alexnet.workers.worker import main\n", f"{wrong}main = w.main\n"
    )
    assert launch != processes.LAUNCH
    monkeypatch.setattr(processes, "LAUNCH", launch)
    (row,) = compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run").rows
    assert row.note == "one step of training is not the reference's: 3.weight by 5.0e-01"
    assert "one step of training" in (tmp_path / "run" / "table.txt").read_text()


@pytest.mark.slow
def test_several_nets_stand_in_one_table(tmp_path):
    """Through the command line: each under its name, with its own recipe, logs and curves."""
    folder = tmp_path / "run"
    done = alexnet(
        "compare", "lenet", "alexnet-mnist", "--backends", "numpy", "--data", "sample",
        "--examples", "32", "--epochs", "1", "--resize", "64", "--out", str(folder),
        ALEXNET_SUBSET="32:16",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lenet, alexnet_mnist = Comparison.load(folder).rows
    assert (lenet.model, alexnet_mnist.model) == ("lenet", "alexnet-mnist")
    assert lenet.history.settings["momentum"] != alexnet_mnist.history.settings["momentum"]
    for row in (lenet, alexnet_mnist):
        assert row.history.model == row.model
        assert row.logits_difference < 1e-5
        assert row.parity.agrees("float32")
    table = (folder / "table.txt").read_text()
    assert re.search(r"^lenet +\nnumpy .*\n\s*\nalexnet-mnist +\nnumpy ", table, re.MULTILINE)
    assert "lenet at 64×64" in table and "alexnet-mnist at 64×64" in table
    names = {path.name for path in folder.iterdir()}
    assert {"lenet-numpy.log", "alexnet-mnist-numpy.log", "report.html"} <= names
    figure = Comparison.load(folder).plot()
    assert [axes.get_title() for axes in figure.axes] == [
        f"{model}: {what}"
        for model in ("lenet", "alexnet-mnist")
        for what in ("training loss", "accuracy")
    ]


def test_a_worker_killed_within_a_line_costs_its_own_row(tmp_path, monkeypatch):
    code = """os.write(1, b'{"event": "ste'); os.kill(os.getpid(), 9)"""
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    found = compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    assert found.rows[0].problem.startswith("killed by SIGKILL")


def test_what_a_dying_worker_says_is_quoted_as_it_is(tmp_path, monkeypatch):
    """Brackets and all: a table that reads them as markup would lose or choke on them."""
    code = "print('fault in [/usr/lib/libc.so] [red]', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    text = (tmp_path / "run" / "table.txt").read_text()
    assert "NumPy: ended with exit status 3 | fault in [/usr/lib/libc.so] [red]" in text


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"killed by SIGKILL \(as when memory runs out\)"),
        ("sys.exit(7)", "ended with exit status 7"),
        ("sys.exit(0)", "ended without a result"),
        (
            "print('garbage', flush=True); time.sleep(1000)",
            "sent a line that is not an event: 'garbage'",
        ),
        (
            "print('[1]', flush=True); time.sleep(1000)",
            r"sent a line that is not an event: '\[1\]'",
        ),
        pytest.param("signal.pause()", "said nothing for 20 s", marks=pytest.mark.slow),
        ("os.close(0); os.close(1); os.fork(); signal.pause()", "closed its output and did not"),
        (
            """print('{"event": "ready"}', flush=True); time.sleep(1000)""",
            "sent a line that is not an event",
        ),
        (
            """print('{"event": "end"}', flush=True); time.sleep(1000)""",
            "sent a line that is not an event",
        ),
        ("print('[' * 200000, flush=True); time.sleep(1000)", "sent a line that is not an event"),
        (
            """print('{"event": "result", "history": {}, "peak_memory": 1}', flush=True); sys.exit(0)""",
            r"sent the event result, which cannot be read \(a history of format None",
        ),
        (
            """print('{"event": "initial_logits", "logits": ["a"]}', flush=True); sys.exit(0)""",
            "sent the event initial_logits, which cannot be read",
        ),
        (
            """print('{"event": "error", "message": "\\\\udc80"}', flush=True); time.sleep(1000)""",
            "sent a line that is not an event",
        ),
        (
            """print('{"event": "initial_logits", "logits": [1%s]}' % (400 * '0')); sys.exit(0)""",
            "sent the event initial_logits, which cannot be read",
        ),
        (NO_EPOCHS, "sent the event result, which cannot be read .a history of a whole run has an"),
        (
            """print('{"event": "epoch", "done": 1, "epoch": {"loss": "a"}}', flush=True); sys.exit(0)""",
            "sent the event epoch, which cannot be read",
        ),
        (
            "print('x' * 3_000_000, file=sys.stderr, flush=True); sys.exit(0)",
            "ended without a result",
        ),
    ],
)
def test_a_worker_that_misbehaves_costs_its_own_row(code, problem, tmp_path, monkeypatch):
    """Its last words stand in the row; the backend after it has its result; nothing is left running."""
    monkeypatch.setattr(processes, "EXIT_SECONDS", 2)
    pid = tmp_path / "pid"
    bad = f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
    bad += "print('last words', file=sys.stderr, flush=True)\n" + code
    real = processes.LAUNCH
    both = f"if 'torch' in job: exec({bad!r})\n"
    both += "sys.stdin = __import__('io').StringIO(job)\n" + real
    monkeypatch.setattr(processes, "LAUNCH", worker_that(both))
    monkeypatch.setattr(backends, "installed", lambda name: True)
    found = compare(
        Plan({"lenet": SMALL}, None, ("torch", "numpy"), timeout=20), out=tmp_path / "run"
    )
    dead, alive = found.rows
    assert re.match(problem, dead.problem)
    assert len(dead.problem) < 1000
    if "cannot be read" not in dead.problem and "3_000_000" not in code:
        assert dead.problem.endswith("| last words")
    assert dead.history is None
    assert alive.history is not None
    session = int(pid.read_text())
    assert not all(of_session(session) for _ in range(1000))  # the killed take a moment to go


def of_session(number):
    """The living processes that belong to a session: a worker and all that it has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            name, _, rest = stat.read_text().rpartition(")")
            state, _, _, session = rest.split()[:4]
            if int(session) == number and state not in "ZX":
                found.append(name)
    return found


def test_a_framework_that_is_missing_is_a_row_with_its_command(tmp_path, monkeypatch):
    real = backends.installed
    monkeypatch.setattr(backends, "installed", lambda name: name != "mxnet" and real(name))
    found = compare(Plan({"lenet": SMALL}, None, ("mxnet", "numpy")), out=tmp_path / "run")
    missing, present = found.rows
    assert missing.problem == "not installed; pip install -e '.[mxnet]'"
    assert missing.missing
    assert (
        "MXNet: not installed; pip install -e '.[mxnet]'"
        in (tmp_path / "run" / "table.txt").read_text()
    )
    assert present.history is not None


def own_worker(run):
    """What a worker writes to its two outputs, and its status, if its job is this function's body."""
    code = (
        "import os, sys\n"
        "from alexnet.workers import worker\n"
        f"def run(job, send): {run}\n"
        "worker.run = run\n"
        "worker.Job.from_json = classmethod(lambda cls, text: None)\n"
        "sys.exit(worker.main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdin.write("{}\n")
    process.stdin.flush()  # and left open
    said, err = process.stdout.read(), process.stderr.read()
    process.stdin.close()
    return said, err, process.wait()


def test_what_a_framework_prints_does_not_disturb_the_events():
    said, err, _ = own_worker(
        "print('garbage'); os.write(1, b'more garbage\\n'); send('ready'); os.system('echo child')"
    )
    assert said == '{"event": "ready"}\n'
    for garbage in ("garbage", "more garbage", "child"):
        assert garbage in err


def test_a_fault_inside_a_framework_is_one_line_and_a_traceback_in_the_log():
    said, err, status = own_worker("raise ValueError('first line\\nlast line')")
    assert status == 1
    assert json.loads(said) == {"event": "error", "message": "last line"}
    assert "Traceback" in err


def test_bars_of_several_nets_stand_under_their_names_in_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    watcher = TerminalWatcher()
    models, names = ("lenet", "alexnet-2012-two-gpus"), ("tensorflow", "paddle")
    rows = [Row(model, name) for model in models for name in names]
    watcher.begin(rows)
    watcher.event(rows[3], {"event": "start"})
    step = {"done": 4690, "loss": 2.25, "examples_per_sec": 1234.5, "seconds_left": 59 * 60 + 59}
    watcher.event(rows[3], {"event": "step", **step})
    epoch = {"event": "epoch", "epoch": {"test_accuracy": 0.625}}
    watcher.event(rows[3], epoch)
    with watcher.console.capture() as said:
        for part in watcher.progress.get_renderables():
            watcher.console.print(part)
    watcher.end()
    lines = [line.rstrip() for line in said.get().splitlines()]
    assert max(map(len, lines)) <= 80
    firsts = [line.split()[0] for line in lines]
    assert firsts == ["lenet", "tensorflow", "paddle", models[1], "tensorflow", "paddle"]
    for text in ("4690", "loss 2.250", "test 0.625", "1234.5 ex/s", "59 min 59 s"):
        assert text in lines[-1]


@pytest.mark.parametrize(("seconds", "said"), [(19_980, True), (300, False)])
def test_a_long_run_says_at_its_start_how_long_it_will_take(capsys, seconds, said):
    watcher = TerminalWatcher()
    row = Row("alexnet", "torch")
    watcher.begin([row])
    watcher.event(row, {"event": "start"})
    watcher.event(row, {"event": "begin", "steps": 4690})
    for done in (1, 2, 3, 4):
        step = {"event": "step", "done": done, "loss": 2.3, "examples_per_sec": 30.0}
        watcher.event(row, step | {"seconds_left": seconds if done > 1 else None})
    watcher.end()
    line = "PyTorch: about 5 h 33 min of training to come, at 30.0 examples/sec\n"
    assert capsys.readouterr().out == (line if said else "")


def test_without_a_gpu_the_quick_recipe_is_taken(monkeypatch):
    monkeypatch.setattr(backends, "gpu_hardware", lambda: False)
    assert plan(["alexnet"], data="sample").recipes["alexnet"].train_examples < 5000
    assert plan(["alexnet"], full=True, data="sample").recipes["alexnet"].train_examples == 60_000


@pytest.mark.parametrize(
    ("on_gpu", "examples"), [(True, 60_000), (False, QUICK["alexnet"].train_examples)]
)
def test_with_a_gpu_the_books_recipe_is_taken_if_every_framework_sees_it(
    monkeypatch, on_gpu, examples
):
    monkeypatch.setattr(backends, "installed", lambda name: True)
    monkeypatch.setattr(backends, "gpu_hardware", lambda: True)
    monkeypatch.setattr(planning, "_uses_gpu", lambda model, b, python: on_gpu or b != "paddle")
    assert plan(["alexnet"], data="sample").recipes["alexnet"].train_examples == examples


def test_a_net_without_a_recipe_of_its_own_is_trained_at_its_own_size():
    found = plan(["alexnet-mnist", "alexnet-2012"], full=False, data="sample").recipes
    assert [recipe.resize for recipe in found.values()] == [96, 224]
    assert found["alexnet-mnist"].lr == QUICK["alexnet"].lr


def test_numpy_alone_does_all_the_work(monkeypatch):
    assert plan(["alexnet"], full=False, data="sample").recipes["alexnet"].numpy_batches
    monkeypatch.setattr(backends, "installed", lambda name: name == "numpy")
    assert plan(["alexnet"], full=False, data="sample").recipes["alexnet"].numpy_batches is None


def test_only_the_backends_that_run_decide_over_the_recipe(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda name: True)
    monkeypatch.setattr(backends, "gpu_hardware", lambda: True)
    monkeypatch.setattr(planning, "_uses_gpu", lambda model, b, python: b == "torch")
    for names, device, full in (
        (["torch"], None, True),
        (["torch"], "cpu", False),
        (["torch", "paddle"], None, False),
        (["numpy"], None, False),
    ):
        found = plan(["alexnet"], names, data="sample", device=device)
        assert (found.recipes["alexnet"].num_epochs == 10) == full


def test_numpy_is_left_out_of_a_full_run_unless_it_is_named():
    assert plan(["alexnet"], full=True, data="sample").names == tuple(backends.FRAMEWORKS)[1:]
    assert plan(["alexnet"], ["numpy"], full=True, data="sample").names == ("numpy",)
    assert plan(["alexnet"], full=False, data="sample").names == tuple(backends.FRAMEWORKS)


@pytest.mark.slow
@pytest.mark.needs("torch")
def test_a_worker_reports_its_device_without_training():
    """Here: a CPU, in a real process."""
    assert planning._uses_gpu("lenet", "torch", sys.executable) is False


def test_a_quick_run_takes_the_sample_where_there_is_nothing_else(monkeypatch):
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    monkeypatch.setattr(planning, "find", lambda dataset: None)
    assert plan(["alexnet"], full=False).root is None


@pytest.mark.slow
@pytest.mark.needs("torch", "mxnet", "tensorflow", "paddle")
def test_the_main_job_cut_down(tmp_path):
    """`alexnet compare` as the README has it, on 48 images: every backend runs, at 224."""
    found = alexnet("compare", "--out", str(tmp_path / "run"), ALEXNET_SUBSET="48:16")
    assert found.returncode == 0, found.stdout + found.stderr
    saved = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert [row["backend"] for row in saved["rows"]] == list(backends.FRAMEWORKS)
    for row in saved["rows"]:
        history = History.from_dict(row["history"])
        assert history.settings["image_shape"] == [1, 224, 224]
        assert len(history.steps) == 3
        assert row["logits_difference"] < 1e-4
        assert row["note"] == ""


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.needs("torch", "mxnet", "tensorflow", "paddle")
def test_the_main_job(tmp_path):
    """`alexnet compare` as the README has it: every backend learns, on real images, at 224."""
    found = alexnet("compare", "--out", str(tmp_path / "run"))
    assert found.returncode == 0, found.stdout + found.stderr
    saved = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert [row["backend"] for row in saved["rows"]] == list(backends.FRAMEWORKS)
    for row in saved["rows"]:
        history = History.from_dict(row["history"])
        assert history.settings["image_shape"] == [1, 224, 224]
        if row["backend"] == "numpy":
            assert row["note"] == "trained on the first 12 batches of every epoch only"
        else:  # chance is 0.1; dropout differs from run to run, so no more can be promised
            losses = [step["loss"] for step in history.steps]
            assert np.mean(losses[-16:]) < np.mean(losses[:16]) - 0.4, row["backend"]
            assert history.last.test_accuracy > 0.3, row["backend"]
        assert row["logits_difference"] < 1e-4
        assert history.examples_per_sec > 0
        assert np.isfinite(history.last.loss)
