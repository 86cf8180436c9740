"""`train_ch6` and `evaluate` for nets of all frameworks. `alexnet.training.loop` has the loop."""

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
from alexnet.backends.precision import check_precision, choose_precision
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps, check_momentum
from alexnet.backends.world import ALONE, World
from alexnet.data import ImageLoader
from alexnet.errors import DataError, RunError
from alexnet.spec import Net, Shape
from alexnet.spec.weights import reinitialize
from alexnet.training.callbacks import Callback, Silent, default_callback
from alexnet.training.history import History
from alexnet.training.loop import NO_BATCHES, Batches, Run, fraction_right, num_batches
from alexnet.training.processes import average_statistics, facts_of, require_same_start
from alexnet.training.resume import RunFile, restore_velocity


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
    nesterov: bool = False,
    seed: int = 0,
    schedule: str = "constant",
    shared_dropout: bool = False,
    sync_batch_norm: bool = False,
    precision: str = "float32",
    reinit: bool = True,
    callback: Callback | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> History:
    """Train a classifier by SGD on the mean softmax cross-entropy, and evaluate after every epoch.

    This is `train_ch6` of *Dive into Deep Learning*, section 6.6, with one loop for all frameworks.

    Parameters
    ----------
    net : a net of any framework; or a function that returns such a net; or, with ``backend=``, a name
        of the zoo or a `Net`.
    train_iter, test_iter : the loaders from `load_fashion_mnist` or `load_mnist`; or any iterables of
        batches (X, y) that can be iterated more than once. X has the framework's layout: (B, C, H, W),
        or (B, H, W, C) in TensorFlow. y has integer labels (B,).
    num_epochs : number of epochs, at least 1.
    lr : learning rate, above 0.
    device : None or ``try_gpu()`` (a GPU, or the CPU without a GPU); ``"cpu"``; ``"gpu:1"``; or a device
        object of the framework. A Keras net stays on the device where it was made.
    backend : numpy, torch, mxnet, tensorflow or paddle. Needed for a name or a `Net`.
    momentum : in [0, 1); 0 is plain SGD.
    nesterov : True: Nesterov momentum, v = momentum * v + grad; w -= lr * (grad + momentum * v). Needs a
        momentum above 0. Sutskever, Martens, Dahl and Hinton (2013), in the form that PyTorch uses.
    seed : seed of the initial weights and of dropout, an int of at least 0.
    schedule : ``"constant"``: every step has learning rate ``lr``. ``"one-cycle"``: the learning rate rises
        to ``lr`` during the first tenth of all steps, then falls towards 0 (`alexnet.backends.schedules`).
    shared_dropout : True: NumPy draws the dropout masks from the seed, the epoch, the step and the layer.
        They are the same in every framework. False: the framework draws its own masks, as in the book.
        If True, ``net`` must be a name of the zoo, a `Net`, or a net from `build` or `load`. After
        training, the net uses the framework's own dropout again.
    sync_batch_norm : for several processes. True: the framework's own batch normalisation uses the
        statistics of the whole batch, as in one process. False: it uses those of the rows of its process.
        True needs a GPU in PyTorch and Paddle. Paddle also needs batches that divide evenly. MXNet has no
        such layer.
    precision : ``"float32"``; ``"bfloat16"``, the framework's own mixed precision; ``"tf32"`` (NVIDIA GPU);
        or ``"auto"``, which is bfloat16 where the device computes it faster, else float32
        (`alexnet.backends.precision`). Weights and momentum buffers are always float32, and the evaluation
        always computes in float32.
    reinit : True draws new initial weights (Xavier-uniform, zero biases); False keeps the net's weights.
    callback : a `Callback` that shows the run; default: a live plot in a notebook, else a progress bar.
        ``alexnet.training.callbacks.Silent()`` shows nothing.
    checkpoint : a file (``….safetensors``) that is written before the first step and after every epoch.
        `alexnet.load` can read it into any framework. ``net`` must be a name or a `Net`, or come from
        `build` or `load`.
    resume : True continues the run in ``checkpoint``, with the same settings. With the constant schedule,
        ``num_epochs`` may be larger; one cycle depends on it. An interrupted epoch starts again. With the
        same images and the same dropout, the result is the same as without the interruption. Another
        framework may resume the run.

    Several processes
    -----------------
    The engines of PyTorch (``torchrun``), MXNet (``launch.py``) and Paddle (``paddle.distributed.launch``)
    can start a script in several processes, which train one net together. TensorFlow has no launcher; there
    you start the script yourself, in each process with its own TF_CONFIG. A script for MXNet imports
    ``alexnet`` before ``mxnet``. Each process computes its rows of every batch. The gradients are averaged
    over the examples of the whole batch. So the net is the same as after a run of one process, up to
    rounding, if it has no dropout or shared dropout. The framework's own dropout draws other masks in each
    process. Without ``sync_batch_norm``, batch normalisation uses the rows of its process; its running
    statistics are averaged over the processes before each evaluation. Each process takes its own GPU.
    Process 0 alone calls ``callback`` and writes ``checkpoint``, which every process must be able to read.
    A run may resume with another number of processes.

    Returns
    -------
    History : settings, steps, epochs and speed. Its ``net`` is the trained net.

    Examples/sec is the number of training examples per second of wall time in the training loop. The time
    includes data loading and the device's work. It excludes evaluation, callbacks and the first step,
    because frameworks compile in that step. ``warmup_seconds`` is the time of the first step. After
    ``resume``, the speed is the speed of the new steps. In several processes, the times are those of
    process 0, and all histories have the same numbers.

    Raises
    ------
    RunError : a setting is invalid, the output is not (B, classes), or a weight is not finite when a
        checkpoint is written; or the processes of a run have different settings or images, or a batch has
        fewer examples than there are processes; or ``sync_batch_norm`` is not possible with the framework,
        the device or a batch.
    LostProcessError : another process of the run ended, or did not answer for 300 seconds. The environment
        variable ALEXNET_TIMEOUT sets another time.
    CheckpointError : a checkpoint is damaged or belongs to another run.
    DataError : there are no batches, or a label is not a class of the net.
    BackendError, SpecError : the backend, the device or the net is unknown, or the backend cannot train in
        ``precision`` on the device.

    >>> from alexnet import load_fashion_mnist
    >>> data = load_fashion_mnist(64, resize=None, source="sample", subset=(256, 64))
    >>> history = train_ch6("lenet", *data, num_epochs=1, lr=0.5, backend="numpy")  # doctest: +ELLIPSIS
    loss ..., train acc ..., test acc ...
    ... examples/sec on cpu
    """
    check_settings(num_epochs, lr, momentum, seed, nesterov)
    check_precision(precision)
    num_epochs, lr, momentum, seed = int(num_epochs), float(lr), float(momentum), int(seed)
    rates = Schedule(schedule, lr, num_epochs, _steps_per_epoch(train_iter))
    if resume and checkpoint is None:
        raise RunError("resume=True needs checkpoint=, the file to resume from")
    image_shape = train_iter.image_shape if isinstance(train_iter, ImageLoader) else None
    bound = bind(net, backend, device, image_shape)
    world = World.of(bound)
    native, precision = bound.native, choose_precision(bound.backend, bound.device, precision)
    if shared_dropout and bound.table is None:
        raise RunError(
            f"shared_dropout=True needs the name of a net, or a net from alexnet.build or alexnet.load; "
            f"this {type(native).__name__} was built elsewhere"
        )
    history = new_history(
        bound,
        (train_iter, test_iter),
        num_epochs=num_epochs,
        lr=lr,
        momentum=momentum,
        nesterov=nesterov,
        seed=seed,
        schedule=schedule,
        shared_dropout=shared_dropout,
        precision=precision,
        reinit=reinit,
    )
    if world.size > 1:
        history.settings["processes"] = world.size
        history.settings["sync_batch_norm"] = sync_batch_norm
        world.agree(facts_of(history, bound))
    file = RunFile(checkpoint, bound) if checkpoint is not None else None
    if file is not None and not isinstance(net, str | Net):  # a net that the user may have changed
        file.require_unchanged(bound)
    past = file.read_run(history) if file is not None and resume else None
    first = len(history.epochs)
    train_epoch, test_epoch = (epochs_on(it, bound, world) for it in (train_iter, test_iter))
    # Seed before the first batch: the user's loader may shuffle with the framework's random generator.
    bound.backend.seed(native, _epoch_seed(seed, first))
    first_epoch = train_epoch(first)
    first_batch = next(first_epoch, None)
    if first_batch is None:
        raise DataError(NO_BATCHES.format("training"))
    # Predict one example, (1, classes): checks the output, and lazy layers create their weights.
    logits = bound.backend.predict(native, first_batch[0][:1])
    labels = bound.backend.to_numpy(first_batch[1])
    if len(labels) < world.size:
        raise RunError(
            f"a batch must have at least one example for each process; the first batch has {len(labels)}, "
            f"and there are {world.size} processes"
        )
    check_classes(
        history.model,
        tuple(logits.shape),
        train_iter.labels if isinstance(train_iter, ImageLoader) else labels,
        "training",
    )

    if past is None and reinit:
        bound.backend.set_weights(native, reinitialize(bound.backend.get_weights(native), seed))
    mask_seed = seed if shared_dropout else None
    if past is not None:
        bound.backend.set_weights(native, past.weights)
    has_statistics = world.size > 1 and require_same_start(world, bound, first, labels)
    steps = Steps(
        bound, rates, momentum, mask_seed, first, nesterov, precision, world, sync_batch_norm
    )
    if past is not None:
        restore_velocity(past, steps.trainer)
    write = None
    if file is not None and not world.rank:
        write = partial(file.write, bound, steps.trainer)
    if write is not None and past is None:
        write(history)

    def batches(number: int) -> Iterator[tuple[Any, Any]]:
        steps.start_epoch(number)
        if number == first:
            return with_own_dropout(chain([first_batch], first_epoch), number)
        bound.backend.seed(native, _epoch_seed(seed, number))
        return with_own_dropout(train_epoch(number), number)

    def with_own_dropout(
        epoch: Iterator[tuple[Any, Any]], number: int
    ) -> Iterator[tuple[Any, Any]]:
        # The seed of the epoch has decided the order of the user's loader, the same in every process.
        for index, batch in enumerate(epoch):
            if world.rank and not index:
                bound.backend.seed(native, _epoch_seed(seed, number, world.rank))
            yield batch

    def test(number: int) -> float:
        if has_statistics:
            average_statistics(world, bound)
        return fraction_right(predict, test_epoch(number), seen, world)

    callback = Silent() if world.rank else callback or default_callback()
    predict, seen = partial(bound.backend.predict, native), partial(callback.test, history)
    Run(bound, steps, history, world).epochs(
        num_epochs,
        num_batches(train_iter),
        batches,
        test,
        callback,
        write,
    )
    world.wait()  # until process 0 has written the last checkpoint
    return history


def _steps_per_epoch(batches: Batches) -> int | None:
    """Return the number of batches in a whole epoch, or None if it is unknown.

    A loader that stops early (``max_batches``) still follows the schedule of a whole epoch.
    """
    whole = replace(batches, max_batches=None) if isinstance(batches, ImageLoader) else batches
    return num_batches(whole)


def check_classes(model: str, output: Shape, labels: np.ndarray, part: str) -> None:
    """Raise RunError unless an output is (B, classes), and DataError unless every label is a class.

    ``output``: the shape of the output, with the batch axis. ``part``: training or test, for messages.
    """
    if len(output) != 2:
        raise RunError(f"{model}: the output must have shape (batch, classes), got {output}")
    if labels.min() < 0 or labels.max() >= output[1]:
        worst = labels.max() if labels.min() >= 0 else labels.min()
        raise DataError(
            f"{model}: the {part} set has label {worst}, but the net has {output[1]} classes"
        )


def _epoch_seed(seed: int, number: int, rank: int = 0) -> int:
    """Return the seed of an epoch. Each epoch has its own seed, so training can resume at any epoch.

    The first epoch uses the seed of the run. So its dropout is the same as in a hand-written loop that
    starts with ``torch.manual_seed(seed)``. Other seeds have 31 bits, which every framework accepts. Each
    process of a data-parallel run has its own seed.
    """
    if number == 0 and rank == 0 and seed < 2**31:
        return seed
    entropy = [seed, number, rank] if rank else [seed, number]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] >> 1)


def evaluate(net: Any, data_iter: Batches, device: Any = None) -> float:
    """Return the accuracy of a net of any framework on ``data_iter``, in [0, 1].

    ``data_iter`` and ``device`` are as in `train_ch6`. Raises DataError if there are no batches.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    >>> evaluate(build("lenet", backend="numpy"), test_iter)
    0.1
    """
    bound = BoundNet.on(net, device)
    predict = partial(bound.backend.predict, bound.native)
    return fraction_right(predict, epochs_on(data_iter, bound)(0))


def new_history(net: BoundNet, loaders: tuple[Batches, Batches], **settings: Any) -> History:
    """Return the empty history of a new run, with its settings and versions."""
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


def epochs_on(
    batches: Batches, net: BoundNet, world: World = ALONE
) -> Callable[[int], Iterator[tuple[Any, Any]]]:
    """Return a function that takes an epoch number and returns the batches of that epoch.

    The batches are on the net's device. Labels become int64 (B,), because some loaders give a column (B, 1)
    or smaller integers. In a data-parallel run, X has only the rows of this process (`World.rows`).
    """

    def rows(examples: int) -> slice:
        return world.rows(examples)[0]

    backend, device = net.backend, net.device
    if isinstance(batches, ImageLoader):
        labels = batches.labels.reshape(-1).astype(np.int64)
        loader = replace(batches.on(backend.ENTRY.name, device), labels=labels)
        return partial(loader.epoch, rows=rows)

    def epoch(number: int) -> Iterator[tuple[Any, Any]]:
        for X, y in batches:
            X = X[rows(len(y))] if world.size > 1 else X
            images = X.astype(np.float32) if isinstance(X, np.ndarray) else X
            labels = backend.to_numpy(backend.to_tensor(y, device)).reshape(-1).astype(np.int64)
            yield backend.to_tensor(images, device), backend.to_tensor(labels, device)

    return epoch


def check_settings(
    num_epochs: object, lr: object, momentum: object, seed: object, nesterov: object = False
) -> None:
    """Raise RunError unless `train_ch6` accepts these values."""
    check_num_epochs(num_epochs)
    if not isinstance(lr, Real) or not math.isfinite(lr) or lr <= 0:
        raise RunError(f"lr must be a finite number above 0, got {lr!r}")
    check_momentum(momentum, nesterov)
    check_seed(seed)


def check_num_epochs(num_epochs: object) -> None:
    """Raise RunError unless ``num_epochs`` is a whole number of at least 1."""
    if (
        not isinstance(num_epochs, int | np.integer)
        or isinstance(num_epochs, bool)
        or num_epochs < 1
    ):
        raise RunError(f"num_epochs must be a whole number of at least 1, got {num_epochs!r}")
