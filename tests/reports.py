"""Comparisons written by hand, and the text of their reports."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from functools import cache

from small_runs import SMALL

from alexnet import History, load_fashion_mnist
from alexnet.comparison.plan import Plan
from alexnet.comparison.report import write_report
from alexnet.comparison.results import Comparison
from alexnet.comparison.rows import Answers, Row
from alexnet.training.history import Epoch

BEGUN = "2026-11-22T08:00:00+00:00"


@cache
def first_images():
    """The first 16 test images of the sample."""
    return load_fashion_mnist(16, resize=None, source="sample", subset=(16, 16))[1]


def history(backend, seconds=0.25, losses=(2.25, 2.0, 1.75, 1.5)):
    """A run of two epochs of two steps."""
    settings = {
        "train_examples": 24,
        "test_examples": 16,
        "test_crc32": first_images().checksum(),
        "batch_size": 16,
        "num_epochs": 2,
    }
    found = History("lenet", backend, "1", "cpu", settings, {})
    for examples, loss in zip((16, 8, 16, 8), losses, strict=True):
        found.record_step(examples, loss * examples, examples // 4, seconds)
        found.timed_examples += examples
        found.timed_seconds += seconds
    found.epochs = [Epoch(2.125, 0.25, 0.5, 2 * seconds), Epoch(1.625, 0.25, 0.625, 2 * seconds)]
    return found


def row(backend, classes, **fields):
    answers = Answers(list(classes), [0.5] * len(classes))
    known = {"version": "1.2.3", "device": "cpu", "history": history(backend), "answers": answers}
    return Row("lenet", backend, **(known | fields))


def short(row):
    """The row, if it had stopped after the first batch of each epoch."""
    row.history.settings["first_batches"] = 1
    row.history.steps = row.history.steps[::2]
    return row


def labels():
    return first_images().labels.tolist()


def comparison(folder, rows, **recipe):
    plan = Plan({"lenet": replace(SMALL, **recipe)}, None, tuple(r.backend for r in rows))
    folder.mkdir(exist_ok=True)
    return Comparison(plan, 0, None, folder, BEGUN, list(rows))


def page_of(*comparisons, path):
    return write_report(comparisons, path).read_text(encoding="utf-8")


def text_of(page):
    """The text of a page, without its markup."""
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
