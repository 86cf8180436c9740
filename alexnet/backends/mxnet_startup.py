"""Makes ``import mxnet`` work as the first line of a program.

MXNet 1.9 cannot be imported beside today's NumPy without help, and the book's cells import it before
anything of this library. So a copy of this file is also installed by itself, as ``_alexnet_startup``,
and a ``.pth`` file of the same name has Python run it whenever it starts. All that it does then is to
wait for MXNet. It imports nothing of this library, since a program next to it may be called alexnet.py.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own would cost every start of Python its import
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def prepare_mxnet() -> None:
    """What must be done before MXNet is imported; never over the user's own setting.

    MXNet 1.9 asks for ``np.bool``, which NumPy 1.24 took out; and takes half the cores unless
    OMP_NUM_THREADS says otherwise.
    """
    import numpy

    numpy.__dict__.setdefault("bool", bool)
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class PrepareMXNet:
    """A finder that finds MXNet where it is, and prepares the process before it runs."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "mxnet" or path is not None:  # with a path, it is a submodule of another package
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
