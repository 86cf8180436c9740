"""The progress of a comparison in the terminal."""

from __future__ import annotations

import pytest

from alexnet.comparison.rows import Row
from alexnet.comparison.terminal import TerminalWatcher
from alexnet.training.history import History


def test_progress_bars_are_grouped_by_net_and_fit_80_columns(monkeypatch):
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
    history = History("alexnet", "torch", "2", "cpu", {}, {}).to_dict()
    watcher.event(row, {"event": "begin", "steps": 4690, "history": history})
    for done in (1, 2, 3, 4):
        step = {"event": "step", "done": done, "loss": 2.3, "examples_per_sec": 30.0}
        watcher.event(row, step | {"seconds_left": seconds if done > 1 else None})
    watcher.end()
    start = "PyTorch: starting …\n"
    line = "PyTorch: about 5 h 33 min of training left, at 30.0 examples/sec\n"
    assert capsys.readouterr().out == start + (line if said else "")


def test_an_estimate_that_was_far_off_is_corrected_once(capsys):
    watcher = TerminalWatcher()
    row = Row("alexnet", "torch")
    watcher.begin([row])
    watcher.event(row, {"event": "start"})
    history = History("alexnet", "torch", "2", "cpu", {}, {}).to_dict()
    watcher.event(row, {"event": "begin", "steps": 4690, "history": history})
    capsys.readouterr()
    for done, seconds in ((3, 922), (4, 800), (5, 240), (6, 230), (7, 60)):
        step = {"event": "step", "done": done, "loss": 2.3, "examples_per_sec": 30.0}
        watcher.event(row, step | {"seconds_left": seconds})
    watcher.end()
    said = [line.split(" of training")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["PyTorch: about 15 min 22 s", "PyTorch: about 4 min 0 s"]
