"""The plan of a comparison: recipes, images, backends and interpreters."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.data import SUBSET, example_limits
from alexnet.datasets.files import ENVIRONMENT, find, locate, sample_is_named
from alexnet.datasets.known import FASHION_MNIST, SAMPLE_EXAMPLES
from alexnet.errors import BackendError, RunError
from alexnet.spec import Net, zoo
from alexnet.training.recipes import Recipe, recipe_for
from alexnet.workers import processes
from alexnet.workers.job import Job

FILE_NAME = re.compile(r"[\w ,=+.-]+")  # characters that every system takes in the name of a file
LONGEST_TIMEOUT = 7 * 24 * 3600.0  # seconds
TIMEOUT = 600.0  # seconds; a worker that sends no event for so long is stopped


@dataclass(frozen=True)
class Plan:
    """The settings of a run, with every default filled in."""

    recipes: Mapping[str, Recipe]  # by net name
    root: str | None  # folder of the images; None: the sample
    names: tuple[str, ...]  # of the backends, in order
    pythons: Mapping[str, str] = field(
        default_factory=dict
    )  # by backend; default: this interpreter
    parallel: int = 1  # number of rows that are filled at the same time
    workers: int = 1  # processes that train each net together, in a backend that has an engine
    timeout: float = TIMEOUT
    seeds: int = 1  # how often each net trains in each backend, each time with the next seed
    shared_dropout: bool = True  # whether all backends get the same dropout masks
    named: bool = False  # whether the user named the backends; then a missing one is a failure
    nets: Mapping[str, Net] = field(default_factory=dict)  # those outside the zoo, by name

    def net(self, model: str) -> Net:
        """Return the net with this name, at its own input shape."""
        return zoo.get(self.nets.get(model, model))

    def processes(self, name: str) -> int:
        """Return how many processes train a net in a backend: one if alexnet cannot start its engine."""
        return self.workers if backends.framework(name).launch is not None else 1

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values for JSON."""
        return vars(self) | {
            "recipes": {model: vars(recipe) for model, recipe in self.recipes.items()},
            "pythons": dict(self.pythons),
            "nets": {name: net.to_dict() for name, net in self.nets.items()},
        }


def plan(
    models: Sequence[str | Net],
    names: Sequence[str] | None = None,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    *,
    pythons: Mapping[str, str] | None = None,
    parallel: int = 1,
    workers: int = 1,
    timeout: float = TIMEOUT,
    seeds: int = 1,
    shared_dropout: bool = True,
    **overrides: Any,
) -> Plan:
    """Return the settings of a run, with defaults for the arguments that are None.

    ``full=None`` chooses the book's recipe if every framework that runs and is installed sees a GPU.
    Otherwise it chooses the quick recipe. A full run leaves NumPy out unless ``names`` contains it:
    NumPy would take days. A full run downloads missing images; a quick run uses the sample instead.
    ``data`` is a folder or ``"sample"``. ``overrides`` are fields for the recipe of every net.

    Raises MissingBackendError if a backend in ``names`` is not installed and has no other interpreter, and
    BackendError if ``workers`` is above 1 and no backend in ``names`` has an engine.
    """
    nets, pythons = [zoo.get(model) for model in models], dict(pythons or {})
    if not nets:
        raise RunError(f"models must name at least one net; known nets: {', '.join(zoo.ZOO)}")
    check_distinct("models", [net.name for net in nets])
    own = {net.name: net for net in nets if zoo.ZOO.get(net.name) != net}
    for net in own.values():
        _check_own(net)
    check_distinct("backends", names or ())
    for name in (*(names or ()), *pythons):
        backends.framework(name)
    for name in names or ():
        if name not in pythons:
            backends.require_installed(name)
    check_workers(parallel, timeout, seeds, workers)
    check_device(device, workers)
    installed = [n for n in backends.FRAMEWORKS if n in pythons or backends.installed(n)]
    if full is None:
        full = all_use_gpus(nets[0], names or installed, device, pythons)
    overrides = {key: v for key, v in overrides.items() if v is not None}
    chosen = tuple(names or (n for n in backends.FRAMEWORKS if n != backends.REFERENCE or not full))
    if not any(name in installed for name in chosen if name != backends.REFERENCE):
        overrides["numpy_batches"] = None  # only NumPy runs, so it trains on all batches
    root = images(data, full)
    recipes = {net.name: recipe_here(net, full, root, overrides) for net in nets}
    _check_processes(workers, chosen, recipes)
    return Plan(
        recipes,
        root,
        chosen,
        pythons,
        int(parallel),
        int(workers),
        float(timeout),
        int(seeds),
        shared_dropout,
        named=bool(names),
        nets=own,
    )


def _check_own(net: Net) -> None:
    """Raise an AlexNetError unless workers can get this net, and files can have its name."""
    net.to_dict()
    if net.name in zoo.ZOO:
        raise RunError(f"{net.name}: a net of the zoo has this name; give your net another name")
    if not FILE_NAME.fullmatch(net.name):
        raise RunError(
            f"{net.name!r}: the files of a run have the net's name, so it can only have letters, digits, "
            "spaces and , = + . _ -"
        )


def recipe_here(
    model: str | Net, full: bool, root: str | None, overrides: Mapping[str, Any]
) -> Recipe:
    """Return a net's recipe, with no more examples than the sample has and ALEXNET_SUBSET allows."""
    recipe = replace(recipe_for(model, full), **overrides)
    train, test = example_limits((recipe.train_examples, recipe.test_examples))
    recipe = replace(
        recipe,
        train_examples=train or recipe.train_examples,
        test_examples=test or recipe.test_examples,
    )
    if root is not None:
        return recipe
    train, test = SAMPLE_EXAMPLES
    return replace(
        recipe,
        train_examples=min(train, recipe.train_examples),
        test_examples=min(test, recipe.test_examples),
    )


def images(data: str | None, full: bool) -> str | None:
    """Return the folder of the images, or None for the sample."""
    if data == "sample" or (data is None and sample_is_named()):
        return None
    if data is not None or full or os.environ.get(ENVIRONMENT):
        return str(locate(FASHION_MNIST, data, "--data or data=").absolute())
    found = find(FASHION_MNIST)
    return str(found.absolute()) if found else None


def check_distinct(what: str, given: Sequence[str]) -> None:
    """Raise RunError if a text is given more than once, or one text in place of a list."""
    if isinstance(given, str):
        raise RunError(f"{what} must be a list of names, got {given!r}")
    repeated = sorted({text for text in given if list(given).count(text) > 1})
    if repeated:
        raise RunError(f"{what} must be distinct, got {', '.join(repeated)} more than once")


def check_device(device: str | None, workers: int = 1) -> None:
    """Raise RunError unless the device is None or has a known name, and is enough for so many processes."""
    if device is not None and not re.fullmatch(r"cpu|(gpu|cuda|mps)(:\d+)?", str(device)):
        raise RunError(f"unknown device {device!r}; known devices: cpu, gpu, gpu:1, …")
    if workers > 1 and ":" in str(device):
        raise RunError(f"{workers} processes need {workers} GPUs, but {device} is one; use gpu")


def check_workers(parallel: int, timeout: float, seeds: int, workers: int = 1) -> None:
    """Raise RunError unless ``parallel``, ``seeds`` and ``workers`` are whole numbers of at least 1.

    ``parallel`` and ``workers`` must not both be above 1. The timeout must be in its range.
    """
    for name, number in (("parallel", parallel), ("seeds", seeds), ("workers", workers)):
        if not isinstance(number, Integral) or isinstance(number, bool):
            raise RunError(f"{name} must be a whole number, got {number!r}")
        if number < 1:
            raise RunError(f"{name} must be at least 1, got {number}")
    if parallel > 1 and workers > 1:
        raise RunError(
            f"parallel {parallel} and workers {workers} cannot both be above 1, because the processes of "
            "one net already share the machine"
        )
    check_timeout(timeout)


def _check_processes(workers: int, names: Sequence[str], recipes: Mapping[str, Recipe]) -> None:
    """Raise an AlexNetError if several processes cannot train any of the nets together."""
    if workers == 1:
        return
    entries = [backends.framework(name) for name in names]
    if all(entry.launch is None for entry in entries):
        from alexnet.workers.parallel import no_launcher  # needs psutil, which a worker may lack

        raise BackendError(no_launcher(" and ".join(entry.title for entry in entries)))
    for model, recipe in recipes.items():
        batch = min(recipe.batch_size, recipe.train_examples)
        if batch < workers:
            raise RunError(
                f"{model}: a batch must have at least one example for each process, got batches of {batch} "
                f"for {workers} processes"
            )


def check_timeout(seconds: float) -> None:
    """Raise RunError unless the timeout is above 0 and at most LONGEST_TIMEOUT."""
    if not isinstance(seconds, Real):
        raise RunError(f"timeout must be a number of seconds, got {seconds!r}")
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise RunError(
            f"timeout must be above 0 and at most {LONGEST_TIMEOUT:,.0f} seconds, got {seconds:g}"
        )


def interpreters(options: Sequence[str]) -> dict[str, str]:
    """Return the interpreters that the options give, by backend.

    An option is ``name=path``, or a TOML file with lines ``name = "path"`` in a table ``[python]``.
    Raises RunError for any other option and for a path that is not a program, and BackendError for an
    unknown backend.
    """
    found: dict[str, str] = {}
    for option in options:
        name, equals, path = option.partition("=")
        found |= {name: path} if equals else _interpreters_of(Path(option))
    for name, path in found.items():
        backends.framework(name)
        given = os.path.expanduser(path)  # noqa: PTH111  (pathlib would turn ./python into python)
        # Absolute, but not resolved: Python finds a virtual environment by the link inside it.
        found[name] = str(Path(given).absolute()) if os.sep in given else given
        if shutil.which(found[name]) is None:
            raise RunError(f"--python {name}={path}: is not an executable program")
    return found


def _interpreters_of(file: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("python")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"--python {file}: must be name=path or a TOML file ({why})") from None
    if not isinstance(table, dict) or not all(isinstance(path, str) for path in table.values()):
        raise RunError(
            f"--python {file}: must have a table [python] with lines such as "
            f'{backends.DEFAULT} = "…"'
        )
    return table


def describe_data(root: str | None) -> str:
    """Return one line that names the source of a run's images."""
    if root is None:
        train, test = SAMPLE_EXAMPLES
        return f"the Fashion-MNIST sample in this package ({train:,} training and {test:,} test images)"
    return f"Fashion-MNIST in {root}"


def images_line(root: str | None) -> str:
    """Return the first line of a command: the source of the images, and the limit of ALEXNET_SUBSET."""
    train, test = example_limits(None)
    limit = f", at most {train:,} training and {test:,} test images ({SUBSET})" if train else ""
    return f"Images: {describe_data(root)}{limit}"


def all_use_gpus(
    model: str | Net, names: Sequence[str], device: str | None, pythons: Mapping[str, str]
) -> bool:
    """Return whether every framework in ``names`` that is installed would run on a GPU."""
    usable = [
        name
        for name in names
        if name != backends.REFERENCE and (name in pythons or backends.installed(name))
    ]
    if device == "cpu" or not usable or not backends.gpu_hardware():
        return False
    return all(_uses_gpu(model, name, pythons.get(name, sys.executable)) for name in usable)


def _uses_gpu(model: str | Net, backend: str, python: str) -> bool:
    """Return whether a worker with this backend and interpreter would run on a GPU."""
    job = Job(model, backend, recipe_for(model, False), 0, None, kind="report")
    with closing(processes.run([processes.Task(job, python)], TIMEOUT)) as events:
        return any(event.get("on_gpu") for _, event in events)
