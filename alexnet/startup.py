"""Makes ``import mxnet`` work as the first line of a program.

MXNet 1.9 cannot be imported beside today's NumPy without help (`alexnet.backends.prepare`), and the
book's cells import it before anything of this library. So this file is also installed by itself, as
``_alexnet_startup``, and a ``.pth`` file of the same name has Python run it whenever it starts. All
that it does then is to wait for MXNet; without that, neither NumPy nor this library is imported.
"""

import contextlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class PrepareMXNet:
    """A finder that finds MXNet where it is, and prepares the process before it runs."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "mxnet" or path is not None:  # a submodule of another package
            return None
        spec = PathFinder.find_spec(name)
        if spec is not None and spec.loader is not None:
            create = spec.loader.create_module

            def create_module(spec: ModuleSpec) -> ModuleType | None:
                with contextlib.suppress(ImportError):  # this library is no longer there
                    from alexnet.backends import prepare

                    prepare("mxnet")
                return create(spec)

            spec.loader.create_module = create_module  # type: ignore[method-assign]
        return spec


if __name__ == "_alexnet_startup":
    sys.meta_path.insert(0, PrepareMXNet)
