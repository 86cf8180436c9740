"""Make ``import mxnet`` work even as the first import of a program.

MXNet 1.9 cannot be imported with current versions of NumPy unless NumPy is patched first. The cells of
the book import MXNet before this library. So this file is also installed as a separate module,
``_alexnet_startup``. A ``.pth`` file with the same name makes Python import that module at every start.
At that point the module only registers a finder, which acts when MXNet is imported. This file imports
nothing from this library, because the user's program may be called alexnet.py.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing.TYPE_CHECKING would slow down every start of Python
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def prepare_mxnet() -> None:
    """Prepare this process for the import of MXNet. The user's settings stay unchanged.

    MXNet 1.9 uses ``np.bool``, which NumPy 1.24 removed; this function adds the name again. MXNet also
    uses only half the cores unless OMP_NUM_THREADS is set; this function sets it to `usable_cores`.
    """
    import numpy

    numpy.__dict__.setdefault("bool", bool)
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def usable_cores() -> int:
    """Return the number of CPU cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class PrepareMXNet:
    """An import finder for MXNet that calls `prepare_mxnet` before MXNet's code runs."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "mxnet" or path is not None:  # a path means a submodule of another package
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name)
        if spec is not None and spec.loader is not None:
            create = spec.loader.create_module

            def create_module(spec: ModuleSpec) -> ModuleType | None:
                prepare_mxnet()
                return create(spec)

            spec.loader.create_module = create_module  # type: ignore[method-assign]
        return spec


if __name__ == "_alexnet_startup":
    sys.meta_path.insert(0, PrepareMXNet)
