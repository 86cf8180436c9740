"""The file of a comparison: damaged, changed, older."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from reports import comparison, labels, row
from small_runs import SMALL

from alexnet.comparison.report import write_report
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Row
from alexnet.errors import RunError
from alexnet.json_values import from_json, sealed

SINCE_FORMAT_5 = ("precision", "nesterov", "flip", "crop")


@pytest.mark.parametrize(
    "answers",
    [
        {"classes": [1], "probabilities": []},
        {"classes": [-1], "probabilities": [0.5]},
        {"classes": [1.5], "probabilities": [0.5]},
        {"classes": [1], "probabilities": [1.5]},
        {"classes": [1], "probabilities": ["a"]},
    ],
)
def test_invalid_answers_are_refused(answers, tmp_path):
    saved = row("torch", labels()).to_dict() | {"answers": answers}
    with pytest.raises(ValueError, match=r"classes|probabilities"):
        from_json(Row, json.loads(json.dumps(saved)), "row")


def at(place, value):
    """A function that puts the value at that place of a saved comparison."""

    def change(saved):
        *way, last = place
        for key in way:
            saved = saved[key]
        saved[last] = value

    return change


ROW = ("rows", 0)


HISTORY = (*ROW, "history")


DAMAGE = {
    "begun cannot be 5": at(["begun"], 5),
    "seed cannot be '0'": at(["seed"], "0"),
    "device cannot be 3": at(["device"], 3),
    "plan: wrong or missing: root": lambda saved: saved["plan"].pop("root"),
    "lr cannot be 'x'": at(["plan", "recipes", "lenet", "lr"], "x"),
    "test_examples cannot be 1.5": at(["plan", "recipes", "lenet", "test_examples"], 1.5),
    "the smallest image that fits": at(["plan", "recipes", "lenet", "resize"], 2),
    "root cannot be 5": at(["plan", "root"], 5),
    r"pythons cannot be \[\]": at(["plan", "pythons"], []),
    "unknown backend 'jax'": at(["plan", "names"], ["jax"]),
    "unknown net 'vgg'": at(["plan", "recipes"], {"vgg": vars(SMALL)}),
    "the rows do not match the models, backends and seeds of the plan": at(["plan", "recipes"], {}),
    "do not match the models, backends and seeds": at([*ROW, "model"], "alexnet"),
    "peak_memory cannot be 'x'": at([*ROW, "peak_memory"], "x"),
    "logits_difference cannot be 'x'": at([*ROW, "logits_difference"], "x"),
    "answers: wrong or missing: classes, probabilities": at([*ROW, "answers"], {}),
    r"machine cannot be \[\]": at([*ROW, "machine"], []),
    "threads cannot be 4": at([*ROW, "threads"], 4),
    r"version cannot be \{\}": at([*ROW, "version"], {}),
    r"backend cannot be \[1\]": at([*ROW, "backend"], [1]),
    "the training time in a history must be finite": at([*HISTORY, "timed_seconds"], 0),
    "every step in a history must have at least 1 example": at(
        [*HISTORY, "steps", 0, "examples"], 0
    ),
    "seconds in a history must be finite": at([*HISTORY, "steps", 0, "seconds"], None),
    "must have at least one epoch and one step, got 0 epochs": at([*HISTORY, "epochs"], []),
    "got 2 epochs and 0 steps": at([*HISTORY, "steps"], []),
    "test_crc32 in a history must be str": at([*HISTORY, "settings", "test_crc32"], []),
    "lr must be a finite number": at(["plan", "recipes", "lenet", "lr"], None),
    "timeout must be above 0": at(["plan", "timeout"], None),
    "parallel must be at least 1": at(["plan", "parallel"], 0),
    "seed must be": at(["seed"], -1),
    "batch_size must be at least 1": at(["plan", "recipes", "lenet", "batch_size"], 0),
    "wrong or missing: plan": lambda saved: saved.pop("plan"),
    "peak_memory cannot be 1000": at([*ROW, "peak_memory"], 10**400),
    "timed_examples cannot be 1000": at([*HISTORY, "timed_examples"], 10**400),
    "warmup_seconds cannot be None": at([*HISTORY, "warmup_seconds"], None),
    "steps must be numbers": at([*HISTORY, "steps", 0, "examples"], 10**400),
    "has format 2; this version of alexnet reads format 7": at(["format"], 2),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_comparison_is_refused(message, tmp_path):
    saved = json.loads(json.dumps(comparison(tmp_path, [row("torch", labels())]).to_dict()))
    file = tmp_path / "comparison.json"
    file.write_text(json.dumps(saved))
    Comparison.load(tmp_path)  # undamaged, it loads
    DAMAGE[message](saved)
    file.write_text(json.dumps(saved))
    with pytest.raises(RunError, match=message) as caught:
        write_report([Comparison.load(tmp_path)], tmp_path / "report.html")
    assert str(file) in str(caught.value)


def test_the_folder_of_a_comparison_may_be_text(tmp_path):
    found = comparison(tmp_path, [row("torch", labels())])
    found.save()
    assert Comparison.load(str(tmp_path)).to_dict() == found.to_dict()


def test_a_comparison_with_a_changed_byte_is_refused(tmp_path):
    """Another digit passes every check of types; only the checksum finds it. Older files have none."""
    found = comparison(tmp_path, [row("torch", labels())])
    found.save()
    file = tmp_path / "comparison.json"
    whole = file.read_text()
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()
    place = whole.index('"loss": ') + len('"loss": ')
    other = "1" if whole[place] != "1" else "2"
    file.write_text(whole[:place] + other + whole[place + 1 :])
    with pytest.raises(RunError, match="it is damaged"):
        Comparison.load(tmp_path)
    file.write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != "sha256"}))
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


def test_a_comparison_older_than_0_1_0_loads(tmp_path):
    """It has no checksum, no schedule, no seeds, and its timeout is called ``silence``."""
    found = comparison(tmp_path, [row("torch", labels())])
    saved = json.loads(json.dumps(found.to_dict()))
    saved["format"] = 3
    saved["plan"]["silence"] = saved["plan"].pop("timeout")
    for setting in ("seeds", "shared_dropout", "nets", "workers"):
        del saved["plan"][setting]
    for setting in ("schedule", *SINCE_FORMAT_5):
        del saved["plan"]["recipes"]["lenet"][setting]
    del saved["rows"][0]["seed"]
    (tmp_path / "comparison.json").write_text(json.dumps(saved))
    found.plan = replace(found.plan, shared_dropout=False)
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


def test_a_comparison_of_format_4_loads(tmp_path):
    """It has neither precisions nor Nesterov momentum nor augmentation."""
    found = comparison(tmp_path, [row("torch", labels())])
    saved = json.loads(json.dumps(found.to_dict())) | {"format": 4}
    del saved["plan"]["nets"], saved["plan"]["workers"]
    for setting in SINCE_FORMAT_5:
        del saved["plan"]["recipes"]["lenet"][setting]
    (tmp_path / "comparison.json").write_text(json.dumps(sealed(saved)))
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


def test_a_comparison_of_format_5_loads(tmp_path):
    """It has no nets outside the zoo."""
    found = comparison(tmp_path, [row("torch", labels())])
    saved = json.loads(json.dumps(found.to_dict())) | {"format": 5}
    del saved["plan"]["nets"], saved["plan"]["workers"]
    (tmp_path / "comparison.json").write_text(json.dumps(sealed(saved)))
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


def test_a_comparison_of_format_6_loads(tmp_path):
    """Each of its rows has one process."""
    found = comparison(tmp_path, [row("torch", labels())])
    saved = json.loads(json.dumps(found.to_dict())) | {"format": 6}
    del saved["plan"]["workers"]
    (tmp_path / "comparison.json").write_text(json.dumps(sealed(saved)))
    assert Comparison.load(tmp_path).to_dict() == found.to_dict()


@pytest.mark.parametrize("text", ["[" * 200_000, "NaN", '{"format": 3, "seed": Infinity}', "3"])
def test_a_file_that_is_not_a_comparison_is_refused(text, tmp_path):
    (tmp_path / "comparison.json").write_text(text)
    with pytest.raises(RunError, match="cannot read the comparison"):
        Comparison.load(tmp_path)
