"""Puts a copy of alexnet/backends/mxnet_startup.py next to the package in the wheel.

The docstring of that file gives the reason. ``force-include`` alone would move the file out of the package,
but the package needs it too.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CopyStartup(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.folder = Path(tempfile.mkdtemp())
        startup = Path(self.root) / "alexnet" / "backends" / "mxnet_startup"
        for suffix in (".py", ".pth"):
            copy = shutil.copy(startup.with_suffix(suffix), self.folder)
            build_data["force_include"][str(copy)] = f"_alexnet_startup{suffix}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.folder)
