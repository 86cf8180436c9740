"""The events that a worker sends: one JSON object per line, with its kind under ``"event"``."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

NUMBER = int | float
EVENTS: dict[str, dict[str, Any]] = {
    "ready": {
        "pid": int,
        "version": str,
        "device": str,
        "on_gpu": bool,
        "machine": str,
        "threads": str,
    },
    "initial_logits": {"logits": list},
    "begin": {"steps": int | None, "history": dict},
    "step": {
        "done": int,
        "loss": NUMBER,
        "examples_per_sec": NUMBER,
        "seconds_left": NUMBER | None,
        "steps": list,
    },
    "test": {},
    "epoch": {"done": int, "epoch": dict},
    "result": {"history": dict, "peak_memory": int | None},
    "answers": {"classes": list, "probabilities": list},
    "parity": {"figures": dict},
    "error": {"message": str},
    "examined": {"finding": dict, "traps": list},
    "measured": {"case": int, "precision": str, "figures": dict},
    "bandwidth": {"figures": dict},
    "failed": {"case": int, "part": str, "message": str},
}
"""Every kind of event that a worker may send, with the types of its fields."""


def parse_event(line: str) -> dict[str, Any] | None:
    """Return the event in a line that a worker sent, or None if the line is not one of `EVENTS`."""
    with suppress(ValueError, RecursionError):
        event = json.loads(line)
        if "\\ud" in line.lower():  # refuse a lone surrogate: UTF-8 cannot encode it
            json.dumps(event, ensure_ascii=False).encode()
        kind = event.get("event") if isinstance(event, dict) else None
        fields = EVENTS.get(kind) if isinstance(kind, str) else None
        if fields is not None and all(isinstance(event.get(k), t) for k, t in fields.items()):
            return event
    return None
