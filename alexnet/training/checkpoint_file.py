"""The file of a checkpoint: a net, its weights and where its training stood, for all frameworks.

A checkpoint is a safetensors file. It holds the weights in the neutral layout, by their keys
(``"0.weight"``), and the momentum buffers as ``"velocity.0.weight"``. Its metadata has, under
``"alexnet"``, the SHA-256 of a JSON text, a space and the text: the version of the format, the net, the
training, and the SHA-256 of every array. Nothing is unpickled.
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
UNCHECKED = 1  # the version of files without checksums
METADATA = "alexnet"  # the key under which a file says what it is
VELOCITY = "velocity."
DTYPES = ("float32", "float64")


@dataclass
class Checkpoint:
    """What a file holds. Made by `train_ch6(checkpoint=…)` and `save`, and read by `load`.

    ``velocity`` is momentum's running sum of gradients times ``velocity_scale`` (frameworks keep it
    differently), empty without momentum; ``history`` is None where the net was not trained here.
    """

    net: ResolvedNet
    weights: Weights
    history: History | None = None
    velocity: Weights = field(default_factory=dict)
    velocity_scale: float = 1.0

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file. An old file is replaced when the new one is complete.

        Raises CheckpointError if a value is not finite, or the file cannot be written.
        """
        self.check(str(path))
        training = self.history and {
            "history": self.history.to_dict(),
            "velocity_scale": self.velocity_scale,
        }
        tensors = self.weights | {VELOCITY + key: v for key, v in self.velocity.items()}
        about = {
            "version": VERSION,
            "net": self.net.net.to_dict(),
            "training": training,
            "sha256": {key: _checksum(array) for key, array in tensors.items()},
        }
        text = json.dumps(about, allow_nan=False)
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
        """Read a file. Raises CheckpointError, in one sentence, if anything about it is wrong."""
        about, tensors = _open(Path(path))
        try:
            table = Net.from_dict(about.get("net")).resolve()
            history, scale = _training(about.get("training"))
        except (SpecError, DataError) as error:
            raise CheckpointError(f"{path}: {error}") from None
        velocity = {
            key.removeprefix(VELOCITY): tensors.pop(key)
            for key in list(tensors)
            if key.startswith(VELOCITY)
        }
        by_layer = {key: tensors[key] for key in table.parameters if key in tensors}
        found = cls(table, by_layer | tensors, history, velocity, scale)
        found.check(str(path))
        return found

    @property
    def dtype(self) -> str:
        """float32 or float64."""
        return str(next(iter(self.weights.values())).dtype) if self.weights else DTYPES[0]

    def check(self, where: str) -> None:
        """Raise CheckpointError unless the arrays are the net's, finite, and of one dtype."""
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


def _training(plain: Any) -> tuple[History | None, float]:
    """The history and the scale of the velocities. Raises DataError if they are something else."""
    if plain is None:
        return None, 1.0
    if not isinstance(plain, dict) or plain.keys() != {"history", "velocity_scale"}:
        raise DataError(
            f"a training is written as history and velocity_scale, not as {plain!r:.60}"
        )
    scale = plain["velocity_scale"]
    if type(scale) is not float or not math.isfinite(scale) or scale == 0:
        raise DataError(
            f"velocity_scale must be a finite number other than zero, not {scale!r:.60}"
        )
    return History.from_dict(plain["history"]), scale


def _open(path: Path) -> tuple[Mapping[str, Any], Weights]:
    """The description in a file, and its arrays."""
    try:
        with path.open("rb") as file:
            beginning = file.read(8)
    except (OSError, ValueError) as error:  # the latter: a path that no file can have
        why = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{path}: cannot be read ({why})") from None
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA)
            if text is None:
                raise CheckpointError(
                    f"{path}: holds tensors, but no net (its metadata has no {METADATA!r}); "
                    "alexnet.save writes files that do"
                )
            about = _about(path, text)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no dict)
    except (SafetensorError, OSError) as error:
        if _is_pickle(beginning):
            raise CheckpointError(
                f"{path}: is a pickle or a zip file, which are not opened here; "
                "checkpoints are safetensors files"
            ) from None
        raise CheckpointError(
            f"{path}: is truncated or is not a safetensors file ({error})"
        ) from None
    except (
        TypeError,
        AttributeError,
    ) as error:  # a dtype that NumPy does not have, such as bfloat16
        raise CheckpointError(f"{path}: has tensors that NumPy cannot read ({error})") from None
    if about["version"] != UNCHECKED:
        found = {key: _checksum(array) for key, array in tensors.items()}
        damaged = sorted(set(found.items()) ^ set(about["sha256"].items()))
        if damaged:
            raise CheckpointError(
                f"{path}: is damaged ({damaged[0][0]} does not have its checksum)"
            )
    return about, tensors


def _is_pickle(beginning: bytes) -> bool:
    """Whether a file's first 8 bytes are a pickle's, or those of a zip file, as PyTorch writes.

    A safetensors file begins with a length, most of whose bytes are zero.
    """
    protocol = beginning[:1] == b"\x80" and beginning[1:2] in (b"\2", b"\3", b"\4", b"\5")
    return (protocol and any(beginning[3:])) or beginning.startswith(b"PK\x03\x04")


def _checksum(array: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and values, in hexadecimal."""
    kind = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(kind + np.ascontiguousarray(array).tobytes()).hexdigest()


def _about(path: Path, text: str) -> Mapping[str, Any]:
    """The description in a file. Raises CheckpointError if it is damaged or of another version."""
    checksum, _, checked = text.partition(" ")
    has_checksum = not text.startswith(("{", "["))
    text = checked if has_checksum else text
    if has_checksum and checksum != sha256(text):
        raise CheckpointError(f"{path}: is damaged (its metadata does not have its checksum)")
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata is not JSON ({error})") from None
    version = about.get("version") if isinstance(about, dict) else None
    if type(version) is not int or version not in (UNCHECKED, VERSION):
        raise CheckpointError(
            f"{path}: is of version {version!r}; this version of alexnet reads up to {VERSION}"
        )
    if version != UNCHECKED and not has_checksum:
        raise CheckpointError(f"{path}: is damaged (it lacks the checksum of its metadata)")
    return about
