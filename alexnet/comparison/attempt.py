"""One attempt to fill a row of a comparison: checks the worker's events and records them."""

from __future__ import annotations

from typing import Any

import numpy as np

from alexnet.comparison.rows import Answers, Row, check_finished
from alexnet.json_values import from_json
from alexnet.parity.check import SELF_TEST, Differences
from alexnet.training.history import Epoch, History, steps_from


class Attempt:
    """One worker's attempt to fill a row.

    A worker may train the net but end before it sends the answers and the parity figures. Then the row
    keeps its training result, and a second worker adds only what is missing.
    """

    def __init__(self, row: Row) -> None:
        self.row = row
        self.trained_before = row.history is not None
        self.failed = self.ended = False
        row.problem = row.note = ""
        row.missing = False
        if not self.trained_before:
            row.answers = row.parity = None

    def fail(self, why: str) -> None:
        """Record why this row failed. Only the first reason is kept."""
        if self.failed:
            return
        self.failed = True
        if self.row.history is None:
            self.row.problem = why
        else:
            self._add(f"after training: {why}")

    def interrupt(self, advice: str) -> None:
        """Record the interruption. A row that has ended, failed or finished does not change."""
        if not (self.ended or self.failed or self.row.finished):
            self.fail(f"interrupted; {advice}")

    def record_event(self, event: dict[str, Any], reference: np.ndarray) -> None:
        """Record an event in the row. ``reference``: initial logits (N, classes) in float64.

        Also stores the checked values in the event, for watchers to read. Raises ValueError, TypeError,
        ArithmeticError or DataError for an event that cannot be read.
        """
        row = self.row
        match event["event"]:
            case "ready" if not self.trained_before:
                row.version, row.device = event["version"], event["device"]
                row.machine, row.threads = event["machine"], event["threads"]
            case "initial_logits" if not self.trained_before:
                difference = np.abs(np.array(event["logits"]) - reference).max()
                if np.isfinite(difference):
                    row.logits_difference = float(difference / np.abs(reference).max())
                else:
                    self._add("the initial logits are not finite")
            case "begin":
                History.from_dict(event["history"])
            case "step":
                event["steps"] = steps_from(event["steps"])
            case "epoch":
                event["epoch"] = vars(from_json(Epoch, event["epoch"], "epoch"))
            case "result" if row.history is None:
                row.peak_memory = from_json(int | None, event["peak_memory"], "peak_memory")
                row.history = check_finished(History.from_dict(event["history"]))
            case "answers" if row.history is not None:
                fields = {key: event[key] for key in ("classes", "probabilities")}
                row.answers = from_json(Answers, fields, "answers")
            case "parity" if row.history is not None:
                row.parity = from_json(Differences, event["figures"], "parity")
                if not row.parity.agrees(SELF_TEST.dtype):
                    found = row.parity.problem or f"{row.parity.worst} by {row.parity.largest:.1e}"
                    self._add(f"one training step differs from the reference: {found}")
            case "error":
                self.fail(event["message"])
            case "end":
                if row.history is None:
                    why = event["problem"] or "ended without a result"
                    self.fail(" | ".join([why, *event["said"]]))
                elif event["problem"]:
                    self.fail(event["problem"])
                self.ended = True

    def _add(self, remark: str) -> None:
        self.row.note = "; ".join(filter(None, [self.row.note, remark]))
