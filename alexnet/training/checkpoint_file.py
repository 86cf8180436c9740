"""The checkpoint file: a net, its weights and the state of its training, for all frameworks.

A checkpoint is a safetensors file. It stores the weights in the neutral layout, under keys such as
``"0.weight"``, and the momentum buffers under keys such as ``"velocity.0.weight"``. The metadata entry
``"alexnet"`` is the SHA-256 of a JSON text, a space, and the JSON text. The JSON text holds the version of
the format, the net, the training run and the SHA-256 of every array. Reading never unpickles anything.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from alexnet.atomic import replacing
from alexnet.errors import CheckpointError, DataError, SpecError, WeightsError
from alexnet.json_values import sha256
from alexnet.spec import STATISTICS, Net, ResolvedNet
from alexnet.spec.weights import Weights, check_weights
from alexnet.training.history import History

VERSION = 2
WITHOUT_CHECKSUMS = 1  # the first version of the format
METADATA = "alexnet"  # key of the metadata entry
VELOCITY = "velocity."  # prefix of the keys of momentum buffers
DTYPES = ("float32", "float64")


@dataclass
class Checkpoint:
    """The contents of a file. `train_ch6(checkpoint=…)` and `save` write it, and `load` reads it.

    ``history`` is None if `save` wrote the file. ``velocity`` holds the momentum buffers as the framework
    keeps them: a decaying sum of gradients, times ``velocity_scale``. It is empty without momentum.
    """

    net: ResolvedNet
    weights: Weights
    history: History | None = None
    velocity: Weights = field(default_factory=dict)
    velocity_scale: float = 1.0

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file. An existing file is replaced only when the new file is complete.

        Raises CheckpointError if the arrays do not fit the net, if a value is not finite, or if the file
        cannot be written.
        """
        self.check(str(path))
        training = self.history and {
            "history": self.history.to_dict(),
            "velocity_scale": self.velocity_scale,
        }
        tensors = self.weights | {VELOCITY + key: v for key, v in self.velocity.items()}
        metadata = {
            "version": VERSION,
            "net": self.net.net.to_dict(),
            "training": training,
            "sha256": {key: _checksum(array) for key, array in tensors.items()},
        }
        text = json.dumps(metadata, allow_nan=False)
        try:
            with replacing(Path(path)) as new:
                save_file(tensors, new, {METADATA: f"{sha256(text)} {text}"})
        except OSError as error:
            raise CheckpointError(
                f"{path}: cannot be written ({error.strerror or error})"
            ) from None
        except SafetensorError as error:
            raise CheckpointError(f"{path}: cannot be written ({error})") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Read a file. Raises CheckpointError if the file is missing, damaged or not a checkpoint."""
        metadata, tensors = _read_file(Path(path))
        try:
            table = Net.from_dict(metadata.get("net")).resolve()
            history, scale = _read_training(metadata.get("training"))
        except (SpecError, DataError) as error:
            raise CheckpointError(f"{path}: {error}") from None
        velocity = {
            key.removeprefix(VELOCITY): tensors.pop(key)
            for key in list(tensors)
            if key.startswith(VELOCITY)
        }
        in_order = {key: tensors[key] for key in table.parameters if key in tensors}
        checkpoint = cls(table, in_order | tensors, history, velocity, scale)
        checkpoint.check(str(path))
        return checkpoint

    @property
    def dtype(self) -> str:
        """The dtype of the weights: float32 or float64."""
        return str(next(iter(self.weights.values())).dtype) if self.weights else DTYPES[0]

    def check(self, where: str) -> None:
        """Raise CheckpointError unless the arrays fit the net, are finite and have one dtype.

        ``where`` is the start of the message: the path of the file, or the name of the net.
        """
        learned = {k: s for k, s in self.net.parameters.items() if not k.endswith(STATISTICS)}
        try:
            check_weights(self.weights, self.net.parameters, where)
            if self.velocity:
                check_weights(self.velocity, learned, f"{where}: velocity")
        except WeightsError as error:
            raise CheckpointError(str(error)) from None
        for key, array in (*self.weights.items(), *self.velocity.items()):
            if array.dtype != self.dtype or self.dtype not in DTYPES:
                raise CheckpointError(
                    f"{where}: {key} is {array.dtype}; all arrays must be float32, or all float64"
                )


def _read_training(plain: Any) -> tuple[History | None, float]:
    """Return the history and the velocity scale from plain values. Raises DataError if they are invalid."""
    if plain is None:
        return None, 1.0
    if not isinstance(plain, dict) or plain.keys() != {"history", "velocity_scale"}:
        raise DataError(
            f"training must be a dict with the keys history and velocity_scale, got {plain!r:.60}"
        )
    scale = plain["velocity_scale"]
    if type(scale) is not float or not math.isfinite(scale) or scale == 0:
        raise DataError(f"velocity_scale must be a finite float other than zero, got {scale!r:.60}")
    return History.from_dict(plain["history"]), scale


def _read_file(path: Path) -> tuple[Mapping[str, Any], Weights]:
    """Return the metadata and the arrays of a file. Raises CheckpointError if it cannot be read."""
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
    except (OSError, ValueError) as error:  # ValueError: no file can have such a path
        why = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{path}: cannot be read ({why})") from None
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA)
            if text is None:
                raise CheckpointError(
                    f"{path}: has tensors, but no net (its metadata has no key {METADATA!r}); "
                    "use a file that alexnet.save wrote"
                )
            metadata = _read_metadata(path, text)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError) as error:
        if _is_pickle(beginning):
            raise CheckpointError(
                f"{path}: is a pickle or a zip file, which alexnet does not open; "
                "a checkpoint must be a safetensors file"
            ) from None
        raise CheckpointError(
            f"{path}: is truncated or is not a safetensors file ({error})"
        ) from None
    except (TypeError, AttributeError) as error:  # a dtype that NumPy does not have
        raise CheckpointError(f"{path}: has tensors that NumPy cannot read ({error})") from None
    if metadata["version"] != WITHOUT_CHECKSUMS:
        checksums = {key: _checksum(array) for key, array in tensors.items()}
        damaged = sorted(set(checksums.items()) ^ set(metadata["sha256"].items()))
        if damaged:
            raise CheckpointError(
                f"{path}: is damaged (the checksum of {damaged[0][0]} does not match)"
            )
    return metadata, tensors


def _is_pickle(beginning: bytes) -> bool:
    """Return whether the first 8 bytes of a file belong to a pickle or a zip file (PyTorch writes both).

    A safetensors file begins with a length in 8 bytes. Most of these bytes are zero.
    """
    protocol = beginning[:1] == b"\x80" and beginning[1:2] in (b"\2", b"\3", b"\4", b"\5")
    return (protocol and any(beginning[3:])) or beginning.startswith(b"PK\x03\x04")


def _checksum(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's dtype, shape and values, in hexadecimal."""
    kind = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(kind + np.ascontiguousarray(array).tobytes()).hexdigest()


def _read_metadata(path: Path, text: str) -> Mapping[str, Any]:
    """Return the metadata. Raises CheckpointError if it is damaged or has an unknown version."""
    checksum, _, rest = text.partition(" ")
    has_checksum = not text.startswith(("{", "["))
    text = rest if has_checksum else text
    if has_checksum and checksum != sha256(text):
        raise CheckpointError(f"{path}: is damaged (the checksum of its metadata does not match)")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata is not JSON ({error})") from None
    version = metadata.get("version") if isinstance(metadata, dict) else None
    if type(version) is not int or version not in (WITHOUT_CHECKSUMS, VERSION):
        raise CheckpointError(
            f"{path}: has format version {version!r}; this alexnet reads versions up to {VERSION}"
        )
    if version != WITHOUT_CHECKSUMS and not has_checksum:
        raise CheckpointError(f"{path}: is damaged (the checksum of its metadata is missing)")
    return metadata
