"""Checkpoints of nets: `save`, `load` and `convert`."""

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

PROBE_SCALES = (1.0, 16.0, 256.0)  # standard deviation of the pixels in each random image
PROBE_TOLERANCE = 1e-4  # relative to the largest logit; allows float32 rounding


def save(
    net: Any,
    path: str | os.PathLike[str],
    model: str | Net | None = None,
    *,
    input_shape: Shape | None = None,
) -> None:
    """Write a net of any framework to a file that `load` can read into every framework.

    `save` checks the net before it writes the file. It builds a second net from the table in the same
    framework with the same weights, and compares the logits of both nets on random images. (Building the
    second net draws random numbers from the framework's generator.)

    Parameters
    ----------
    net : a net that `build` or `load` made, or that `train_ch6` trained. With ``model`` it may also be a
        net that you wrote, or a net of another library.
    path : the file to write, usually ``….safetensors``. An existing file is replaced.
    model : a name in `alexnet.spec.zoo`, or a `Net`, that describes a net that alexnet did not build. The
        arrays of ``net`` are matched by position; their names do not matter.
    input_shape : (channels, height, width); default: the input shape in ``model``. Needs ``model``.

    Raises CheckpointError if ``model`` is missing, if the net's arrays or logits do not match ``model``,
    if a weight is not finite, or if the file cannot be written. Raises SpecError for an unknown net,
    and BackendError if ``net`` is not a net.

    >>> import tempfile
    >>> from alexnet import build
    >>> path = Path(tempfile.mkdtemp()) / "lenet.safetensors"
    >>> save(build("lenet", backend="numpy"), path)
    >>> load(path, backend="numpy")(np.ones((1, 1, 28, 28))).shape
    (1, 10)
    """
    backends.backend_of(net)  # raises BackendError if it is not a net
    if model is None and input_shape is not None:
        raise CheckpointError("input_shape= needs model=, the net that the shape is for")
    table = table_of(net) if model is None else zoo.get(model).resolve(input_shape)
    if table is None:
        raise CheckpointError(
            f"this {type(net).__name__} was not built by alexnet, so model= must say which net it is: "
            f"a name ({', '.join(zoo.ZOO)}) or an alexnet.Net"
        )
    try:
        arrays = backends.get_weights(net)
    except WeightsError as error:
        raise CheckpointError(f"{table.name}: {error}") from None
    try:
        weights = match_by_position(arrays, table.parameters, table.name)
    except WeightsError as error:
        raise CheckpointError(str(error)) from None
    checkpoint = Checkpoint(table, weights)
    checkpoint.check(table.name)
    check_predictions(BoundNet.of(net), checkpoint)
    checkpoint.write(path)


def check_predictions(net: BoundNet, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless the net and the checkpoint's net agree on random images."""
    table = checkpoint.net
    kind = f"{table.name}: this {type(net.native).__name__}"
    rng = np.random.Generator(np.random.PCG64(0))
    noise = rng.standard_normal((len(PROBE_SCALES), *table.input_shape))  # (B, C, H, W)
    images = np.stack([x * scale for x, scale in zip(noise, PROBE_SCALES, strict=True)])
    X = net.to_tensor(images.astype(checkpoint.dtype))
    backend = net.backend
    expected = backend.to_numpy(backend.predict(rendered(checkpoint, backend, net.device), X))
    try:
        found = backend.to_numpy(backend.predict(net.native, X))
    except Exception as error:  # frameworks fail in many ways
        raise CheckpointError(
            f"{kind} cannot process inputs of shape {table.input_shape} ({last_line(error)})"
        ) from None
    if found.shape != expected.shape:
        raise CheckpointError(
            f"{kind} must return outputs of shape {expected.shape[1:]}, got {found.shape[1:]}"
        )
    for logits, target in zip(found, expected, strict=True):  # (classes,) each
        largest = np.abs(target[np.isfinite(target)]).max(initial=0.0)
        if not np.allclose(logits, target, rtol=0, atol=PROBE_TOLERANCE * largest, equal_nan=True):
            caveat = backend.ENTRY.caveat
            raise CheckpointError(
                f"{kind} has the arrays of {table.name}, but computes something else"
                f"{f' ({caveat})' if caveat else ''}: on random images its logits differ "
                f"by up to {np.abs(logits - target).max():.1e}; the largest logit is {largest:.1e}"
            )


def load(
    path: str | os.PathLike[str], backend: str = backends.DEFAULT, *, device: Any = None
) -> Any:
    """Return a net from a file that `save` or `train_ch6(checkpoint=…)` wrote, in any framework.

    Parameters
    ----------
    path : the file to read.
    backend : numpy, torch, mxnet, tensorflow or paddle. It may differ from the framework that the net
        was saved from.
    device : as in `build`.

    Raises CheckpointError if the file is missing, damaged or not a checkpoint; BackendError if the
    backend is unknown or not installed, or cannot use the device.
    """
    backends.framework(backend)
    checkpoint, module = Checkpoint.read(path), backends.load(backend)
    return rendered(checkpoint, module, device_for_new_net(module, device))


def rendered(checkpoint: Checkpoint, backend: Backend, device: Any) -> Any:
    """Return the checkpoint's net, built in a framework, with the checkpoint's weights."""
    net = render(checkpoint.net, backend, device, checkpoint.dtype).native
    backend.set_weights(net, checkpoint.weights)
    return net


def convert(
    source: str | os.PathLike[str], to: str, path: str | os.PathLike[str] | None = None
) -> Path:
    """Write a checkpoint in a framework's own file format. The framework reads it without alexnet.

    ====================  ======================  =====================================================
    to                    new file                how to load the file ``p``
    ====================  ======================  =====================================================
    torch                 .torch.safetensors      ``net.load_state_dict(safetensors.torch.load_file(p))``
    mxnet                 .params                 ``net.load_parameters(p)``
    tensorflow            .keras                  ``net = keras.models.load_model(p)``
    paddle                .pdparams               ``net.set_state_dict(paddle.load(p))``
    numpy                 .npz                    ``numpy.load(p)`` (arrays in the neutral layout)
    ====================  ======================  =====================================================

    A ``.keras`` file contains the whole model. For PyTorch, MXNet and Paddle, first make ``net`` with the
    same layers in the same order; ``alexnet show`` prints the code for it.

    Parameters
    ----------
    source : a file that `save` or `train_ch6(checkpoint=…)` wrote.
    to : the framework, by its name in the table.
    path : the new file; default: next to ``source``, with the suffix in the table.

    Returns the path. Raises CheckpointError if ``source`` is missing, damaged or not a checkpoint, or if
    the new file cannot be written; BackendError if the framework is unknown or not installed.
    """
    source, backend = Path(source), backends.load(to)
    path = source.parent / (source.stem + backend.SUFFIX) if path is None else Path(path)
    ending = f".{backend.SUFFIX.rpartition('.')[2]}"
    if path.suffix != ending:
        raise CheckpointError(
            f"{path}: the name of a file for {to} must end in {ending}, got {path.name}"
        )
    if path.resolve() == source.resolve():
        raise CheckpointError(
            f"{path}: is the checkpoint itself; the new file must have another name"
        )
    net = rendered(Checkpoint.read(source), backend, backend.cpu())
    try:
        with replacing(path) as new:
            backend.export(net, str(new))
    except Exception as error:  # frameworks fail in many ways
        why = error.strerror if isinstance(error, OSError) else None
        raise CheckpointError(f"{path}: cannot be written ({why or last_line(error)})") from None
    return path
