"""Backends: one common interface to five frameworks.

This package lists the backends, loads them, and finds the backend that a net belongs to. Each framework
has an entry in `alexnet.backends.registry` and a file here. The file has the names of
`alexnet.backends.interface`, in the same order. Importing this package imports no framework.
"""

from alexnet.backends.devices import (
    TRY_GPU,
    device_name,
    gpu_hardware,
    is_gpu,
    resolve_device,
    try_gpu,
)
from alexnet.backends.interface import Backend, Passes, Trainer
from alexnet.backends.loading import SET_HERE, installed, load, require_installed
from alexnet.backends.mxnet_startup import usable_cores
from alexnet.backends.nets import BoundNet, table_of
from alexnet.backends.owners import backend_of, get_weights, owner, set_weights, to_numpy
from alexnet.backends.registry import (
    DEFAULT,
    FRAMEWORKS,
    REFERENCE,
    framework,
    import_order,
)

__all__ = [
    "DEFAULT",
    "FRAMEWORKS",
    "REFERENCE",
    "SET_HERE",
    "TRY_GPU",
    "Backend",
    "BoundNet",
    "Passes",
    "Trainer",
    "backend_of",
    "device_name",
    "framework",
    "get_weights",
    "gpu_hardware",
    "import_order",
    "installed",
    "is_gpu",
    "load",
    "owner",
    "require_installed",
    "resolve_device",
    "set_weights",
    "table_of",
    "to_numpy",
    "try_gpu",
    "usable_cores",
]
