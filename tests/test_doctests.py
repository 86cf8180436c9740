"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import alexnet
from alexnet import backends

OF_FRAMEWORKS = [name for name in backends.FRAMEWORKS if name != "numpy"]
ROOMS = "alexnet", "alexnet.backends", "alexnet.backends.engines"
NEEDS = {f"{room}.{name}": name for room in ROOMS for name in OF_FRAMEWORKS}
NEEDS["alexnet.book.keras2"] = "tensorflow"
MODULES = [
    module.name
    for module in pkgutil.walk_packages(alexnet.__path__, "alexnet.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(m, marks=pytest.mark.needs(NEEDS[m]) if m in NEEDS else ())
        for m in ("alexnet", *MODULES)
    ],
)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0
