"""Values to plain types, as JSON has them, and back, with the type of every field checked."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

LARGEST = 2**63  # JSON has whole numbers beyond what others take


def from_json(kind: Any, value: Any, place: str) -> Any:
    """``value`` as a ``kind``: a dataclass, a number, text; ``X | None``; lists or tables of one kind.

    Where a float is wanted, None means not a number: JSON has no such number, so `to_json` writes None.
    A class with a ``from_dict`` of its own reads itself. Raises ValueError, naming the place, for a value
    of another type.

    >>> from_json(tuple[float, ...], [1, None], "speeds")
    (1.0, nan)
    >>> from_json(int | None, "3", "epochs")
    Traceback (most recent call last):
    ...
    ValueError: epochs cannot be '3'
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is UnionType:
        return _first_of(inner, value, place)
    if hasattr(kind, "from_dict"):
        return kind.from_dict(value)
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        wrong = value.keys() ^ set(names)
        if wrong:
            raise ValueError(f"{place}: wrong or missing: {', '.join(sorted(map(str, wrong)))}")
        return kind(**{name: from_json(hints[name], value[name], name) for name in names})
    if origin in (list, tuple) and isinstance(value, list):
        return origin(from_json(inner[0], item, f"{place}, {n}") for n, item in enumerate(value))
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {key: from_json(inner[1], item, f"{place}, {key}") for key, item in value.items()}
    if kind is float and value is None:
        return math.nan
    if kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    if kind is int and type(value) is int and abs(value) < LARGEST:
        return value
    if kind in (str, bool, NoneType) and type(value) is kind:
        return value
    raise ValueError(f"{place} cannot be {value!r:.60}")


def _first_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    """None as None, anything else as the kind beside it."""
    if value is None and NoneType in kinds:
        return None
    (kind,) = (k for k in kinds if k is not NoneType)
    return from_json(kind, value, place)


def to_json(value: Any) -> Any:
    """Plain types in which every number that is not finite has become None.

    >>> to_json({"losses": (1.0, math.inf)})
    {'losses': [1.0, None]}
    """
    if isinstance(value, dict):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sha256(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(values: dict[str, Any]) -> dict[str, Any]:
    """Plain values with a checksum, by which `unsealed` sees damage.

    >>> unsealed(sealed({"seed": 0}))
    {'seed': 0}
    >>> unsealed(sealed({"seed": 0}) | {"seed": 1})
    Traceback (most recent call last):
    ...
    ValueError: it is damaged: its values do not have their checksum
    """
    return {**values, "sha256": _seal(values)}


def unsealed(values: dict[str, Any]) -> dict[str, Any]:
    """The values without their checksum. Raises ValueError if they do not have it any more.

    Values without a checksum, of before there was one, are returned as they are.
    """
    rest = {key: value for key, value in values.items() if key != "sha256"}
    if "sha256" in values and values["sha256"] != _seal(rest):
        raise ValueError("it is damaged: its values do not have their checksum")
    return rest


def _seal(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True, allow_nan=False))
