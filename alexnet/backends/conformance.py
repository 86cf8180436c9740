"""A static check that mypy reads and nothing runs: every backend file matches the `Backend` protocol.

Every engine's file matches the `Engine` protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alexnet.backends import mxnet, numpy, paddle, tensorflow, torch
    from alexnet.backends.engines import Engine
    from alexnet.backends.engines import mxnet as mxnet_engine
    from alexnet.backends.engines import paddle as paddle_engine
    from alexnet.backends.engines import tensorflow as tensorflow_engine
    from alexnet.backends.engines import torch as torch_engine
    from alexnet.backends.interface import Backend

    BACKENDS: tuple[Backend, ...] = (numpy, torch, mxnet, tensorflow, paddle)
    ENGINES: tuple[Engine, ...] = (torch_engine, mxnet_engine, tensorflow_engine, paddle_engine)
