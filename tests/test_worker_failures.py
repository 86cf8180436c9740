"""Workers that are killed or misbehave cost only their own row of a comparison."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from reports import history
from small_runs import SMALL, Watcher, worker_that

from alexnet import backends
from alexnet.comparison.plan import Plan
from alexnet.comparison.run import run_plan as compare
from alexnet.workers import processes

NO_EPOCHS = """
import alexnet
history = alexnet.History("lenet", "torch", "2", "cpu", {}, {}).to_dict() | {"examples_per_sec": 0}
print(json.dumps({"event": "result", "history": history, "peak_memory": 1}), flush=True)
sys.exit(0)
"""


@pytest.mark.needs("torch")
def test_a_killed_worker_costs_only_its_own_row(tmp_path):
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


def test_a_worker_killed_within_a_line_costs_only_its_own_row(tmp_path, monkeypatch):
    code = """os.write(1, b'{"event": "ste'); os.kill(os.getpid(), 9)"""
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    found = compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    assert found.rows[0].problem.startswith("killed by SIGKILL")


def test_an_old_python_says_which_version_is_needed(tmp_path, monkeypatch):
    """Before it imports anything that an old Python could not read."""
    monkeypatch.setattr(processes, "LAUNCH", processes.LAUNCH.replace("(3, 11)", "(99, 0)"))
    found = compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    assert "must be Python 3.11 or newer, got Python 3." in found.rows[0].problem


def test_the_last_words_of_a_worker_are_quoted_verbatim(tmp_path, monkeypatch):
    """With brackets, which a table must not read as markup."""
    code = "print('fault in [/usr/lib/libc.so] [red]', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr(processes, "LAUNCH", worker_that(code))
    compare(Plan({"lenet": SMALL}, None, ("numpy",)), out=tmp_path / "run")
    text = (tmp_path / "run" / "table.txt").read_text()
    assert "NumPy: ended with exit status 3 | fault in [/usr/lib/libc.so] [red]" in text


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"killed by SIGKILL \(perhaps out of memory\)"),
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
        pytest.param("signal.pause()", "sent nothing for 3 s", marks=pytest.mark.slow),
        ("os.close(0); os.close(1); os.fork(); signal.pause()", "closed its output but did not"),
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
            r"sent the event result, which cannot be read \(a history must have format 2, got format None",
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
        (
            NO_EPOCHS,
            "sent the event result, which cannot be read .the history of a finished run must have",
        ),
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
def test_a_misbehaving_worker_costs_only_its_own_row(code, problem, tmp_path, monkeypatch):
    """Its row has its last words, the next backend has its result, and no process is left.

    The next worker sends a fixed result, so that nothing is trained.
    """
    monkeypatch.setattr(processes, "EXIT_SECONDS", 2)
    pid = tmp_path / "pid"
    bad = f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
    bad += "print('last words', file=sys.stderr, flush=True)\n" + code
    result = {"event": "result", "history": history("numpy").to_dict(), "peak_memory": 1}
    both = f"if 'torch' in job: exec({bad!r})\nelse: print({json.dumps(result)!r})"
    monkeypatch.setattr(processes, "LAUNCH", worker_that(both))
    monkeypatch.setattr(backends, "installed", lambda name: True)
    timeout = 3 if "sent nothing" in problem else 20
    plan = Plan({"lenet": SMALL}, None, ("torch", "numpy"), timeout=timeout)
    found = compare(plan, out=tmp_path / "run")
    dead, alive = found.rows
    assert re.match(problem, dead.problem)
    assert len(dead.problem) < 1000
    if "cannot be read" not in dead.problem and "3_000_000" not in code:
        assert dead.problem.endswith("| last words")
    assert dead.history is None
    assert alive.history == history("numpy")
    session = int(pid.read_text())
    assert not all(of_session(session) for _ in range(1000))  # the killed take a moment to go


def of_session(number):
    """The living processes of a session: a worker and all processes that it started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            name, _, rest = stat.read_text().rpartition(")")
            state, _, _, session = rest.split()[:4]
            if int(session) == number and state not in "ZX":
                found.append(name)
    return found


# --- the worker's own side ------------------------------------------------------------------------


def own_worker(run):
    """The two outputs and the status of a worker whose job is this function body."""
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


def test_output_of_a_framework_does_not_disturb_the_events():
    said, err, _ = own_worker(
        "print('garbage'); os.write(1, b'more garbage\\n'); send('ready'); os.system('echo child')"
    )
    assert said == '{"event": "ready"}\n'
    for garbage in ("garbage", "more garbage", "child"):
        assert garbage in err


def test_an_error_in_a_framework_is_sent_as_one_line_and_logged_with_its_traceback():
    said, err, status = own_worker("raise ValueError('first line\\nlast line')")
    assert status == 1
    assert json.loads(said) == {"event": "error", "message": "last line"}
    assert "Traceback" in err
