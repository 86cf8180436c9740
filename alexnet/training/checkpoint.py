"""Checkpoints: `save`, `load` and `convert`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from alexnet import backends
from alexnet.atomic import replacing
from alexnet.backends import Backend, BoundNet, table_of
from alexnet.backends.devices import device_for_new_net
from alexnet.backends.nets import render
from alexnet.errors import CheckpointError, WeightsError, last_line
from alexnet.spec import Net, Shape, zoo
from alexnet.spec.weights import match_by_position
from alexnet.training.checkpoint_file import Checkpoint

PROBES = (1.0, 16.0, 256.0)  # sizes of the values in the random images that try a net
PROBE_TOLERANCE = 1e-4  # over the largest logit; what float32 leaves of another order of sums


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
    model; BackendError for what is not a net.

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
        weights = match_by_position(own, table.parameters, table.name)
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    checkpoint = Checkpoint(table, weights)
    checkpoint.check(table.name)
    check_predictions(BoundNet.of(net), checkpoint)
    checkpoint.write(path)


def check_predictions(net: BoundNet, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless the net computes the same as the net of the checkpoint."""
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
