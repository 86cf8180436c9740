"""Conversion of values to plain JSON types and back. The type of every field is checked."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

LARGEST = 2**63  # integers in JSON have no limit, but many programs read only 64 bits


def from_json(kind: Any, value: Any, place: str) -> Any:
    """Return ``value`` converted from plain types to ``kind``.

    ``kind`` is a dataclass, a number, bool or str, ``X | None``, or a list, tuple or dict of one kind. For
    a float, None becomes nan: JSON has no nan, so `to_json` writes None. A class with ``from_dict`` is
    made by that method. Raises ValueError with the place if a value has another type.

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
        return _from_optional(inner, value, place)
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


def _from_optional(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    """Return None for None. Convert any other value to the other type in ``kinds``."""
    if value is None and NoneType in kinds:
        return None
    (kind,) = (k for k in kinds if k is not NoneType)
    return from_json(kind, value, place)


def to_json(value: Any) -> Any:
    """Return ``value`` with every float that is not finite replaced by None, and every tuple by a list.

    >>> to_json({"losses": (1.0, math.inf)})
    {'losses': [1.0, None]}
    """
    if isinstance(value, dict):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(values: dict[str, Any]) -> dict[str, Any]:
    """Return plain values with their checksum, so that `unsealed` detects damage.

    >>> unsealed(sealed({"seed": 0}))
    {'seed': 0}
    >>> unsealed(sealed({"seed": 0}) | {"seed": 1})
    Traceback (most recent call last):
    ...
    ValueError: it is damaged: its checksum does not match its values
    """
    return {**values, "sha256": _checksum(values)}


def unsealed(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without their checksum. Raises ValueError if the checksum does not match.

    Values without a checksum are from older versions and are returned unchanged.
    """
    rest = {key: value for key, value in values.items() if key != "sha256"}
    if "sha256" in values and values["sha256"] != _checksum(rest):
        raise ValueError("it is damaged: its checksum does not match its values")
    return rest


def _checksum(values: dict[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True, allow_nan=False))
