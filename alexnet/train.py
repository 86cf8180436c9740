"""Building nets, and the one training loop for all of them."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import replace
from functools import partial
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np

from alexnet import backends, zoo
from alexnet._version import __version__
from alexnet.backends import Backend
from alexnet.backends.interface import Stepper
from alexnet.data import ImageLoader
from alexnet.display import Display, default_display
from alexnet.errors import BackendError, DataError, RunError
from alexnet.history import Epoch, History
from alexnet.spec import Net, Shape
from alexnet.weights import initial_weights, redrawn

Batches = Iterable[tuple[Any, Any]]


NO_BATCHES = "the {} set gives no batches (a generator can be iterated only once)"


def build(
    model: str | Net,
    backend: str = "torch",
    seed: int = 0,
    *,
    input_shape: Shape | None = None,
    device: Any = None,
) -> Any:
    """A net as the framework's own sequential model, with initial weights drawn from a seed.

    What comes back is a plain ``torch.nn.Sequential``, ``mxnet.gluon.nn.HybridSequential``,
    ``keras.Sequential`` or ``paddle.nn.Sequential``: one native layer for each layer of the table
    (Keras: and padding layers). The weights are the same in every framework, bit for bit.

    Parameters
    ----------
    model : a name of `alexnet.zoo`, or a `Net`.
    backend : numpy, torch, mxnet, tensorflow or paddle.
    seed : of the weights (`alexnet.weights.initial_weights`), int of at least 0.
    input_shape : (channels, height, width); default: the one that the net is written for.
    device : as in `train_ch6`; default: where the framework itself puts a new net (TensorFlow and
        Paddle on a GPU where there is one, the others on the CPU).

    Raises SpecError for an unknown model or a shape that does not pass; BackendError for a backend
    that is unknown or not installed.

    >>> net = build("lenet", backend="numpy", seed=0)
    >>> net(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    seed = _seed(seed)
    resolved = zoo.get(model).resolve(input_shape)
    module = backends.load(backend)
    where = module.home() if device is None else backends.resolve_device(module, backend, device)
    net = module.render(resolved, where)
    module.set_weights(net, initial_weights(resolved.parameters, seed))
    return net


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

    Returns
    -------
    History : epochs, steps, speed, settings; the trained net is its ``net``.

    Examples/sec count the exact examples and the wall time of the training loop, with data loading,
    without evaluation and drawing, the device having finished. The first step, in which frameworks
    compile, is left out and stands in ``warmup_seconds``.

    >>> from alexnet import load_fashion_mnist
    >>> data = load_fashion_mnist(64, resize=None, source="sample", subset=(256, 64))
    >>> history = train_ch6("lenet", *data, num_epochs=1, lr=0.5, backend="numpy")  # doctest: +ELLIPSIS
    loss ..., train acc ..., test acc ...
    ... examples/sec on cpu
    """
    check_settings(num_epochs, lr, momentum, seed)
    num_epochs, lr, momentum, seed = int(num_epochs), float(lr), float(momentum), int(seed)
    name, module, model, net, where = _native(net, backend, train_iter, device)
    train_epoch, test_epoch = (epochs_on(it, name, module, where) for it in (train_iter, test_iter))
    first_epoch = train_epoch(0)
    first_batch = next(first_epoch, None)
    if first_batch is None:
        raise DataError(NO_BATCHES.format("training"))
    logits = module.predict(net, first_batch[0][:1])  # lets frameworks infer shapes not yet known
    if len(logits.shape) != 2:
        raise RunError(
            f"{model}: a net must give (batch, classes), this one gives {tuple(logits.shape)}"
        )
    labels = (
        train_iter.labels
        if isinstance(train_iter, ImageLoader)
        else module.to_numpy(first_batch[1])
    )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        worst = labels.max() if labels.min() >= 0 else labels.min()
        raise DataError(
            f"{model}: the training set has label {worst}, the net has {logits.shape[1]} classes"
        )
    if reinit:
        module.set_weights(net, redrawn(module.get_weights(net), seed))
    module.seed(net, seed)

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
    run = Run(module, where, module.Trainer(net, lr, momentum), history)
    run.epochs(
        num_epochs,
        num_batches(train_iter),
        lambda n: train_epoch(n) if n else chain([first_batch], first_epoch),
        lambda n: accuracy(partial(module.predict, net), test_epoch(n)),
        display or default_display(),
    )
    return history


def evaluate(net: Any, data_iter: Batches, device: Any = None) -> float:
    """The share of examples in [0, 1] that a net of any framework classifies rightly.

    >>> from alexnet import load_fashion_mnist
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
    if isinstance(loaders[0], ImageLoader):
        settings["batch_size"] = loaders[0].batch_size
        settings["image_shape"] = list(loaders[0].image_shape)
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

    def epochs(
        self,
        num_epochs: int,
        batches_per_epoch: int | None,
        train: Callable[[int], Iterator[tuple[Any, Any]]],
        test: Callable[[int], float],
        display: Display,
    ) -> None:
        """Train on the n-th epoch's batches, then test, for every n."""
        history = self.history
        display.begin(history, num_epochs * batches_per_epoch if batches_per_epoch else None)
        try:
            for number in range(num_epochs):
                before = history.warmup_seconds + history.timed_seconds
                loss, train_accuracy = self.train_on(train(number), display)
                seconds = history.warmup_seconds + history.timed_seconds - before
                history.epochs.append(Epoch(loss, train_accuracy, test(number), seconds))
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
            history.record_step(len(y), float(loss_sum), int(correct))
            self.backend.synchronize(self.device)
            seconds = time.perf_counter() - clock
            if len(history.steps) == 1:
                history.warmup_seconds = seconds
            else:
                history.timed_examples += len(y)
                history.timed_seconds += seconds
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
        return backend, module, table.name, module.render(resolved, where), where
    if backends.owner(net) is None and callable(net):
        return _native(net(), backend, train_iter, device)
    name, module = backends.backend_of(net)
    if backend not in (None, name):
        raise BackendError(f"backend={backend!r} was given, but the net is one of {name}")
    where = module.place(net, backends.resolve_device(module, name, device))
    return name, module, type(net).__name__, net, where


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


def _seed(seed: object) -> int:
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise RunError(f"seed must be a whole number of at least 0, not {seed!r}")
    return int(seed)


def check_settings(num_epochs: object, lr: object, momentum: object, seed: object) -> None:
    """Raise RunError unless these are values that `train_ch6` takes."""
    check_num_epochs(num_epochs)
    if not isinstance(lr, Real) or not math.isfinite(lr) or lr <= 0:
        raise RunError(f"lr must be a finite number above 0, not {lr!r}")
    if not isinstance(momentum, Real) or not 0 <= float(momentum) < 1:
        raise RunError(f"momentum must be a number of at least 0 and below 1, not {momentum!r}")
    _seed(seed)


def check_num_epochs(num_epochs: object) -> None:
    """Raise RunError unless it is a whole number of at least 1."""
    if (
        not isinstance(num_epochs, int | np.integer)
        or isinstance(num_epochs, bool)
        or num_epochs < 1
    ):
        raise RunError(f"num_epochs must be a whole number of at least 1, not {num_epochs!r}")
