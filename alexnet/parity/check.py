"""Same net, same numbers: what each backend computes against the reference in double precision.

In double precision a difference is a difference in what is computed. In single precision it may be
rounding: where a rectifier's input is next to zero, or two values in a pool's window are next to equal,
another order of the same sum takes the other branch, and that unit's gradient is another one. So in
single precision nets are compared on images that stand away from such kinks (`alexnet.parity.kinks`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alexnet import backends
from alexnet.backends.dropout_masks import DropoutMasks
from alexnet.backends.nets import render
from alexnet.errors import RunError
from alexnet.parity.kinks import near_kinks
from alexnet.parity.random_nets import random_net
from alexnet.spec import BatchNorm, Dropout, Net, ResolvedNet, zoo
from alexnet.spec.weights import Weights, initial_weights

TOLERANCE = {"float32": 1e-4, "float64": 1e-6}
"""The largest difference that counts as agreement, over the largest entry of a tensor.

In float64 too the frameworks keep constants in float32: learning rates, momenta, one over an area.
"""

MOST_DRAWS = 1000  # for one batch, before a net is said to be all kinks

Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """How nets are compared. Images are normal random numbers, labels are drawn at random."""

    steps: int = 20
    batch_size: int = 4
    lr: float = 0.01
    seed: int = 0
    dtype: str = "float32"
    dropout: bool = False  # with masks that NumPy draws; otherwise it is left out

    def __post_init__(self) -> None:
        if self.dtype not in TOLERANCE:
            raise RunError(f"dtype must be {' or '.join(TOLERANCE)}, not {self.dtype!r}")


SELF_TEST = Settings(steps=1, batch_size=2, dtype="float32")
"""One step of training, which shows whether a backend works."""


@dataclass(frozen=True)
class Results:
    """What a net computes: logits, loss and gradients before the first step, weights after the last."""

    logits: np.ndarray
    loss: float
    gradients: Weights
    weights: Weights


@dataclass
class Differences:
    """The largest differences of a backend from the reference, each over a tensor's largest entry."""

    backend: str
    logits: float = np.nan
    loss: float = np.nan
    gradients: float = np.nan
    weights: float = np.nan
    worst: str = ""  # the tensor with the largest difference
    problem: str = ""

    @property
    def largest(self) -> float:
        """The largest of them all; nan if one of them is nan, or if nothing was compared."""
        return float(np.max([self.logits, self.loss, self.gradients, self.weights]))

    def agrees(self, dtype: str) -> bool:
        """Whether all are within the tolerance."""
        return not self.problem and self.largest <= TOLERANCE[dtype]


def parity(
    model: str | Net, names: Sequence[str], run: Settings = Settings()
) -> Iterator[Differences]:
    """Compare each backend's net with NumPy's in double precision.

    >>> [found.agrees("float32") for found in parity("lenet", ["numpy"], Settings(steps=2))]
    [True]
    """
    net = _prepared(zoo.get(model), run)
    batches = list(_batches(net, run))
    if run.dtype == "float32":
        batches = _away_from_kinks(net, run, batches)
    expected = _compute(backends.REFERENCE, net, replace(run, dtype="float64"), batches)
    for name in names:
        try:
            yield _differences(name, _compute(name, net, run, batches), expected)
        except Exception as error:  # frameworks fail in many ways; the others are still compared
            lines = str(error).strip().splitlines() or [""]
            yield Differences(name, problem=f"{type(error).__name__}: {lines[0]}")


def parity_of_nets(
    nets: Iterable[Net], names: Sequence[str], run: Settings
) -> Iterator[tuple[Net, list[Differences]]]:
    """Compare nets, each with images and weights of its own; gives each with its differences.

    Batches have one, two or four examples, but not one where a net normalises over the batch. With
    that, and a learning rate of 1/64, every constant is the same number in every precision.
    """
    for number, net in enumerate(nets, run.seed):
        batch_size = 2 ** (number % 3)
        if any(isinstance(layer, BatchNorm) for layer in net.layers):
            batch_size = max(batch_size, 2)  # one value has no variance; PyTorch refuses it
        here = replace(run, seed=number, batch_size=batch_size, lr=1 / 64)
        yield net, list(parity(net, names, here))


def worst_of_random(
    count: int, names: Sequence[str], run: Settings, say: Callable[[str], None]
) -> list[Differences]:
    """`parity_of_nets` of random nets, of which only the largest differences of each backend are kept.

    A net on which a backend does not agree is told to ``say`` as it is found.
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


def backends_to_compare(only: Sequence[str] | None) -> list[str]:
    """These backends, or all that are installed, in an order in which one process can load them.

    Raises BackendError for one that is unknown or cannot be loaded.
    """
    names = only or [name for name in backends.FRAMEWORKS if backends.installed(name)]
    for name in names:
        backends.framework(name)
    ordered = [name for name in backends.import_order() if name in names]
    for name in ordered:
        backends.load(name)
    return ordered


def _prepared(net: Net, run: Settings) -> ResolvedNet:
    layers = (
        replace(layer, rate=0.0) if isinstance(layer, Dropout) and not run.dropout else layer
        for layer in net.layers
    )
    return Net(net.name, net.input_shape, tuple(layers)).resolve()


def _compute(name: str, table: ResolvedNet, run: Settings, batches: Sequence[Batch]) -> Results:
    """Render a net in a backend, give it weights, and have it compute and train."""
    backend = backends.load(name)
    bound = render(table, backend, backend.cpu(), run.dtype, masked=run.dropout)
    masks = DropoutMasks(run.seed) if run.dropout else None
    start = {k: w.astype(run.dtype) for k, w in _start(table, run.seed).items()}
    there = [
        (bound.to_tensor(X.astype(run.dtype)), backend.to_tensor(y, bound.device))
        for X, y in batches
    ]
    net = bound.native
    backend.set_weights(net, start)
    logits = backend.to_numpy(backend.predict(net, there[0][0]))
    if masks is not None:
        masks.fill(bound, 0, run.batch_size)
    loss, gradients = backend.gradients(net, *there[0])
    backend.set_weights(net, start)  # training has moved running statistics
    trainer = backend.Trainer(net, run.lr, 0.0)
    for step, (X, y) in enumerate(there):
        if masks is not None:
            masks.fill(bound, step, run.batch_size)
        trainer.step(X, y)
    return Results(np.array(logits), loss, gradients, backend.get_weights(net))


def _start(net: ResolvedNet, seed: int) -> Weights:
    """Initial weights, with biases and a norm's arrays moved away from zero and one.

    Zeros would hide mistakes, and a feature that is the same in all images (it may see nothing but
    padding) would leave a norm at exactly its bias: at zero, where a rectifier has no derivative.
    """
    source = np.random.Generator(np.random.PCG64([seed, 1]))
    return {
        key: w if w.ndim > 1 else w + source.random(w.shape, np.float32) / 4 - np.float32(0.125)
        for key, w in initial_weights(net.parameters, seed).items()
    }


def _away_from_kinks(net: ResolvedNet, run: Settings, batches: Iterable[Batch]) -> list[Batch]:
    """The batches, but with no pixels on which single precision could take another branch.

    Each is judged by the reference's weights at its own step (see `alexnet.parity.kinks`).
    """
    masks = DropoutMasks(run.seed) if run.dropout else None
    reference = backends.load(backends.REFERENCE)
    bound = render(net, reference, reference.cpu(), "float64", masked=run.dropout)
    reference.set_weights(bound.native, _start(net, run.seed))
    trainer = reference.Trainer(bound.native, run.lr, 0.0)
    source = np.random.Generator(np.random.PCG64([run.seed, 2]))
    chosen = []
    for step, (X, y) in enumerate(batches):
        if masks is not None:
            masks.fill(bound, step, run.batch_size)
        for _ in range(MOST_DRAWS):
            where = near_kinks(bound.native, X.astype("float64"))  # (B, H, W)
            if not where.any():
                break
            X = np.where(where[:, None], source.standard_normal(X.shape, np.float32), X)
        else:
            raise RunError(
                f"{net.name}: no images found that stand away from its kinks; use float64"
            )
        chosen.append((X, y))
        trainer.step(X.astype("float64"), y)
    return chosen


def _batches(net: ResolvedNet, run: Settings) -> Iterator[Batch]:
    """One batch for each step: float32 (B, C, H, W) or (B, N), and int64 (B,)."""
    source = np.random.Generator(np.random.PCG64(run.seed))
    for _ in range(run.steps):
        X = source.standard_normal((run.batch_size, *net.input_shape), np.float32)
        yield X, source.integers(0, net.output_shape[0], run.batch_size)


def _differences(name: str, found: Results, reference: Results) -> Differences:
    gradients, worst_gradient = _largest(found.gradients, reference.gradients)
    weights, worst_weight = _largest(found.weights, reference.weights)
    return Differences(
        name,
        logits=_largest({"": found.logits}, {"": reference.logits})[0],
        loss=abs(found.loss - reference.loss) / abs(reference.loss),
        gradients=gradients,
        weights=weights,
        worst=f"gradient of {worst_gradient}" if gradients > weights else f"weights {worst_weight}",
    )


def _largest(found: Weights, reference: Weights) -> tuple[float, str]:
    """The largest difference of any tensor over its own largest entry, and the tensor's key.

    A tensor that is next to nothing beside the others, such as the gradient of a bias that a
    normalisation takes away again, is measured by a thousandth of the largest.
    """
    if found.keys() != reference.keys():
        raise RunError(f"tensors {sorted(found)} are not {sorted(reference)}")
    largest = max(np.abs(r).max() for r in reference.values()) or 1.0
    relative = {
        key: float(np.abs(found[key] - r).max() / max(np.abs(r).max(), largest / 1000))
        for key, r in reference.items()
    }
    worst = max(relative, key=lambda key: np.nan_to_num(relative[key], nan=np.inf))
    return relative[worst], worst
