"""What the file of each framework offers, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Protocol

from alexnet.spec import ResolvedLayer, ResolvedNet


@dataclass(frozen=True)
class Helper:
    """A layer that a framework does not have, spelled out as a class."""

    name: str
    code: str


class Column(Protocol):
    """How the source of one framework is written."""

    HELPERS: tuple[Helper, ...]

    def calls(self, row: ResolvedLayer) -> list[str]:
        """The expressions that make a row's layer, after those of a padding that it needs."""

    def imports(self, net: ResolvedNet, helpers: Sequence[Helper]) -> str:
        """The head of the program."""

    def program(self, net: ResolvedNet, lines: list[str]) -> str:
        """The net, whose layers are these lines."""


def call(name: str, *positional: object, **named: object) -> str:
    """An expression; arguments that are None are left out.

    >>> print(call("layers.Conv2D", 96, kernel_size=11, padding="same", groups=None))
    layers.Conv2D(96, kernel_size=11, padding="same")
    """
    options = (f"{k}={_literal(v)}" for k, v in named.items() if v is not None)
    return f"{name}({', '.join([*map(_literal, positional), *options])})"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def unless(default: object, value: object) -> object:
    """None, which `call` leaves out, for a framework's own default."""
    return None if value == default else value


def block(opening: str, lines: list[str], closing: str) -> str:
    """Lines, indented, between an opening and a closing one."""
    return "\n".join([opening, *(indent(line, "    ") for line in lines), closing])


def decimal(value: float) -> float:
    """A product as one would write it.

    >>> 3 * 0.1, decimal(3 * 0.1)
    (0.30000000000000004, 0.3)
    """
    return float(f"{value:.12g}")
