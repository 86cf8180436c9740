"""Checkpoints: a net, its weights and where its training stood, in one file for all frameworks.

A checkpoint is a safetensors file. It holds the weights in the neutral layout, by their keys
(``"0.weight"``), and momentum's velocities as ``"velocity.0.weight"``; its metadata has, under
``"alexnet"``, JSON with the version of the format, the net and the training. Nothing is unpickled.
"""

from __future__ import annotations

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

from alexnet import backends
from alexnet.atomic import replacing
from alexnet.backends import Backend, BoundNet, table_of
from alexnet.backends.devices import device_for_new_net
from alexnet.backends.nets import render
from alexnet.errors import CheckpointError, DataError, SpecError, WeightsError, last_line
from alexnet.spec import STATISTICS, Net, ResolvedNet, Shape, zoo
from alexnet.spec.weights import Weights, check_weights, in_order
from alexnet.training.history import History

VERSION = 1
METADATA = "alexnet"  # the key under which a file says what it is
VELOCITY = "velocity."
DTYPES = ("float32", "float64")
PROBES = (1.0, 16.0, 256.0)  # sizes of the values in the random images that try a net
PROBE_TOLERANCE = 1e-4  # over the largest logit; what float32 leaves of another order of sums


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
        """Write the file; one that was there stays until the new one is whole.

        Raises CheckpointError if a value is not finite, or the file cannot be written.
        """
        self._check(str(path))
        training = self.history and {
            "history": self.history.to_dict(),
            "velocity_scale": self.velocity_scale,
        }
        about = {"version": VERSION, "net": self.net.net.to_dict(), "training": training}
        tensors = self.weights | {VELOCITY + key: v for key, v in self.velocity.items()}
        try:
            with replacing(Path(path)) as new:
                save_file(tensors, new, {METADATA: json.dumps(about, allow_nan=False)})
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
        found._check(str(path))
        return found

    @property
    def dtype(self) -> str:
        """float32 or float64."""
        return str(next(iter(self.weights.values())).dtype) if self.weights else DTYPES[0]

    def _check(self, where: str) -> None:
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
    """The history and the scale of the velocities. Raises DataError if they are none."""
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
    """What a file says of itself, and its arrays."""
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
            return about, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no dict)
    except (SafetensorError, OSError) as error:
        if _is_pickle(beginning):
            raise CheckpointError(
                f"{path}: is a pickle or a zip file, which are not opened here; "
                "checkpoints are safetensors files"
            ) from None
        raise CheckpointError(f"{path}: is no whole safetensors file ({error})") from None
    except (
        TypeError,
        AttributeError,
    ) as error:  # a dtype that NumPy does not have, such as bfloat16
        raise CheckpointError(f"{path}: has tensors that NumPy cannot read ({error})") from None


def _is_pickle(beginning: bytes) -> bool:
    """Whether a file's first 8 bytes are a pickle's, or those of a zip file, as PyTorch writes.

    A safetensors file begins with a length, most of whose bytes are zero.
    """
    protocol = beginning[:1] == b"\x80" and beginning[1:2] in (b"\2", b"\3", b"\4", b"\5")
    return (protocol and any(beginning[3:])) or beginning.startswith(b"PK\x03\x04")


def _about(path: Path, text: str) -> Mapping[str, Any]:
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata is no JSON ({error})") from None
    version = about.get("version") if isinstance(about, dict) else None
    if type(version) is not int or version != VERSION:
        raise CheckpointError(
            f"{path}: is of version {version!r}; this version of alexnet reads {VERSION}"
        )
    return about


def save(
    net: Any,
    path: str | os.PathLike[str],
    model: str | Net | None = None,
    *,
    input_shape: Shape | None = None,
) -> None:
    """Write a net of any framework to a file that `load` reads into any other.

    Before anything is written, the net's logits of random images, of small values and of large ones,
    are compared with those of its table, rendered in the same framework with the same weights. (That
    rendering draws from the framework's own random numbers.)

    Parameters
    ----------
    net : made by `build` or `load`, or trained by `train_ch6`; or one of your own, or another
        library's, with ``model``.
    path : of the file, usually ``….safetensors``; replaced if it is there.
    model : the name in `alexnet.spec.zoo`, or the `Net`, that says what a net of your own is. Its arrays
        are taken in their order, whatever their names.
    input_shape : (channels, height, width), if not the one that ``model`` is written for.

    Raises CheckpointError if the net is not known, does not fit or does not compute what ``model``
    says, has values that are not finite, or if the file cannot be written; SpecError for an unknown
    model; BackendError for what is no net.

    >>> import tempfile
    >>> from alexnet import build
    >>> path = Path(tempfile.mkdtemp()) / "lenet.safetensors"
    >>> save(build("lenet", backend="numpy"), path)
    >>> load(path, backend="numpy")(np.ones((1, 1, 28, 28))).shape
    (1, 10)
    """
    backend = backends.backend_of(net)
    if model is None and input_shape is not None:
        raise CheckpointError("input_shape= is for a net that model= names")
    table = table_of(net) if model is None else zoo.get(model).resolve(input_shape)
    if table is None:
        raise CheckpointError(
            f"this {type(net).__name__} was not built here; model= must say which net it is: "
            f"a name ({', '.join(zoo.ZOO)}) or an alexnet.Net"
        )
    try:
        own = backend.get_weights(net)
    except Exception as error:  # frameworks fail in many ways
        raise CheckpointError(
            f"{table.name}: this {type(net).__name__} does not give its arrays, which it may not have "
            f"before it has been called on a batch ({last_line(error)})"
        ) from None
    try:
        weights = in_order(own, table.parameters, table.name)
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    checkpoint = Checkpoint(table, weights)
    checkpoint._check(table.name)
    check_predictions(BoundNet.of(net), checkpoint)
    checkpoint.write(path)


def check_predictions(net: BoundNet, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError if the net computes something else than the checkpoint's would."""
    table = checkpoint.net
    kind = f"{table.name}: this {type(net.native).__name__}"
    source = np.random.Generator(np.random.PCG64(0))
    noise = source.standard_normal((len(PROBES), *table.input_shape))
    images = np.stack([x * size for x, size in zip(noise, PROBES, strict=True)])
    X = net.to_tensor(images.astype(checkpoint.dtype))
    backend = net.backend
    expected = backend.to_numpy(backend.predict(rendered(checkpoint, backend, net.device), X))
    try:
        found = backend.to_numpy(backend.predict(net.native, X))
    except Exception as error:  # frameworks fail in many ways
        raise CheckpointError(
            f"{kind} does not take inputs of {table.input_shape} ({last_line(error)})"
        ) from None
    if found.shape != expected.shape:
        raise CheckpointError(f"{kind} gives {found.shape[1:]}, not {expected.shape[1:]}")
    for a, b in zip(found, expected, strict=True):
        largest = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        if not np.allclose(a, b, rtol=0, atol=PROBE_TOLERANCE * largest, equal_nan=True):
            caveat = backend.ENTRY.caveat
            raise CheckpointError(
                f"{kind} has the arrays of {table.name}, but computes something else"
                f"{f' ({caveat})' if caveat else ''}: on random images its logits differ "
                f"by {np.abs(a - b).max():.1e}, the largest being {largest:.1e}"
            )


def load(
    path: str | os.PathLike[str], backend: str = backends.DEFAULT, *, device: Any = None
) -> Any:
    """A net from a file that `save` or `train_ch6(checkpoint=…)` wrote, in the framework asked for.

    Parameters
    ----------
    path : of the file.
    backend : numpy, torch, mxnet, tensorflow or paddle; whichever the net came from.
    device : as in `build`.

    Raises CheckpointError if there is no such file, or anything about it is wrong; BackendError as
    `build` does.
    """
    backends.framework(backend)
    checkpoint, module = Checkpoint.read(path), backends.load(backend)
    return rendered(checkpoint, module, device_for_new_net(module, device))


def rendered(checkpoint: Checkpoint, backend: Backend, device: Any) -> Any:
    """The checkpoint's net in a framework, with its weights."""
    net = render(checkpoint.net, backend, device, checkpoint.dtype).native
    backend.set_weights(net, checkpoint.weights)
    return net


def convert(
    source: str | os.PathLike[str], to: str, path: str | os.PathLike[str] | None = None
) -> Path:
    """Write a checkpoint in a framework's own format, which it reads without this library.

    ====================  ======================  =====================================================
    to                    what is written         what reads it
    ====================  ======================  =====================================================
    torch                 .torch.safetensors      ``net.load_state_dict(safetensors.torch.load_file(p))``
    mxnet                 .params                 ``net.load_parameters(p)``
    tensorflow            .keras                  ``keras.models.load_model(p)``: the whole model
    paddle                .pdparams               ``net.set_state_dict(paddle.load(p))``
    numpy                 .npz                    ``numpy.load(p)``: arrays in the neutral layout
    ====================  ======================  =====================================================

    But for Keras, ``net`` is one of the same layers in a row: what ``alexnet show`` prints.

    Parameters
    ----------
    source : a file that `save` or `train_ch6(checkpoint=…)` wrote.
    to : the framework.
    path : of the new file; default: beside the source, with the ending above.

    Returns the path. Raises CheckpointError if the source is not in order or the new file cannot be
    written; BackendError for a framework that is unknown or not installed.
    """
    source, backend = Path(source), backends.load(to)
    path = source.parent / (source.stem + backend.SUFFIX) if path is None else Path(path)
    ending = f".{backend.SUFFIX.rpartition('.')[2]}"
    if path.suffix != ending:
        raise CheckpointError(f"{path}: the name of a file for {to} must end in {ending}")
    if path.resolve() == source.resolve():
        raise CheckpointError(f"{path}: is the checkpoint itself; give the new file another name")
    net = rendered(Checkpoint.read(source), backend, backend.cpu())
    try:
        with replacing(path) as new:
            backend.export(net, str(new))
    except Exception as error:  # frameworks fail in many ways
        why = error.strerror if isinstance(error, OSError) else None
        raise CheckpointError(f"{path}: cannot be written ({why or last_line(error)})") from None
    return path
