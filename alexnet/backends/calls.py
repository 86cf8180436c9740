"""Calls that make layers: `alexnet show` prints them, `alexnet.build` evaluates them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any


@dataclass(frozen=True, init=False)
class Call:
    """The call of a class, such as ``nn.Dropout(p=0.5)``, which can be printed and evaluated.

    Arguments that are None are left out. So the framework's own default holds.

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
        """Make the object. ``names`` are those that the call may use."""
        first, *rest = self.name.split(".")
        found = names[first]
        for attribute in rest:
            found = getattr(found, attribute)
        return found(*self.positional, **self.named)


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def omit_default(value: Any, default: Any) -> Any:
    """None, which `Call` leaves out, if a value is the framework's own default."""
    return None if value == default else value


def tidy_float(value: float) -> float:
    """A number without the noise of rounding.

    >>> 3 * 0.1, tidy_float(3 * 0.1)
    (0.30000000000000004, 0.3)
    """
    return float(f"{value:.12g}")


def block(opening: str, lines: Sequence[str], closing: str) -> str:
    """Indented lines between two outer lines."""
    return "\n".join([opening, *(indent(line, "    ") for line in lines), closing])


def mentions(code: str, name: str) -> bool:
    """Whether a name occurs in some code, as a whole word."""
    return re.search(rf"\b{re.escape(name)}\b", code) is not None


def imports_for(code: str, lines: Mapping[str, str]) -> list[str]:
    """The lines of imports that some code needs, from all of them by the name that they import.

    >>> imports_for("nn.ReLU()", {"torch": "import torch", "nn": "from torch import nn"})
    ['from torch import nn']
    """
    return [line for name, line in lines.items() if mentions(code, name)]
