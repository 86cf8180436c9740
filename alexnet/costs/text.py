"""Numbers as text, and the groups of layers that texts and pictures show."""

from __future__ import annotations

from collections.abc import Iterable

from alexnet.costs.layers import LayerCost, Pass

GROUPS = {
    "Conv": "convolutions",
    "Dense": "dense layers",
    "MaxPool": "pooling layers",
    "AvgPool": "pooling layers",
    "GlobalAvgPool": "pooling layers",
    "ReLU": "activation functions",
    "LeakyReLU": "activation functions",
    "Sigmoid": "activation functions",
    "Tanh": "activation functions",
    "BatchNorm": "normalisation layers",
    "LocalResponseNorm": "normalisation layers",
    "Dropout": "dropout layers",
    "Flatten": "reshaping layers",
}
"""The group of each layer class."""

HEAVY = ("convolutions", "dense layers")  # the groups that do multiply-adds
PREFIXES = {1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k", 1.0: "", 1e-3: "m", 1e-6: "µ", 1e-9: "n"}


def amount(value: float, unit: str = "") -> str:
    """Return a number of at least 0 with three digits and the prefix of its unit.

    >>> amount(46_764_746), amount(187_058_984, "B"), amount(0.02, "s"), amount(12, "B"), amount(0)
    ('46.8 M', '187 MB', '20.0 ms', '12 B', '0')
    """
    size = next((s for s in PREFIXES if value >= 0.9995 * s), 1.0)
    exact = size == 1 and isinstance(value, int)
    digits = f"{value:.0f}" if exact else f"{value / size:#.3g}".rstrip(".")
    return f"{digits} {PREFIXES[size]}{unit}".strip()


def ratio(value: float) -> str:
    """Return a number with two digits, or all digits before the point.

    >>> ratio(1329.3), ratio(51.3), ratio(4.63), ratio(0.3556), ratio(0.041)
    ('1,329', '51', '4.6', '0.36', '0.041')
    """
    return f"{value:,.0f}" if value >= 9.95 else f"{value:#.2g}"


def percent(share: float) -> str:
    """Return a share in percent. Below 1 % it has one digit, just below 100 % a decimal.

    >>> percent(0.936), percent(0.0004), percent(0.997), percent(1.0), percent(0.0)
    ('94 %', '0.04 %', '99.7 %', '100 %', '0 %')
    """
    if 0 < share < 0.0095:
        return f"{100 * share:.1g} %"
    return f"{100 * share:.{1 if 0.995 <= share < 1 else 0}f} %"


def listed(words: Iterable[str]) -> str:
    """Return words as an enumeration.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def by_group(layers: Iterable[LayerCost]) -> dict[str, list[LayerCost]]:
    """Return layers by their group, in the order of `GROUPS`."""
    found: dict[str, list[LayerCost]] = {group: [] for group in GROUPS.values()}
    for layer in layers:
        found[GROUPS[layer.kind]].append(layer)
    return {group: members for group, members in found.items() if members}


def total(passes: Iterable[Pass]) -> Pass:
    """Return the sum of passes.

    >>> total([Pass(1, 4), Pass(2, 8)])
    Pass(flop=3, bytes=12)
    """
    several = list(passes)
    return Pass(sum(p.flop for p in several), sum(p.bytes for p in several))
