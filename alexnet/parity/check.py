"""Parity: compares what each backend computes with the NumPy reference in float64.

In float64, a large difference means that a backend computes something else. In float32, rounding can
also cause a large difference, because frameworks add numbers in different orders. Near a kink (ReLU's
input is almost zero, or two values in a pooling window are almost equal), rounding can select the other
branch and so another gradient. So float32 nets get images away from kinks (`alexnet.parity.kinks`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from alexnet import backends
from alexnet.backends import Backend, BoundNet
from alexnet.backends.nets import render
from alexnet.backends.schedules import Schedule
from alexnet.backends.steps import Steps, check_momentum
from alexnet.errors import RunError
from alexnet.parity.kinks import near_kinks
from alexnet.parity.random_nets import random_net
from alexnet.spec import STATISTICS, BatchNorm, Dropout, Net, ResolvedNet, zoo
from alexnet.spec.weights import Weights, initial_weights

TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
"""The largest accepted difference, relative to the largest entry of a tensor.

float64 needs a tolerance too: frameworks keep some constants in float32 (learning rates, momenta, 1/area).
"""

ZERO = 1e-9  # a tensor with smaller entries, relative to the largest entry of all, is zero
MOST_DRAWS = 1000  # most random draws for one batch

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """The settings of a comparison. Images are normal random numbers; labels are random."""

    steps: int = 20
    batch_size: int = 4
    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"  # of the learning rate: see `alexnet.backends.schedules`
    seed: int = 0
    dtype: str = "float32"
    dropout: bool = False  # True: use masks that NumPy draws; False: set all rates to 0
    device: str = "cpu"  # of the backends; the reference computes on the CPU

    def __post_init__(self) -> None:
        if self.dtype not in TOLERANCE:
            raise RunError(f"dtype must be {' or '.join(TOLERANCE)}, got {self.dtype!r}")
        check_momentum(self.momentum, self.nesterov)


SELF_TEST = Settings(steps=1, batch_size=2, dtype="float32")
"""One training step, enough to show whether a backend works."""


@dataclass(frozen=True)
class Results:
    """What a net computes: logits, loss and gradients before training, and weights after training."""

    logits: np.ndarray
    loss: float
    gradients: Weights
    weights: Weights


@dataclass
class Differences:
    """A backend's largest differences from the reference, each relative to a tensor's largest entry."""

    backend: str
    logits: float = np.nan
    loss: float = np.nan
    gradients: float = np.nan
    weights: float = np.nan
    worst: str = ""  # the tensor with the largest difference
    problem: str = ""  # why the comparison failed

    @property
    def largest(self) -> float:
        """The largest of the four differences; nan if one is nan or if nothing was compared."""
        return float(np.max([self.logits, self.loss, self.gradients, self.weights]))

    def agrees(self, dtype: str) -> bool:
        """Return whether nothing failed and all differences are within the tolerance of ``dtype``."""
        return not self.problem and self.largest <= TOLERANCE[dtype]


def parity(
    model: str | Net, names: Sequence[str], run: Settings = Settings()
) -> Iterator[Differences]:
    """Compare each backend's net with the NumPy reference in float64; yield one result per backend.

    An error in a backend is recorded in its result. Raises SpecError for an unknown net, and RunError
    if no images away from all kinks are found.

    >>> [found.agrees("float32") for found in parity("lenet", ["numpy"], Settings(steps=2))]
    [True]
    """
    net = _resolve(zoo.get(model), run)
    batches = list(_batches(net, run))
    choose = partial(_redraw_near_kinks, net.name, run) if run.dtype == "float32" else None
    exact = replace(run, dtype="float64", device="cpu")
    expected = _compute(backends.REFERENCE, net, exact, batches, choose)
    for name in names:
        try:
            yield _differences(name, _compute(name, net, run, batches), expected)
        except Exception as error:  # frameworks raise many types; compare the other backends anyway
            lines = str(error).strip().splitlines() or [""]
            yield Differences(name, problem=f"{type(error).__name__}: {lines[0]}")


def parity_of_nets(
    nets: Iterable[Net], names: Sequence[str], run: Settings
) -> Iterator[tuple[Net, list[Differences]]]:
    """Compare nets, each with different images and weights. Yield each net with its differences.

    Batches have 1, 2 or 4 examples; at least 2 for a net with batch normalisation. The learning rate is
    1/64. With such powers of two, float32 and float64 represent every constant exactly.
    """
    for number, net in enumerate(nets, run.seed):
        batch_size = 2 ** (number % 3)
        if any(isinstance(layer, BatchNorm) for layer in net.layers):
            batch_size = max(batch_size, 2)  # PyTorch raises an error for the variance of one value
        settings = replace(run, seed=number, batch_size=batch_size, lr=1 / 64)
        yield net, list(parity(net, names, settings))


def worst_of_random(
    count: int, names: Sequence[str], run: Settings, say: Callable[[str], None]
) -> list[Differences]:
    """Run `parity_of_nets` on random nets and return the largest differences of each backend.

    Whenever a backend does not agree on a net, ``say`` is called with a message.
    """
    worst = {name: Differences(name, 0.0, 0.0, 0.0, 0.0) for name in names}
    nets = (random_net(random.Random(f"{run.seed} {number}")) for number in range(count))
    for number, (net, found) in enumerate(parity_of_nets(nets, names, run)):
        for d in found:
            kept = worst[d.backend]
            if not d.agrees(run.dtype):
                problem = d.problem or f"{d.worst} differs by {d.largest:.1e}"
                say(f"net {number}, {d.backend}: {problem}: {net.input_shape} {net.layers}")
                kept.problem = kept.problem or f"net {number}: {problem}"
            elif d.largest > kept.largest:
                worst[d.backend] = replace(
                    d, worst=f"net {number}: {d.worst}", problem=kept.problem
                )
    return list(worst.values())


def backends_to_compare(only: Sequence[str] | None, device: str = "cpu") -> list[str]:
    """Load the backends in ``only``, or all installed ones. Return their names in loading order.

    On a GPU, the reference is left out unless ``only`` names it. One process cannot load all backends in
    every order. Raises BackendError for a backend that is unknown or cannot be loaded.
    """
    names = only or [
        name
        for name in backends.FRAMEWORKS
        if backends.installed(name) and (name != backends.REFERENCE or device == "cpu")
    ]
    for name in names:
        backends.framework(name)
    ordered = [name for name in backends.import_order() if name in names]
    for name in ordered:
        backends.load(name)
    return ordered


def _resolve(net: Net, run: Settings) -> ResolvedNet:
    """Resolve a net. Without ``run.dropout``, set all its dropout rates to 0."""
    layers = (
        replace(layer, rate=0.0) if isinstance(layer, Dropout) and not run.dropout else layer
        for layer in net.layers
    )
    return Net(net.name, net.input_shape, tuple(layers)).resolve()


def _compute(
    name: str,
    table: ResolvedNet,
    run: Settings,
    batches: list[Batch],
    choose: Callable[[Steps, Batch], Batch] | None = None,
) -> Results:
    """Build a net in a backend, set its weights, compute logits, loss and gradients, and train.

    If ``choose`` is given, it may replace each batch before the step; ``batches`` is updated.
    """
    backend = backends.load(name)
    net, steps = _start(table, backend, run)
    for number in range(run.steps):
        steps.draw_masks(run.batch_size)
        if choose is not None:
            with _same_statistics(net):
                batches[number] = choose(steps, batches[number])
        images, labels = batches[number]
        X, y = net.to_tensor(images.astype(run.dtype)), backend.to_tensor(labels, net.device)
        if number == 0:
            logits = np.array(backend.to_numpy(backend.predict(net.native, X)))  # (B, classes)
            with _same_statistics(net), backend.computing_in(steps.native, steps.precision):
                loss, gradients = backend.gradients(steps.native, X, y)
        steps.step(X, y)
    return Results(logits, loss, gradients, backend.get_weights(net.native))


@contextmanager
def _same_statistics(net: BoundNet) -> Iterator[None]:
    """Restore the net's running statistics after the block, which runs the net in training mode."""
    assert net.table is not None
    has_statistics = any(key.endswith(STATISTICS) for key in net.table.parameters)
    before = net.backend.get_weights(net.native) if has_statistics else None
    yield
    if before is not None:
        net.backend.set_weights(net.native, before)


def _start(table: ResolvedNet, backend: Backend, run: Settings) -> tuple[BoundNet, Steps]:
    """Build a net with the start weights. Return it with the object that trains it."""
    net = render(table, backend, backends.resolve_device(backend, run.device), run.dtype)
    weights = _start_weights(table, run.seed)
    weights = {k: w.astype(run.dtype, copy=False) for k, w in weights.items()}
    backend.set_weights(net.native, weights)
    schedule = Schedule(run.schedule, run.lr, 1, run.steps)
    mask_seed = run.seed if run.dropout else None
    return net, Steps(net, schedule, run.momentum, mask_seed, nesterov=run.nesterov)


def _start_weights(net: ResolvedNet, seed: int) -> Weights:
    """Return initial weights. Biases and the arrays of normalisation get random offsets.

    Zero biases would hide mistakes. They would also put units at ReLU's kink: if a feature is the same
    in all images (it may see only padding), batch normalisation outputs exactly its bias.
    """
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    return {
        key: w if w.ndim > 1 else w + rng.random(w.shape, np.float32) / 4 - np.float32(0.125)
        for key, w in initial_weights(net.parameters, seed).items()
    }


def _redraw_near_kinks(name: str, run: Settings, steps: Steps, batch: Batch) -> Batch:
    """Return a batch with pixels redrawn until no unit of the net is close to a kink.

    ``steps`` has a net of the reference, with its weights and masks at the step of this batch.
    """
    X, y = batch
    rng = np.random.Generator(np.random.PCG64([run.seed, 2, steps.number]))
    for _ in range(MOST_DRAWS):
        near = near_kinks(steps.native, X.astype("float64"))  # (B, H, W) or (B,)
        if not near.any():
            return X, y
        X = np.where(near[:, None], rng.standard_normal(X.shape, np.float32), X)
    raise RunError(
        f"{name}: found no images away from all kinks in {MOST_DRAWS} draws; use float64"
    )


def _batches(net: ResolvedNet, run: Settings) -> Iterator[Batch]:
    """Yield one batch per step: images float32 (B, C, H, W) or (B, N), and labels int64 (B,)."""
    rng = np.random.Generator(np.random.PCG64(run.seed))
    for _ in range(run.steps):
        X = rng.standard_normal((run.batch_size, *net.input_shape), np.float32)
        yield X, rng.integers(0, net.output_shape[0], run.batch_size)


def _differences(name: str, found: Results, reference: Results) -> Differences:
    gradients, worst_gradient = _largest_difference(found.gradients, reference.gradients)
    weights, worst_weight = _largest_difference(found.weights, reference.weights)
    return Differences(
        name,
        logits=_largest_difference({"": found.logits}, {"": reference.logits})[0],
        loss=abs(found.loss - reference.loss) / abs(reference.loss),
        gradients=gradients,
        weights=weights,
        worst=f"gradient of {worst_gradient}" if gradients > weights else f"weights {worst_weight}",
    )


def _largest_difference(found: Weights, reference: Weights) -> tuple[float, str]:
    """Return the largest relative difference of a tensor, and the tensor's key.

    A difference is divided by the largest entry of its tensor, but by no less than a thousandth of the
    largest entry of all. A tensor that is zero in the reference holds only rounding errors, such as the
    gradient of a bias before batch normalisation. Its difference is divided by the largest entry of its
    layer.
    """
    if found.keys() != reference.keys():
        raise RunError(f"tensors must be {sorted(reference)}, got {sorted(found)}")
    sizes = {key: _largest_entry(r) for key, r in reference.items()}
    largest = max(sizes.values()) or 1.0
    relative = {}
    for key, r in reference.items():
        if sizes[key] < ZERO * largest:
            layer = key.rpartition(".")[0]
            size = max(sizes[k] for k in sizes if k.rpartition(".")[0] == layer)
        else:
            size = sizes[key]
        relative[key] = _largest_entry(found[key] - r) / max(size, largest / 1000)
    worst = max(relative, key=lambda key: np.nan_to_num(relative[key], nan=np.inf))
    return relative[worst], worst


def _largest_entry(array: np.ndarray) -> float:
    """Return the largest absolute value of an array, without a copy of the array."""
    return float(max(array.max(), -array.min()))
