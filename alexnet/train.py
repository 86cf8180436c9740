"""The one training loop for the nets of all frameworks."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import replace
from functools import partial
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np

from alexnet import backends
from alexnet._version import __version__
from alexnet.backends import Backend
from alexnet.backends.interface import Stepper
from alexnet.backends.rendering import check_seed, render, table_of
from alexnet.data import ImageLoader
from alexnet.errors import BackendError, DataError, RunError
from alexnet.spec import Net, zoo
from alexnet.spec.weights import redrawn
from alexnet.training.callbacks import Display, default_display
from alexnet.training.history import Epoch, History
from alexnet.training.resume import RunFile, restore

Batches = Iterable[tuple[Any, Any]]


NO_BATCHES = "the {} set gives no batches (a generator can be iterated only once)"


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
    display: Display | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> History:
    """Train a classifier by SGD on the mean softmax cross-entropy, and evaluate after every epoch.

    As in *Dive into Deep Learning*, section 6.6, but one loop for all frameworks.

    Parameters
    ----------
    net : a net of any framework (which one is seen by looking at it); or a function that returns
        one; or a name of the zoo, or a `Net`, with ``backend=``.
    train_iter, test_iter : from `load_fashion_mnist` or `load_mnist`, as they are; or anything that
        can be iterated again and again for batches (X, y), X in the framework's layout (TensorFlow:
        NHWC), y int labels.
    num_epochs : at least 1.
    lr : learning rate, above 0.
    device : None or ``try_gpu()``: a GPU where there is one; ``"cpu"``, ``"gpu:1"``; or a device of
        the framework. A Keras net stays where it was made.
    momentum : in [0, 1); 0 is plain SGD.
    seed : of the initial weights and of dropout.
    reinit : whether to draw new initial weights (Xavier, zero biases); False goes on with the net's.
    display : what shows the run; default: a live plot in a notebook, a progress bar elsewhere.
    checkpoint : a file (``….safetensors``) that is written before the first step and after every
        epoch, and replaced as a whole. `alexnet.load` makes a net of it in any framework. For nets
        made by `build` or `load`, or given by name.
    resume : whether to go on from ``checkpoint``, with the same settings (``num_epochs`` may be
        more). The broken epoch begins again: with the same images in the same order and the same
        dropout, the run ends as if it had never been broken. Another framework may go on with it.

    Returns
    -------
    History : epochs, steps, speed, settings; the trained net is its ``net``.

    Examples/sec count the exact examples and the wall time of the training loop, with data loading,
    without evaluation and drawing, the device having finished. The first step, in which frameworks
    compile, is left out and stands in ``warmup_seconds``; after ``resume`` they count this part only.

    Raises CheckpointError for a checkpoint that is not in order or is one of another run; RunError for
    bad settings, and where training with a checkpoint arrives at weights that are not finite.

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
    name, module, model, net, where = _native(net, backend, train_iter, device)
    history = new_history(
        (model, net),
        (name, module),
        where,
        (train_iter, test_iter),
        num_epochs=num_epochs,
        lr=lr,
        momentum=momentum,
        seed=seed,
        reinit=reinit,
    )
    file = RunFile(checkpoint, net) if checkpoint is not None else None
    past = file.take_up(history) if file is not None and resume else None
    first = len(history.epochs)
    train_epoch, test_epoch = (epochs_on(it, name, module, where) for it in (train_iter, test_iter))
    # Before the first batch: a loader of the reader's may draw its order from the framework.
    module.seed(net, _epoch_seed(seed, first))
    first_epoch = train_epoch(first)
    first_batch = next(first_epoch, None)
    if first_batch is None:
        raise DataError(NO_BATCHES.format("training"))
    logits = module.predict(net, first_batch[0][:1])  # lets frameworks infer shapes not yet known
    _check_classes(model, logits, train_iter, module.to_numpy(first_batch[1]))

    if past is None and reinit:
        module.set_weights(net, redrawn(module.get_weights(net), seed))
    trainer = module.Trainer(net, lr, momentum)
    if past is not None:
        restore(past, module, net, trainer)
    keep = partial(file.keep, module, trainer) if file is not None else None
    if keep is not None and past is None:
        keep(history)

    def batches(number: int) -> Iterator[tuple[Any, Any]]:
        if number == first:
            return chain([first_batch], first_epoch)
        module.seed(net, _epoch_seed(seed, number))
        return train_epoch(number)

    display = display or default_display()

    def predict(X: Any) -> Any:
        logits = module.predict(net, X)
        display.test(history)
        return logits

    Run(module, where, trainer, history).epochs(
        num_epochs,
        num_batches(train_iter),
        batches,
        lambda n: accuracy(predict, test_epoch(n)),
        display,
        keep,
    )
    return history


def _check_classes(model: str, logits: Any, train_iter: Batches, labels: np.ndarray) -> None:
    """Refuse a net whose answers are no scores (B, classes), or have no score for some label."""
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
    """The seed of what is drawn in an epoch, so that any epoch can be the first after a break.

    The first epoch's is the run's own: dropout is then that of a reader's loop that begins with
    ``torch.manual_seed(seed)``. 31 bits, which every framework takes.
    """
    if number == 0 and seed < 2**31:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def evaluate(net: Any, data_iter: Batches, device: Any = None) -> float:
    """The share of examples in [0, 1] that a net of any framework classifies rightly.

    >>> from alexnet import build, load_fashion_mnist
    >>> _, test_iter = load_fashion_mnist(64, resize=None, source="sample")
    >>> evaluate(build("lenet", backend="numpy"), test_iter)
    0.1
    """
    name, module = backends.backend_of(net)
    where = module.place(net, backends.resolve_device(module, name, device))
    batches = epochs_on(data_iter, name, module, where)(0)
    return accuracy(partial(module.predict, net), batches)


def new_history(
    net: tuple[str, Any],
    backend: tuple[str, Backend],
    device: Any,
    loaders: tuple[Batches, Batches],
    **settings: Any,
) -> History:
    """The history of a run that is about to begin; nets and backends come with their names."""
    for prefix, it in zip(("train", "test"), loaders, strict=True):
        if isinstance(it, ImageLoader):
            settings[f"{prefix}_examples"] = it.num_examples
            settings[f"{prefix}_crc32"] = it.checksum()
    if isinstance(loaders[0], ImageLoader):
        settings |= loaders[0].settings()
    name, module = backend
    version = module.version()
    versions = {
        "alexnet": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        name: version,
    }
    return History(net[0], name, version, str(device), settings, versions, net=net[1])


class Run:
    """The loop over steps and epochs, and its clock."""

    def __init__(self, backend: Backend, device: Any, trainer: Stepper, history: History) -> None:
        self.backend, self.device = backend, device
        self.trainer, self.history = trainer, history
        self.seconds = 0.0  # of training so far

    def epochs(
        self,
        num_epochs: int,
        batches_per_epoch: int | None,
        train: Callable[[int], Iterator[tuple[Any, Any]]],
        test: Callable[[int], float],
        display: Display,
        keep: Callable[[History], None] | None = None,
    ) -> None:
        """Train on the n-th epoch's batches, then test, for every n that the history has not had.

        ``keep`` is told of the history after each.
        """
        history = self.history
        display.begin(history, num_epochs * batches_per_epoch if batches_per_epoch else None)
        try:
            for number in range(len(history.epochs), num_epochs):
                before = self.seconds
                loss, train_accuracy = self.train_on(train(number), display)
                seconds = self.seconds - before
                history.epochs.append(Epoch(loss, train_accuracy, test(number), seconds))
                if keep is not None:
                    keep(history)
                display.epoch(history)
        finally:
            display.end(history)

    def train_on(
        self, batches: Iterator[tuple[Any, Any]], display: Display | None = None
    ) -> tuple[float, float]:
        """Train on these batches. Returns the mean loss and accuracy of their examples."""
        history = self.history
        begun = len(history.steps)
        clock = time.perf_counter()
        for X, y in batches:
            loss_sum, correct = self.trainer.step(X, y)
            self.backend.synchronize(self.device)
            seconds = time.perf_counter() - clock
            history.record_step(len(y), float(loss_sum), int(correct), seconds)
            if not self.seconds:  # the first step here; of an earlier part the speed is not known
                history.warmup_seconds = seconds
                history.timed_examples, history.timed_seconds = 0, 0.0
            else:
                history.timed_examples += len(y)
                history.timed_seconds += seconds
            self.seconds += seconds
            if display is not None:
                display.step(history)
            clock = time.perf_counter()
        steps = history.steps[begun:]
        if not steps:
            raise DataError(NO_BATCHES.format("training"))
        examples = sum(s["examples"] for s in steps)
        loss, right = (sum(s[k] * s["examples"] for s in steps) for k in ("loss", "accuracy"))
        return loss / examples, right / examples


def num_batches(batches: Batches) -> int | None:
    """The batches in an epoch, None where that is not known."""
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a tf.data.Dataset that cannot tell
        return None


def accuracy(predict: Callable[[Any], Any], batches: Batches) -> float:
    """The share in [0, 1] of the examples whose largest logit is their label's."""
    right = total = 0
    for X, y in batches:
        logits, labels = (backends.to_numpy(t) for t in (predict(X), y))
        right += int((logits.argmax(axis=1) == labels.reshape(-1)).sum())
        total += len(labels)
    if not total:
        raise DataError(NO_BATCHES.format("test"))
    return right / total


def _native(
    net: Any, backend: str | None, train_iter: Batches, device: Any
) -> tuple[str, Backend, str, Any, Any]:
    """The backend, the model's name, the framework's net and device for what the user gave."""
    if isinstance(net, str | Net):
        table = zoo.get(net)
        if backend is None:
            raise BackendError(
                f"{table.name} is the name of a table, so say which framework is to train it: "
                f"backend={' or '.join(repr(n) for n in backends.FRAMEWORKS)}"
            )
        shape = train_iter.image_shape if isinstance(train_iter, ImageLoader) else None
        resolved = table.resolve(shape)
        module = backends.load(backend)
        where = backends.resolve_device(module, backend, device)
        return backend, module, table.name, render(resolved, backend, where), where
    if backends.owner(net) is None and callable(net):
        return _native(net(), backend, train_iter, device)
    name, module = backends.backend_of(net)
    if backend not in (None, name):
        raise BackendError(f"backend={backend!r} was given, but the net is one of {name}")
    where = module.place(net, backends.resolve_device(module, name, device))
    known = table_of(net)
    return name, module, known.name if known else type(net).__name__, net, where


def epochs_on(
    batches: Batches, name: str, backend: Backend, device: Any
) -> Callable[[int], Iterator[tuple[Any, Any]]]:
    """A function that gives the n-th epoch's batches on the device.

    Labels are int64 (B,) there; frameworks have them as a column, or as smaller integers, too.
    """
    if isinstance(batches, ImageLoader):
        labels = batches.labels.reshape(-1).astype(np.int64)
        return replace(batches.on(name, device), labels=labels).epoch

    def epoch(number: int) -> Iterator[tuple[Any, Any]]:
        for X, y in batches:
            images = X.astype(np.float32) if isinstance(X, np.ndarray) else X
            labels = backend.to_numpy(backend.put(y, device)).reshape(-1).astype(np.int64)
            yield backend.put(images, device), backend.put(labels, device)

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
