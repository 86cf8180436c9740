"""Neutral code names no framework; only a framework's own files do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import alexnet
from alexnet.backends import FRAMEWORKS

PACKAGE = Path(alexnet.__file__).parent
OF_FRAMEWORKS = {
    *(PACKAGE / f"{name}.py" for name in FRAMEWORKS),
    *(PACKAGE / "backends" / f"{name}.py" for name in FRAMEWORKS),
    *(PACKAGE / "backends" / "engines" / f"{name}.py" for name in FRAMEWORKS),
    *(PACKAGE / "backends" / "registry").glob("*.py"),
    *(PACKAGE / "bench" / "peaks").glob("*.py"),
    PACKAGE / "backends" / "conformance.py",
    PACKAGE / "backends" / "mxnet_startup.py",
    PACKAGE / "book" / "keras2.py",
    PACKAGE / "datasets" / "known.py",  # the folders in which they keep data sets
}
NAMES = [e for f in FRAMEWORKS.values() if f.name != "numpy" for e in (f.name, f.title, "keras")]
NAMED = re.compile(rf"\b({'|'.join(dict.fromkeys(NAMES))})\b", re.IGNORECASE)


def code_of(path):
    """A file's code without docstrings, comments and the text after ``help=``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                kept = [s for s in statements if not is_text(s)]
                setattr(node, name, kept or [ast.Pass()])
        if isinstance(node, ast.Call):
            node.keywords = [k for k in node.keywords if k.arg != "help"]
    return ast.unparse(tree)


def is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


NEUTRAL = sorted(set(PACKAGE.rglob("*.py")) - OF_FRAMEWORKS)


@pytest.mark.parametrize("path", NEUTRAL, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_neutral_file_names_no_framework(path):
    found = [line for line in code_of(path).splitlines() if NAMED.search(line)]
    assert found == []
