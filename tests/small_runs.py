"""Recipes of small comparisons, a watcher that keeps its events, and false workers."""

from __future__ import annotations

from alexnet.comparison.filling import NullWatcher
from alexnet.training.recipes import Recipe

SMALL = Recipe(96, 32, 1, 16, 0.5, normalize=True)


SMALL_ALEXNET = Recipe(16, 16, 1, 8, 0.01, resize=96)  # its answers and parity take a moment


class Watcher(NullWatcher):
    """Keeps all events, and calls ``do`` at the event ``when``."""

    def __init__(self, when=None, do=None):
        self.events, self.rows = [], []
        self.when, self.do = when, do

    def event(self, row, event):
        self.events.append((row.backend, event["event"]))
        if event["event"] == "ready":
            self.pid = event["pid"]
        if self.when == (row.backend, event["event"]):
            self.do(event)

    def finish(self, row):
        self.rows.append(row)


def worker_that(code):
    """The program of a worker that runs this code instead of its job."""
    return f"import json, os, signal, sys, time\njob = sys.stdin.readline()\n{code}"
