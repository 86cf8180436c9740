"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import alexnet

MODULES = [
    module.name
    for module in pkgutil.walk_packages(alexnet.__path__, "alexnet.")
    if not module.name.startswith("alexnet.backends.") and not module.name.endswith("__main__")
]


@pytest.mark.parametrize("module", ["alexnet", *MODULES])
def test_examples(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.failed == 0
