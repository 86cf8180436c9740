"""TensorFlow's engine: ``MultiWorkerMirroredStrategy`` and TF_CONFIG, on gRPC (CPU) or NCCL (GPU).

`alexnet.backends.engines` documents each function. The strategy joins the processes and adds up tensors.
The nets stay outside its scope, so each process can train a net that was built before. The strategy also
runs the steps, so that Keras' batch normalisation can add up its sums. TensorFlow's servers listen on all
addresses of their machine (0.0.0.0); no setting changes that. A firewall can keep others out.
https://www.tensorflow.org/tutorials/distribute/multi_worker_with_keras
"""

from __future__ import annotations

import os
import re
import signal
import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager.context import context

from alexnet.backends import tensorflow as backend
from alexnet.backends.engines.meeting import meet
from alexnet.backends.engines.norms import changed
from alexnet.backends.entry import Place
from alexnet.backends.mxnet_startup import usable_cores
from alexnet.backends.registry.tensorflow import cluster
from alexnet.errors import RunError

_strategy: Any = None  # after `join`
_options: Any = None  # of the strategy's sums
_fault = ""  # TensorFlow's message about another process


def join(place: Place, device: Any, seconds: float) -> None:
    global _strategy, _options
    if _strategy is not None:
        return
    if not context()._initialized:
        addresses, _ = cluster()
        meet(list(addresses.values()), place.rank, seconds)
        _configure(place, seconds)
    elif not _has_joined():
        raise RunError(
            "TensorFlow has already computed in this process, so it cannot join the other processes; "
            "import alexnet.tensorflow, or create tf.distribute.MultiWorkerMirroredStrategy(), first"
        )
    _options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=seconds)
    handler = signal.getsignal(signal.SIGTERM)
    _strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=_options)
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # TensorFlow only notes the signal


def _has_joined() -> bool:
    """Return whether the user has created a strategy: devices then have the name of a job."""
    return "/job:" in tf.config.list_logical_devices("CPU")[0].name


def _configure(place: Place, seconds: float) -> None:
    """Set threads, the GPU, and how long TensorFlow waits for signs of life (10 s by default)."""
    if place.local_size > 1 and "TF_NUM_INTRAOP_THREADS" not in os.environ:
        threads = max(1, usable_cores() // place.local_size)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1 or "CUDA_VISIBLE_DEVICES" not in os.environ:  # else its GPU was chosen for it
        own = gpus[place.local_rank : place.local_rank + 1]
        tf.config.set_visible_devices(own, "GPU")
    addresses, _ = cluster()
    jobs = [re.findall(r"\w+", name)[1] for name in addresses]  # chief, worker
    context().configure_coordination_service(
        "standalone",
        f"/job:{jobs[0]}/replica:0/task:0",
        cluster_register_timeout_in_ms=int(seconds * 1000),
        heartbeat_timeout_in_ms=int(seconds * 1000),
    )
    for job in dict.fromkeys(jobs):
        context().coordination_service.coordinated_job_list.add(name=job, num_tasks=jobs.count(job))


def _all_reduce(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums of tensors over all processes, in a function that the strategy runs."""
    return tf.distribute.get_replica_context().all_reduce("SUM", tensors, _options)


@tf.autograph.experimental.do_not_convert
def _sums(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the sums of tensors over all processes, in a graph."""
    return _strategy.run(lambda *own: _all_reduce([tf.identity(x) for x in own]), tensors)


@tf.function(input_signature=[tf.TensorSpec((None,), tf.float64)])
def _total(values: tf.Tensor) -> tf.Tensor:
    return _sums([values])[0]


def total(values: np.ndarray) -> np.ndarray:
    return _total(tf.convert_to_tensor(values)).numpy()


FAULTS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


def is_fault(error: Exception) -> bool:
    global _fault
    found = isinstance(error, FAULTS) or "NCCL" in str(error)
    if found:
        _fault = str(error).replace("/replica:0", "")
    return found


def lost() -> list[str]:
    addresses, own = cluster()
    named = [name != own and re.search(rf"{name}\b", _fault) for name in addresses]
    return [f"process {rank}" for rank, found in enumerate(named) if found]


class Trainer(backend.Trainer):
    """The SGD of `alexnet.backends.tensorflow` on gradients that the strategy adds up."""

    def __init__(
        self, net: keras.Model, lr: float, momentum: float, nesterov: bool = False
    ) -> None:
        super().__init__(net, lr, momentum, nesterov)
        self.last_share = 1.0
        self.norms: list[tuple[Any, str, Any]] = []  # what `changed` changes while a step is traced
        self.device = net.trainable_variables[0].value.device
        with tf.device(self.device):
            self.share = tf.Variable(self.last_share, trainable=False, dtype=tf.float64)

    def synchronise_norms(self) -> None:
        layers = self.net._flatten_layers(include_self=False)
        norms = (layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization))
        self.norms = [(layer, "synchronized", True) for layer in norms]

    def step(  # type: ignore[override]  # a `ReducedTrainer` also takes the share
        self, X: tf.Tensor, y: tf.Tensor, share: float
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if share != self.last_share:
            self.share.assign(share)
            self.last_share = share
        return super().step(X, y)

    @tf.autograph.experimental.do_not_convert
    def backward(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        return _strategy.run(self._backward, (X, y))

    def _backward(self, X: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        with tf.device(self.device), changed(self.norms):
            logits, losses, gradients = backend.backward(self.net, X, y, self.share)
            return logits, losses, _all_reduce(gradients)
