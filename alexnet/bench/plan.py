"""The plan of a bench: its cases, backends and rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alexnet import backends
from alexnet.backends.precision import PRECISIONS
from alexnet.bench.cases import PARTS, STEPS, Case
from alexnet.data import load_fashion_mnist
from alexnet.errors import RunError
from alexnet.spec import zoo

SWEEPS = ("batch", "size", "threads", "examples")
WORKERS = "workers"  # the sweep of the number of processes, which has an option of its own
DEVICES = ("cpu", "gpu")
TIMEOUT = 600.0  # seconds; a worker that sends no event for so long is stopped

ROUNDS = 3
TURNS = 3  # of the two loops in each round, for nets that are not heavy
STEP_TURNS = {True: 3, False: 9}  # of the two steps, by whether the net is heavy
HEAVY = 50e6  # multiply-accumulates of one image; a net with more takes fewer steps and turns
QUICK_SECONDS = 250.0  # a quick bench starts no round that would end later
GPU_BATCHES = (128, 512)

BATCHES = {True: (8, 32, 128), False: (8, 16, 32, 64, 128, 256)}  # by quick
SHARES_OF_IMAGES = {True: (10, 1), False: (10, 4, 2, 1)}  # all images over these numbers
SWEPT_IMAGES = {True: 96, False: 512}  # in the timed steps of one point of a sweep


@dataclass(frozen=True)
class Plan:
    """The settings of a bench, with every default filled in."""

    cases: tuple[Case, ...]
    names: tuple[str, ...]  # of the backends, in order
    root: str | None = None  # folder of the images; None: the sample
    device: str = "cpu"
    sweep: str | None = None  # one of `SWEEPS`, or `WORKERS`
    rounds: int = ROUNDS  # at most
    fewest: int = ROUNDS  # rounds that run even if they take long
    seconds: float | None = None  # a round that would end later does not start; None: no limit
    parts: tuple[str, ...] = PARTS
    pythons: Mapping[str, str] = field(default_factory=dict)  # default: this interpreter
    timeout: float = TIMEOUT
    named: bool = False  # whether the user named the backends; then a missing one is a failure

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values for JSON."""
        return vars(self) | {
            "cases": [vars(case) for case in self.cases],
            "pythons": dict(self.pythons),
            "names": list(self.names),
            "parts": list(self.parts),
        }


def plan(
    models: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    precisions: Sequence[str] = ("float32",),
    *,
    quick: bool = False,
    sweep: str | None = None,
    batch_size: int | None = None,
    root: str | None = None,
    device: str = "cpu",
    pythons: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    workers: Sequence[int] | None = None,
) -> Plan:
    """Return the settings of a bench, with defaults for the arguments that are None.

    ``models``: default AlexNet and LeNet; on a GPU and in most sweeps only AlexNet; in the sweep of the
    number of images only LeNet, because every point is a whole epoch. ``root``: the folder of the images;
    None: the sample. A GPU trains without NumPy unless it is named. ``workers``: numbers of processes that
    share every batch; then only the steps are measured, in frameworks with an engine for several processes.

    Raises SpecError, BackendError, DataError or RunError for settings that no worker could use.

    >>> [case.title for case in plan(["lenet"], ["numpy"], quick=True).cases]
    ['lenet at 28×28, batches of 256, float32']
    """
    _check(models, names, precisions, sweep, batch_size, device)
    known = [n for n in backends.FRAMEWORKS if n != backends.REFERENCE or device == "cpu"]
    if workers is not None:
        _check_workers(workers, names, sweep, pythons)
        known, sweep = [n for n in known if _has_engine(n)], WORKERS
    if models is None:
        models = ["lenet"] if sweep == "examples" else ["alexnet"]
        models += ["lenet"] if sweep in (None, WORKERS) and device == "cpu" else []
    nets = [zoo.get(model) for model in models]
    source = None if root else "sample"
    train_iter, _ = load_fashion_mnist(1, None, root=root, source=source)
    images = train_iter.num_examples
    cases: list[Case] = []
    for precision in precisions:
        for net in nets:
            size = net.input_shape[1]
            heavy = net.resolve((1, size, size)).macs > HEAVY
            steps = (
                images
                if device == "gpu"
                else (3 if quick else 4)
                if heavy
                else (40 if quick else 120)
            )
            for batch in _batch_sizes(batch_size, heavy, quick, sweep, device):
                turns = 1 if heavy or quick or sweep or device == "gpu" else TURNS
                case = Case(net.name, size, batch, precision, steps, images, turns=turns)
                if workers is not None:
                    cases += _shared(case, workers, heavy, quick)
                else:
                    cases += _points(case, sweep, quick, device) if sweep else [case]
    few = sweep is not None or device == "gpu"
    return Plan(
        tuple(_fitting(case) for case in cases),
        tuple(names or known),
        root,
        device,
        sweep,
        fewest=(1 if few else 2) if quick else ROUNDS,
        seconds=QUICK_SECONDS if quick else None,
        parts=STEPS if workers is not None else ("memory",) if sweep else PARTS,
        pythons=dict(pythons or {}),
        timeout=timeout,
        named=bool(names),
    )


def _check(
    models: Sequence[str] | None,
    names: Sequence[str] | None,
    precisions: Sequence[str],
    sweep: str | None,
    batch_size: int | None,
    device: str,
) -> None:
    for name in names or ():
        backends.framework(name)
    lists = {"models": models or (), "backends": names or (), "precisions": precisions}
    for what, given in lists.items():
        repeated = sorted({name for name in given if list(given).count(name) > 1})
        if repeated:
            raise RunError(f"{what} must be distinct, got {', '.join(repeated)} more than once")
    for precision in precisions:
        _require_known("precision", precision, PRECISIONS)
    if sweep is not None:
        _require_known("sweep", sweep, SWEEPS)
    _require_known("device", device, DEVICES)
    if batch_size is not None and batch_size < 1:
        raise RunError(f"batch_size must be at least 1, got {batch_size}")
    if batch_size is not None and sweep == "batch":
        raise RunError(
            "a sweep of batch sizes chooses them, so --batch-size cannot be used with it"
        )


def _has_engine(name: str) -> bool:
    return backends.framework(name).launch is not None


def _check_workers(
    workers: Sequence[int],
    names: Sequence[str] | None,
    sweep: str | None,
    pythons: Mapping[str, str] | None,
) -> None:
    if not workers or min(workers) < 1 or len(set(workers)) < len(workers):
        given = ",".join(map(str, workers))
        raise RunError(f"workers must be distinct numbers of at least 1, such as 1,2; got {given}")
    for name in names or ():
        if not _has_engine(name):
            title = backends.framework(name).title
            able = ", ".join(filter(_has_engine, backends.FRAMEWORKS))
            raise RunError(
                f"{title} cannot train in several processes; --workers can measure {able}"
            )
    if sweep is not None:
        raise RunError(f"--workers is a sweep by itself, so --sweep {sweep} cannot be used with it")
    if pythons:
        raise RunError(
            "--workers measures frameworks of the Python that runs alexnet, so --python cannot be used "
            f"with it, got {', '.join(pythons)}"
        )


def _require_known(what: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        raise RunError(f"unknown {what} {given!r}; known: {', '.join(known)}")


def _batch_sizes(
    given: int | None, heavy: bool, quick: bool, sweep: str | None, device: str
) -> tuple[int, ...]:
    """Return the batch sizes of a net: the given one, or else those that suit the net and the device."""
    if given is not None:
        return (given,)
    if device == "gpu" and sweep is None:
        return GPU_BATCHES
    if heavy:
        return (32 if quick else 128,)
    return (128 if sweep == "examples" else 256,)  # a tenth of the sample has 500 images


def _shared(case: Case, workers: Sequence[int], heavy: bool, quick: bool) -> list[Case]:
    """Return the cases of one batch that different numbers of processes share."""
    if case.batch_size < max(workers):
        raise RunError(
            f"{case.model}: {max(workers)} processes need batches of at least {max(workers)} images, got "
            f"{case.batch_size}"
        )
    steps = (2 if quick else 1) if heavy else (10 if quick else 20)
    fields = vars(case) | {"steps": steps, "turns": STEP_TURNS[heavy]}
    return [Case(**fields | {"processes": n}) for n in workers]


def _points(case: Case, sweep: str, quick: bool, device: str) -> list[Case]:
    """Return the cases of a sweep: the same case with other values of one variable."""
    fields = vars(case)
    match sweep:
        case "batch":
            values: Sequence[int] = BATCHES[quick]
            return [
                Case(
                    **fields
                    | {"batch_size": n}
                    | ({"steps": max(2, SWEPT_IMAGES[quick] // n)} if device == "cpu" else {})
                )
                for n in values
                if 2 * n <= case.examples
            ]
        case "size":
            least, most = (
                (case.size * 3 // 7, case.size) if case.size > 100 else (case.size, case.size * 4)
            )
            number = 3 if quick else 5
            step = (most - least) // (number - 1)
            return [Case(**fields | {"size": least + i * step}) for i in range(number)]
        case "threads":
            cores = backends.usable_cores()
            values = sorted({cores, *(2**i for i in range(cores.bit_length()) if 2**i <= cores)})
            return [Case(**fields | {"threads": n}) for n in values]
        case _:
            return [
                Case(**fields | {"examples": case.examples // n, "steps": case.examples})
                for n in SHARES_OF_IMAGES[quick]
            ]


def _fitting(case: Case) -> Case:
    """Return a case with no more steps than its images allow. Raises an error for an impossible case."""
    case.net  # noqa: B018  (raises SpecError if the images are too small)
    if 2 * case.batch_size > case.examples:
        raise RunError(
            f"{case.model}: batches of {case.batch_size:,} images need at least "
            f"{2 * case.batch_size:,} training images, got {case.examples:,}"
        )
    steps = min(case.steps, case.examples // case.batch_size - 1)
    return Case(**vars(case) | {"steps": steps})
