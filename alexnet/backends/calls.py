"""Calls that make layers. `alexnet show` prints them; `alexnet.build` evaluates them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any


@dataclass(frozen=True, init=False)
class Call:
    """The call of a class, such as ``nn.Dropout(p=0.5)``, which can be printed and evaluated.

    Named arguments that are None are left out, so that the framework's default applies.

    >>> call = Call("str", 7)
    >>> print(call, call.evaluate({"str": str}) == "7")
    str(7) True
    >>> print(Call("layers.Conv2D", 96, kernel_size=11, padding="same", groups=None))
    layers.Conv2D(96, kernel_size=11, padding="same")
    """

    name: str
    positional: tuple[Any, ...]
    named: dict[str, Any]

    def __init__(self, name: str, *positional: Any, **named: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "positional", positional)
        given = {key: value for key, value in named.items() if value is not None}
        object.__setattr__(self, "named", given)

    def __str__(self) -> str:
        named = (f"{key}={_literal(value)}" for key, value in self.named.items())
        return f"{self.name}({', '.join([*map(_literal, self.positional), *named])})"

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Return the object that the call makes. ``names`` maps the names in the call to their values."""
        first, *rest = self.name.split(".")
        function = names[first]
        for attribute in rest:
            function = getattr(function, attribute)
        return function(*self.positional, **self.named)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def omit_default(value: Any, default: Any) -> Any:
    """Return ``value``, or None if it equals the framework's default. `Call` leaves out None."""
    return None if value == default else value


def tidy_float(value: float) -> float:
    """Return a number rounded to 12 significant digits, which removes rounding noise.

    >>> 3 * 0.1, tidy_float(3 * 0.1)
    (0.30000000000000004, 0.3)
    """
    return float(f"{value:.12g}")


def block(opening: str, lines: Sequence[str], closing: str) -> str:
    """Return ``lines`` indented by four spaces, between the lines ``opening`` and ``closing``."""
    return "\n".join([opening, *(indent(line, "    ") for line in lines), closing])


def mentions(code: str, name: str) -> bool:
    """Return whether ``name`` occurs in ``code`` as a whole word."""
    return re.search(rf"\b{re.escape(name)}\b", code) is not None


def imports_for(code: str, lines: Mapping[str, str]) -> list[str]:
    """Return the import statements that ``code`` needs. ``lines`` maps each name to its import statement.

    >>> imports_for("nn.ReLU()", {"torch": "import torch", "nn": "from torch import nn"})
    ['from torch import nn']
    """
    return [line for name, line in lines.items() if mentions(code, name)]
