"""`train_ch6` and `evaluate`, for the nets of all frameworks; the loop is in `alexnet.training.loop`."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np

from alexnet._version import __version__
from alexnet.backends import BoundNet
from alexnet.backends.nets import bind, check_seed
from alexnet.data import ImageLoader
from alexnet.errors import DataError, RunError
from alexnet.spec.weights import reinitialize
from alexnet.training.callbacks import Callback, default_callback
from alexnet.training.history import History
from alexnet.training.loop import NO_BATCHES, Batches, Run, fraction_right, num_batches
from alexnet.training.resume import RunFile, restore


def train_ch6(
    net: Any,
    train_iter: Batches,
    test_iter: Batches,
    num_epochs: int,
    lr: float,
    device: Any = None,
    *,
    backend: str | None = None,
    momentum: float = 0.0,
    seed: int = 0,
    reinit: bool = True,
    callback: Callback | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> History:
    """Train a classifier by SGD on the mean softmax cross-entropy, and evaluate after every epoch.

    As in *Dive into Deep Learning*, section 6.6, but one loop for all frameworks.

    Parameters
    ----------
    net : a net of any framework (its class says which); or a function that returns one; or a name
        of the zoo, or a `Net`, with ``backend=``.
    train_iter, test_iter : from `load_fashion_mnist` or `load_mnist`, as they are; or anything that
        can be iterated more than once for batches (X, y): X in the framework's layout, (B, C, H, W)
        or in TensorFlow (B, H, W, C), and y int labels (B,).
    num_epochs : at least 1.
    lr : learning rate, above 0.
    device : None or ``try_gpu()``: a GPU where there is one; ``"cpu"``, ``"gpu:1"``; or a device of
        the framework. A Keras net stays where it was made.
    momentum : in [0, 1); 0 is plain SGD.
    seed : of the initial weights and of dropout.
    reinit : whether to draw new initial weights (Xavier, zero biases); False keeps the net's.
    callback : what shows the run; default: a live plot in a notebook, a progress bar elsewhere.
    checkpoint : a file (``….safetensors``) that is written before the first step and after every
        epoch. `alexnet.load` makes a net of it in any framework. Only for nets that were made by
        `build` or `load`, or are given by name.
    resume : whether to continue from ``checkpoint``, with the same settings (``num_epochs`` may be
        larger). The interrupted epoch starts again. With the same images and the same dropout the
        run ends as if it had not been interrupted. Another framework may continue it.

    Returns
    -------
    History : epochs, steps, speed, settings; the trained net is its ``net``.

    Examples/sec: the examples over the wall time of the training loop, until the device has finished.
    Data loading counts; evaluation and drawing do not. The first step, in which frameworks compile, is
    left out and stands in ``warmup_seconds``. After ``resume`` only the new part counts.

    Raises CheckpointError for a checkpoint that is damaged or belongs to another run; RunError for bad
    settings, and if the weights are not finite when a checkpoint is to be written.

    >>> from alexnet import load_fashion_mnist
    >>> data = load_fashion_mnist(64, resize=None, source="sample", subset=(256, 64))
    >>> history = train_ch6("lenet", *data, num_epochs=1, lr=0.5, backend="numpy")  # doctest: +ELLIPSIS
    loss ..., train acc ..., test acc ...
    ... examples/sec on cpu
    """
    check_settings(num_epochs, lr, momentum, seed)
    num_epochs, lr, momentum, seed = int(num_epochs), float(lr), float(momentum), int(seed)
    if resume and checkpoint is None:
        raise RunError("resume=True needs checkpoint=, the file to go on from")
    image_shape = train_iter.image_shape if isinstance(train_iter, ImageLoader) else None
    bound = bind(net, backend, device, image_shape)
    module, native = bound.backend, bound.native
    history = new_history(
        bound,
        (train_iter, test_iter),
        num_epochs=num_epochs,
        lr=lr,
        momentum=momentum,
        seed=seed,
        reinit=reinit,
    )
    file = RunFile(checkpoint, bound) if checkpoint is not None else None
    past = file.read_run(history) if file is not None and resume else None
    first = len(history.epochs)
    train_epoch, test_epoch = (epochs_on(it, bound) for it in (train_iter, test_iter))
    # Seed before the first batch: a user's loader may shuffle with the framework's random numbers.
    module.seed(native, _epoch_seed(seed, first))
    first_epoch = train_epoch(first)
    first_batch = next(first_epoch, None)
    if first_batch is None:
        raise DataError(NO_BATCHES.format("training"))
    logits = module.predict(native, first_batch[0][:1])  # lazy layers get their shapes
    _check_classes(history.model, logits, train_iter, module.to_numpy(first_batch[1]))

    if past is None and reinit:
        module.set_weights(native, reinitialize(module.get_weights(native), seed))
    trainer = module.Trainer(native, lr, momentum)
    if past is not None:
        restore(past, bound, trainer)
    write = partial(file.write, bound, trainer) if file is not None else None
    if write is not None and past is None:
        write(history)

    def batches(number: int) -> Iterator[tuple[Any, Any]]:
        if number == first:
            return chain([first_batch], first_epoch)
        module.seed(native, _epoch_seed(seed, number))
        return train_epoch(number)

    callback = callback or default_callback()

    def predict(X: Any) -> Any:
        logits = module.predict(native, X)
        callback.test(history)
        return logits

    Run(bound, trainer, history).epochs(
        num_epochs,
        num_batches(train_iter),
        batches,
        lambda n: fraction_right(predict, test_epoch(n)),
        callback,
        write,
    )
    return history


def _check_classes(model: str, logits: Any, train_iter: Batches, labels: np.ndarray) -> None:
    """Refuse a net whose output is not (B, classes), or which has no class for some label."""
    if len(logits.shape) != 2:
        raise RunError(
            f"{model}: a net must give (batch, classes), this one gives {tuple(logits.shape)}"
        )
    labels = train_iter.labels if isinstance(train_iter, ImageLoader) else labels
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        worst = labels.max() if labels.min() >= 0 else labels.min()
        raise DataError(
            f"{model}: the training set has label {worst}, the net has {logits.shape[1]} classes"
        )


def _epoch_seed(seed: int, number: int) -> int:
    """The seed of the random numbers of an epoch, so that training can resume at any epoch.

    The first epoch takes the seed of the run. So its dropout is the same as in a loop by hand that begins
    with ``torch.manual_seed(seed)``. Other seeds have 31 bits, which every framework takes.
    """
    if number == 0 and seed < 2**31:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def evaluate(net: Any, data_iter: Batches, device: Any = None) -> float:
    """The share of examples in [0, 1] that a net of any framework classifies correctly.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    >>> evaluate(build("lenet", backend="numpy"), test_iter)
    0.1
    """
    bound = BoundNet.on(net, device)
    predict = partial(bound.backend.predict, bound.native)
    return fraction_right(predict, epochs_on(data_iter, bound)(0))


def new_history(net: BoundNet, loaders: tuple[Batches, Batches], **settings: Any) -> History:
    """The history of a run that is about to begin."""
    for prefix, it in zip(("train", "test"), loaders, strict=True):
        if isinstance(it, ImageLoader):
            settings[f"{prefix}_examples"] = it.num_examples
            settings[f"{prefix}_crc32"] = it.checksum()
    if isinstance(loaders[0], ImageLoader):
        settings |= loaders[0].settings()
    name, version = net.backend.ENTRY.name, net.backend.version()
    versions = {
        "alexnet": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        name: version,
    }
    return History(net.name, name, version, str(net.device), settings, versions, net=net.native)


def epochs_on(batches: Batches, net: BoundNet) -> Callable[[int], Iterator[tuple[Any, Any]]]:
    """A function from the number of an epoch to its batches on the net's device.

    Labels become int64 (B,). Some frameworks give them as a column (B, 1), or as smaller integers.
    """
    backend, device = net.backend, net.device
    if isinstance(batches, ImageLoader):
        labels = batches.labels.reshape(-1).astype(np.int64)
        return replace(batches.on(backend.ENTRY.name, device), labels=labels).epoch

    def epoch(number: int) -> Iterator[tuple[Any, Any]]:
        for X, y in batches:
            images = X.astype(np.float32) if isinstance(X, np.ndarray) else X
            labels = backend.to_numpy(backend.to_tensor(y, device)).reshape(-1).astype(np.int64)
            yield backend.to_tensor(images, device), backend.to_tensor(labels, device)

    return epoch


def check_settings(num_epochs: object, lr: object, momentum: object, seed: object) -> None:
    """Raise RunError unless these are values that `train_ch6` takes."""
    check_num_epochs(num_epochs)
    if not isinstance(lr, Real) or not math.isfinite(lr) or lr <= 0:
        raise RunError(f"lr must be a finite number above 0, not {lr!r}")
    if not isinstance(momentum, Real) or not 0 <= float(momentum) < 1:
        raise RunError(f"momentum must be a number of at least 0 and below 1, not {momentum!r}")
    check_seed(seed)


def check_num_epochs(num_epochs: object) -> None:
    """Raise RunError unless it is a whole number of at least 1."""
    if (
        not isinstance(num_epochs, int | np.integer)
        or isinstance(num_epochs, bool)
        or num_epochs < 1
    ):
        raise RunError(f"num_epochs must be a whole number of at least 1, not {num_epochs!r}")
