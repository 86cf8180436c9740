"""The settings that a sweep can vary: those of a recipe, and those of `alexnet.spec.transform`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from alexnet.backends.precision import PRECISIONS, check_precision
from alexnet.backends.schedules import SCHEDULES, Schedule
from alexnet.backends.steps import check_momentum
from alexnet.errors import AlexNetError, RunError
from alexnet.spec import Net, transform
from alexnet.training.recipes import Recipe

YES, NO = "yes", "no"
LINEAR, LOG, CATEGORY = "linear", "log", "category"  # kinds of axes


@dataclass(frozen=True)
class Setting:
    """One setting of a sweep.

    ``parse`` turns the text of a command line into a value. ``check`` raises an AlexNetError for a value
    that no run could have. ``axis`` is the scale on which a picture shows the values.
    """

    title: str  # what an axis of a picture says
    help: str
    parse: Callable[[str], Any]
    check: Callable[[Any], object]
    axis: str
    of_net: bool = False  # whether it changes the table of layers; else it is a field of the recipe


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RunError(f"{text!r} is not a number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RunError(f"{text!r} is not a whole number") from None


def _yes_or_no(text: str) -> bool:
    if text not in (YES, NO):
        raise RunError(f"{text!r} is neither {YES} nor {NO}")
    return text == YES


def _at_least(least: int, below: float = math.inf) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not whole or not least <= value < below:
            limit = f" and below {below:g}" if below < math.inf else ""
            raise RunError(f"must be a whole number of at least {least}{limit}")

    return check


def _above_zero(value: Any) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise RunError("must be a finite number above 0")


def _true_or_false(value: Any) -> None:
    if not isinstance(value, bool):
        raise RunError("must be True or False")


def _momentum(value: Any) -> None:
    if isinstance(value, bool):
        raise RunError("must be a number of at least 0 and below 1")
    check_momentum(value, False)


def _schedule(value: Any) -> None:
    Schedule(value, lr=1.0, num_epochs=1, steps_per_epoch=1)


def _switch(title: str, text: str) -> Setting:
    return Setting(title, f"{text} {YES} or {NO}.", _yes_or_no, _true_or_false, CATEGORY)


def _of_net(name: str, title: str, axis: str) -> Setting:
    known = transform.SETTINGS[name]
    return Setting(
        title, known.description, known.parse, lambda value: None, axis, of_net=True
    )  # `Net.replace` checks the value, because the check depends on the net


SETTINGS: dict[str, Setting] = {
    "activation": _of_net("activation", "activation", CATEGORY),
    "pool": _of_net("pool", "pooling", CATEGORY),
    "pool_window": _of_net("pool_window", "window and stride of pooling", CATEGORY),
    "dropout": _of_net("dropout", "dropout rate", LINEAR),
    "norm": _of_net("norm", "normalisation of layers", CATEGORY),
    "width": _of_net("width", "width factor", LOG),
    "batch_size": Setting("batch size", "Images in a mini-batch.", _whole, _at_least(1), LOG),
    "lr": Setting("learning rate", "Learning rate, above 0.", _number, _above_zero, LOG),
    "momentum": Setting(
        "momentum", "Momentum of SGD, from 0 to below 1.", _number, _momentum, LINEAR
    ),
    "nesterov": _switch("Nesterov momentum", "Nesterov momentum:"),
    "schedule": Setting(
        "schedule", f"Learning-rate schedule: {', '.join(SCHEDULES)}.", str, _schedule, CATEGORY
    ),
    "num_epochs": Setting(
        "epochs", "Passes over the training images.", _whole, _at_least(1), LINEAR
    ),
    "train_examples": Setting(
        "training images", "Number of training images.", _whole, _at_least(1), LOG
    ),
    "test_examples": Setting("test images", "Number of test images.", _whole, _at_least(1), LOG),
    "precision": Setting(
        "precision",
        f"Precision of training: {', '.join(PRECISIONS)}.",
        str,
        check_precision,
        CATEGORY,
    ),
    "normalize": _switch("normalised pixels", "Normalise the pixels:"),
    "flip": _switch("flips", "Flip training images at random:"),
    "crop": Setting(
        "crop, pixels",
        "Padding in pixels before the training images are cropped at random; 0: no crops.",
        _whole,
        _at_least(0, below=28),
        LINEAR,
    ),
    "resize": Setting(
        "image size, pixels", "Image height and width in pixels.", _whole, _at_least(1), LINEAR
    ),
}
"""Every setting by its name in Python, in the order of names, tables and files."""

OPTIONS = {"num_epochs": "--epochs", "train_examples": "--examples"}
"""The options whose names differ from the setting's."""


def option(name: str) -> str:
    """Return the option of a setting on the command line.

    >>> option("num_epochs"), option("pool_window")
    ('--epochs', '--pool-window')
    """
    return OPTIONS.get(name, f"--{name.replace('_', '-')}")


def parse(name: str, text: str) -> list[Any]:
    """Return the values in the text of an option, such as ``0.1,0.01``. Raises RunError for other text.

    >>> parse("lr", "0.1,0.01"), parse("pool_window", "3/2,2/2"), parse("flip", "yes,no")
    ([0.1, 0.01], [(3, 2), (2, 2)], [True, False])
    """
    values = []
    for part in map(str.strip, text.split(",")):
        if not part:
            raise RunError(f"{option(name)} {text!r}: a value is missing")
        try:
            values.append(SETTINGS[name].parse(part))
        except AlexNetError as error:
            raise RunError(f"{option(name)} {text}: {error}") from None
    return values


def values_of(name: str, given: Any) -> tuple[Any, ...]:
    """Return the values of a setting. A list, a range or an array has several; anything else is one.

    >>> values_of("lr", [1, 0.1]), values_of("pool_window", (3, 2))
    ((1.0, 0.1), ((3, 2),))

    Raises RunError for an unknown setting, for no value, for a value that no run could have, and for a
    value that is given twice.
    """
    if name not in SETTINGS:
        raise RunError(f"unknown setting {name!r}; known settings: {', '.join(SETTINGS)}")
    if hasattr(given, "tolist"):  # an array or a number of NumPy
        given = given.tolist()
    if isinstance(given, tuple | set) and name != "pool_window":
        raise RunError(f"{name} must be one value or a list of values, got {given!r}")
    several = list(given) if isinstance(given, list | range) else [given]
    if not several:
        raise RunError(f"{name} must have at least one value, got {given!r}")
    values = tuple(_plain(name, value) for value in several)
    for value in values:
        try:
            SETTINGS[name].check(value)
        except AlexNetError as error:
            raise RunError(f"{name}={value!r}: {error}") from None
    texts = [text_of(value) for value in values]
    repeated = sorted({text for text in texts if texts.count(text) > 1})
    if repeated:
        raise RunError(f"{name} must have distinct values, got {', '.join(repeated)} twice")
    return values


def _plain(name: str, value: Any) -> Any:
    """Return a value in plain types: a float where the setting is a number that need not be whole."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return tuple(value)
    number = isinstance(value, Real) and not isinstance(value, bool)
    needs_float = SETTINGS[name].parse in (_number, transform.SETTINGS["width"].parse)
    return float(value) if number and needs_float else value


def text_of(value: Any) -> str:
    """Return a value as an option of the command line has it.

    >>> text_of(True), text_of(0.1), text_of((3, 2)), text_of(16)
    ('yes', '0.1', '3/2', '16')
    """
    if isinstance(value, bool):
        return YES if value else NO
    return str(value) if isinstance(value, int) else transform.value_text(value)


def label(settings: Mapping[str, Any]) -> str:
    """Return the name of a combination of settings.

    >>> label({"activation": "relu", "lr": 0.1})
    'activation=relu, lr=0.1'
    """
    return ", ".join(f"{name}={text_of(value)}" for name, value in settings.items())


def applied(net: Net, recipe: Recipe, settings: Mapping[str, Any]) -> tuple[Net, Recipe]:
    """Return a net and a recipe with these settings. Raises SpecError if the net cannot have them."""
    of_net = {name: value for name, value in settings.items() if SETTINGS[name].of_net}
    others = {name: value for name, value in settings.items() if not SETTINGS[name].of_net}
    return net.replace(**of_net), replace(recipe, **others)
