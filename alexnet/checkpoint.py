"""Checkpoints: a net, its weights and where its training stood, in one file for all frameworks.

A checkpoint is a safetensors file. It holds the weights in the neutral layout, by their keys
(``"0.weight"``), and momentum's velocities as ``"velocity.0.weight"``; its metadata has, under
``"alexnet"``, JSON with the version of the format, the net and the training. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from alexnet import backends, zoo
from alexnet.atomic import replacing
from alexnet.errors import CheckpointError, DataError, SpecError, WeightsError
from alexnet.history import History
from alexnet.rendering import render, table_of
from alexnet.spec import STATISTICS, Net, ResolvedNet, Shape
from alexnet.weights import Weights, check_weights, in_order

VERSION = 1
METADATA = "alexnet"  # the key under which a file says what it is
VELOCITY = "velocity."
DTYPES = ("float32", "float64")
PICKLES = (b"\x80", b"PK\x03\x04")  # how a pickle begins, and a zip file, in which PyTorch puts one
PROBES = 2  # random images on which a net must compute what its table says
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
            training = about.get("training")
            history = None if training is None else History.from_dict(training["history"])
            scale = 1.0 if training is None else float(training["velocity_scale"])
        except (SpecError, DataError) as error:
            raise CheckpointError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: what it says of its training cannot be read ({error!r})"
            ) from None
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


def _open(path: Path) -> tuple[Mapping[str, Any], Weights]:
    """What a file says of itself, and its arrays."""
    try:
        with path.open("rb") as beginning:
            like_a_pickle = beginning.read(4).startswith(PICKLES)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA)
            if text is None:
                raise CheckpointError(
                    f"{path}: holds tensors, but no net (its metadata has no {METADATA!r}); "
                    "alexnet.save writes files that do"
                )
            about = _about(path, text)
            return about, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        if like_a_pickle:  # as may be, rarely, the length with which a safetensors file begins
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


def _about(path: Path, text: str) -> Mapping[str, Any]:
    try:
        about = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{path}: its metadata is no JSON ({error})") from None
    version = about.get("version") if isinstance(about, dict) else None
    if version != VERSION:
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

    Before anything is written, the net's logits of random images are compared with those of its
    table, rendered in the same framework with the same weights: what is loaded predicts the same.

    Parameters
    ----------
    net : made by `build` or `load`, or trained by `train_ch6`; or one of your own, or another
        library's, with ``model``.
    path : of the file, usually ``….safetensors``; replaced if it is there.
    model : the name in `alexnet.zoo`, or the `Net`, that says what a net of your own is. Its arrays
        are taken in their order, whatever their names.
    input_shape : (channels, height, width), if not the one that ``model`` is written for.

    Raises CheckpointError if the net is not known, does not fit or does not compute what ``model``
    says, has values that are not finite, or if the file cannot be written.

    >>> import tempfile
    >>> from alexnet import build
    >>> path = Path(tempfile.mkdtemp()) / "lenet.safetensors"
    >>> save(build("lenet", backend="numpy"), path)
    >>> load(path, backend="numpy")(np.ones((1, 1, 28, 28))).shape
    (1, 10)
    """
    name, backend = backends.backend_of(net)
    table = table_of(net) if model is None else zoo.get(model).resolve(input_shape)
    if table is None:
        raise CheckpointError(
            f"this {type(net).__name__} was not built here; model= must say which net it is: "
            f"a name ({', '.join(zoo.ZOO)}) or an alexnet.Net"
        )
    try:
        weights = in_order(backend.get_weights(net), table.parameters, table.name)
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    checkpoint = Checkpoint(table, weights)
    checkpoint._check(table.name)
    _check_predictions(net, checkpoint, name)
    checkpoint.write(path)


def _check_predictions(net: Any, checkpoint: Checkpoint, name: str) -> None:
    """Raise CheckpointError unless the net computes what its table says."""
    backend, table = backends.load(name), checkpoint.net
    kind = f"{table.name}: this {type(net).__name__}"
    device = backend.device_of(net)
    source = np.random.Generator(np.random.PCG64(0))
    images = source.standard_normal((PROBES, *table.input_shape)).astype(checkpoint.dtype)
    X = backends.put_batch(name, images, device)
    expected = backend.to_numpy(backend.predict(rendered(checkpoint, name, device), X))
    try:
        found = backend.to_numpy(backend.predict(net, X))
    except Exception as error:  # frameworks fail in many ways
        last = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise CheckpointError(
            f"{kind} does not take inputs of {table.input_shape}: {last}"
        ) from None
    if found.shape != expected.shape:
        raise CheckpointError(f"{kind} gives {found.shape[1:]}, not {expected.shape[1:]}")
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    if not difference <= PROBE_TOLERANCE:
        raise CheckpointError(
            f"{kind} has the arrays of {table.name}, but computes something else: "
            f"its logits differ by {difference:.1e} of the largest"
        )


def load(path: str | os.PathLike[str], backend: str = "torch", *, device: Any = None) -> Any:
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
    return rendered(Checkpoint.read(path), backend, device)


def rendered(checkpoint: Checkpoint, backend: str, device: Any = None) -> Any:
    """The checkpoint's net in a framework, with its weights."""
    net = render(checkpoint.net, backend, device, checkpoint.dtype)
    backends.load(backend).set_weights(net, checkpoint.weights)
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

    But for Keras, ``net`` is one of the same layers in a row, as `alexnet.source.source` writes it.

    Parameters
    ----------
    source : a file that `save` or `train_ch6(checkpoint=…)` wrote.
    to : the framework.
    path : of the new file; default: beside the source, with the ending above.

    Returns the path. Raises CheckpointError if the source is not in order or the new file cannot be
    written.
    """
    source, backend = Path(source), backends.load(to)
    path = source.with_suffix(backend.SUFFIX) if path is None else Path(path)
    ending = f".{backend.SUFFIX.rpartition('.')[2]}"
    if path.suffix != ending:
        raise CheckpointError(f"{path}: the name of a file for {to} must end in {ending}")
    if path.resolve() == source.resolve():
        raise CheckpointError(f"{path}: is the checkpoint itself; give the new file another name")
    net = rendered(Checkpoint.read(source), to, backend.cpu())
    try:
        with replacing(path) as new:
            backend.export(net, str(new))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
