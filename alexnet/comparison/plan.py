"""What a comparison will do: which recipe, which images, which backends, which interpreters."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alexnet import backends
from alexnet.data import limits
from alexnet.datasets.files import ENVIRONMENT, find, locate, sample_is_named
from alexnet.datasets.known import FASHION_MNIST
from alexnet.errors import RunError
from alexnet.spec import zoo
from alexnet.training.recipes import Recipe, recipe_for
from alexnet.workers import processes
from alexnet.workers.job import Job

LONGEST_TIMEOUT = 7 * 24 * 3600.0
TIMEOUT = 600.0  # seconds after which a worker that says nothing is given up


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    recipes: Mapping[str, Recipe]  # of each net
    root: str | None  # folder of the images; None: the sample
    names: tuple[str, ...]  # of the backends
    pythons: Mapping[str, str] = field(default_factory=dict)  # interpreters other than this one
    parallel: int = 1  # workers at a time
    timeout: float = TIMEOUT
    named: bool = False  # the backends were, by the user: one that is missing is a failure

    def to_dict(self) -> dict[str, Any]:
        recipes = {model: vars(recipe) for model, recipe in self.recipes.items()}
        return vars(self) | {"recipes": recipes, "pythons": dict(self.pythons)}


def plan(
    models: Sequence[str],
    names: Sequence[str] | None = None,
    full: bool | None = None,
    data: str | None = None,
    device: str | None = None,
    *,
    pythons: Mapping[str, str] | None = None,
    parallel: int = 1,
    timeout: float = TIMEOUT,
    **overrides: Any,
) -> Plan:
    """Fill in what the user left open.

    ``full=None`` means the book's recipe if every framework that is to run and is there sees a GPU,
    else the quick one. NumPy, which would take days, is left out of a full run unless it is named. A
    quick run takes the images that it finds here, else the sample; a full run downloads them. ``data``
    names a folder, or is ``"sample"``. ``overrides`` are fields of every net's recipe.
    """
    models, pythons = [zoo.get(model).name for model in models], dict(pythons or {})
    if not models:
        raise RunError(f"no net is named; nets are {', '.join(zoo.ZOO)}")
    for name in (*(names or ()), *pythons):
        backends.framework(name)
    check_workers(parallel, timeout)
    for what, given in (("nets", models), ("backends", list(names or ()))):
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise RunError(f"{what}: {', '.join(twice)} is named more than once")
    if device is not None and not re.fullmatch(r"cpu|(gpu|cuda|mps)(:\d+)?", device):
        raise RunError(f"unknown device {device!r}; devices are cpu, gpu, gpu:1, …")
    there = [n for n in backends.FRAMEWORKS if n in pythons or backends.installed(n)]
    if full is None:
        here = [n for n in names or there if n != backends.REFERENCE and n in there]
        may_use_gpu = device != "cpu" and bool(here) and backends.gpu_hardware()
        full = may_use_gpu and all(
            _uses_gpu(models[0], name, pythons.get(name, sys.executable)) for name in here
        )
    overrides = {key: v for key, v in overrides.items() if v is not None}
    chosen = tuple(names or (n for n in backends.FRAMEWORKS if n != backends.REFERENCE or not full))
    if not any(name in there for name in chosen if name != backends.REFERENCE):
        overrides["numpy_batches"] = None  # it is alone, and has the time
    recipes = {model: _recipe(model, full, overrides) for model in models}
    return Plan(recipes, _images(data, full), chosen, pythons, parallel, timeout, named=bool(names))


def _recipe(model: str, full: bool, overrides: Mapping[str, Any]) -> Recipe:
    """A net's recipe, with no more examples than ALEXNET_SUBSET allows."""
    recipe = replace(recipe_for(model, full), **overrides)
    train, test = limits((recipe.train_examples, recipe.test_examples))
    return replace(
        recipe,
        train_examples=train or recipe.train_examples,
        test_examples=test or recipe.test_examples,
    )


def _images(data: str | None, full: bool) -> str | None:
    """The folder of the images; None for the sample."""
    if data == "sample" or (data is None and sample_is_named()):
        return None
    if data is not None or full or os.environ.get(ENVIRONMENT):
        return str(locate(FASHION_MNIST, data).absolute())
    found = find(FASHION_MNIST)
    return str(found.absolute()) if found else None


def check_workers(parallel: int, timeout: float) -> None:
    """Raise RunError unless both numbers are in range."""
    if parallel < 1:
        raise RunError(f"parallel must be at least 1, not {parallel}")
    check_timeout(timeout)


def check_timeout(seconds: float) -> None:
    """Raise RunError unless the seconds are in range."""
    if not 0 < seconds <= LONGEST_TIMEOUT:
        raise RunError(
            f"timeout must be above 0 and at most {LONGEST_TIMEOUT:,.0f} seconds, not {seconds:g}"
        )


def interpreters(options: Sequence[str]) -> dict[str, str]:
    """The interpreter of each backend that is to have one of its own.

    An option is ``name=path``, or a TOML file with such lines in a table ``[python]``. Raises
    RunError for anything else, and for a path that is not a program.
    """
    found: dict[str, str] = {}
    for option in options:
        name, equals, path = option.partition("=")
        found |= {name: path} if equals else _interpreters_of(Path(option))
    for name, path in found.items():
        backends.framework(name)
        given = os.path.expanduser(path)  # noqa: PTH111  (pathlib would drop ./, which has a meaning)
        # Made absolute, but not resolved: an environment is known by its link.
        found[name] = str(Path(given).absolute()) if os.sep in given else given
        if shutil.which(found[name]) is None:
            raise RunError(f"--python {name}={path}: there is no program of that name")
    return found


def _interpreters_of(file: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("python")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunError(f"--python {file}: is neither name=path nor a TOML file ({why})") from None
    if not isinstance(table, dict) or not all(isinstance(path, str) for path in table.values()):
        raise RunError(
            f"--python {file}: must have a table [python] with lines such as "
            f'{backends.DEFAULT} = "…"'
        )
    return table


def describe_data(root: str | None) -> str:
    """One line that says where a run's images come from."""
    if root is None:
        return "the sample of Fashion-MNIST in this package (5,000 and 1,000 images)"
    return f"Fashion-MNIST in {root}"


def _uses_gpu(model: str, backend: str, python: str) -> bool:
    job = Job(model, backend, recipe_for(model, False), 0, None, kind="report")
    with closing(processes.run([processes.Task(job, python)], TIMEOUT)) as events:
        return any(event.get("on_gpu") for _, event in events)
