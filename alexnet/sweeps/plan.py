"""The plan of a sweep: a net, its recipe, the values of its settings, backends and seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from alexnet import backends
from alexnet.backends.nets import check_seed
from alexnet.comparison.plan import (
    TIMEOUT,
    all_use_gpus,
    check_device,
    check_distinct,
    check_workers,
    images,
    recipe_here,
)
from alexnet.comparison.results import check_recipe
from alexnet.comparison.rows import Row
from alexnet.data import load_fashion_mnist
from alexnet.errors import AlexNetError, RunError
from alexnet.spec import Net, ResolvedNet, zoo
from alexnet.sweeps.settings import SETTINGS, applied, label, values_of
from alexnet.training.recipes import Recipe, net_for

MOST_RUNS = 10_000


@dataclass(frozen=True)
class Combination:
    """One value for each setting of a sweep, with the net and the recipe that have these values."""

    settings: Mapping[str, Any]
    net: Net
    recipe: Recipe

    @property
    def label(self) -> str:
        """The settings in a few words, which name the runs."""
        return label(self.settings)

    @cached_property
    def table(self) -> ResolvedNet:
        """The net at the size of its images. Raises SpecError if the images are too small."""
        return net_for(self.net, self.recipe)


@dataclass(frozen=True)
class Plan:
    """The settings of a sweep, with every default filled in."""

    net: Net  # before it gets the settings
    recipe: Recipe  # before it gets the settings
    settings: Mapping[str, tuple[Any, ...]]  # the values of each, by name
    names: tuple[str, ...]  # of the backends, in order
    root: str | None  # folder of the images; None: the sample
    images: str  # the checksum of the images
    full: bool  # whether the recipe is the book's
    seed: int = 0
    seeds: int = 1  # number of seeds; each combination trains with ``seed``, ``seed + 1``, …
    device: str | None = None
    shared_dropout: bool = True
    pythons: Mapping[str, str] = field(default_factory=dict)  # default: this interpreter
    parallel: int = 1  # number of workers that run at the same time
    timeout: float = TIMEOUT

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values for JSON."""
        return vars(self) | {
            "net": self.net.to_dict(),
            "recipe": vars(self.recipe),
            "settings": {name: list(values) for name, values in self.settings.items()},
            "names": list(self.names),
            "pythons": dict(self.pythons),
        }

    @property
    def swept(self) -> list[str]:
        """The settings that have several values."""
        return [name for name, values in self.settings.items() if len(values) > 1]

    def combinations(self) -> list[Combination]:
        """Return every combination of the values."""
        found = []
        for values in itertools.product(*self.settings.values()):
            settings = dict(zip(self.settings, values, strict=True))
            found.append(Combination(settings, *applied(self.net, self.recipe, settings)))
        return found

    def rows(self) -> list[Row]:
        """Return the rows of the runs without results: all combinations with the first seed come first."""
        labels = [combination.label for combination in self.combinations()]
        seeds = range(self.seed, self.seed + self.seeds)
        return [Row(text, name, s) for s in seeds for text in labels for name in self.names]


def plan(
    model: str | Net,
    settings: Mapping[str, Any],
    names: Sequence[str] | None = None,
    *,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    seed: int = 0,
    seeds: int = 1,
    shared_dropout: bool = True,
    pythons: Mapping[str, str] | None = None,
    parallel: int = 1,
    timeout: float = TIMEOUT,
) -> Plan:
    """Return the plan of a sweep, with defaults for the arguments that are None.

    ``settings``: values by name, see `alexnet.sweeps.settings.SETTINGS`. ``names``: backends; default: the
    default backend if it is installed, else the reference. Every run trains on all its batches, on NumPy
    too. The other arguments are those of `alexnet.compare`.

    Raises SpecError, BackendError, DataError or RunError for settings that no worker could use. The
    message names the impossible combination.

    >>> found = plan("lenet", {"lr": [0.1, 0.5], "width": 0.5}, ["numpy"], data="sample")
    >>> [combination.label for combination in found.combinations()]
    ['width=0.5, lr=0.1', 'width=0.5, lr=0.5']
    >>> [row.name for row in found.rows()][0]
    'width=0.5, lr=0.1-numpy-seed0'
    """
    net, pythons = zoo.get(model), dict(pythons or {})
    net.to_dict()  # raises SpecError for a layer that a worker cannot get
    check_distinct("backends", names or ())
    default = backends.DEFAULT
    usable = default in pythons or backends.installed(default)
    chosen = tuple(names or [default if usable else backends.REFERENCE])
    for name in (*chosen, *pythons):
        backends.framework(name)
    check_workers(parallel, timeout, seeds)
    check_device(device)
    given = {name: values_of(name, values) for name, values in settings.items()}
    if not given:
        raise RunError(
            "a sweep needs at least one setting, such as --lr 0.01,0.1; "
            f"known settings: {', '.join(SETTINGS)}"
        )
    if full is None:
        full = all_use_gpus(net, chosen, device, pythons)
    root = images(data, full)
    planned = Plan(
        net,
        replace(recipe_here(net, full, root, {}), numpy_batches=None),
        {name: given[name] for name in SETTINGS if name in given},
        chosen,
        root,
        checksum(root),
        full,
        check_seed(seed),
        int(seeds),
        device,
        shared_dropout,
        pythons,
        int(parallel),
        float(timeout),
    )
    check(planned)
    return planned


def check(plan: Plan) -> None:
    """Raise an error unless every run of the plan is possible. It names the combination that is not."""
    for name, most in _available(plan.root).items():
        for value in plan.settings.get(name, ()):
            if value > most:
                what = SETTINGS[name].title
                raise RunError(f"{name}={value}: there are only {most:,} {what} in these data")
    number = len(plan.names) * plan.seeds
    for values in plan.settings.values():
        number *= len(values)
    if number > MOST_RUNS:
        raise RunError(f"a sweep can have at most {MOST_RUNS:,} runs, got {number:,}")
    for values in itertools.product(*plan.settings.values()):
        settings = dict(zip(plan.settings, values, strict=True))
        net, recipe = applied(plan.net, plan.recipe, settings)  # its error names the setting
        try:
            net_for(net, recipe)
            check_recipe(recipe, plan.seed)
        except AlexNetError as error:
            raise type(error)(f"{label(settings)}: {error}") from None


def checksum(root: str | None) -> str:
    """Return the checksum of the training and test images that a run would get here."""
    return "-".join(loader.checksum() for loader in _loaders(root))


def _available(root: str | None) -> dict[str, int]:
    """Return the largest numbers of examples, by the name of their setting."""
    train_iter, test_iter = _loaders(root)
    return {"train_examples": train_iter.num_examples, "test_examples": test_iter.num_examples}


def _loaders(root: str | None) -> Any:
    return load_fashion_mnist(1, None, root=root, source=None if root else "sample")
