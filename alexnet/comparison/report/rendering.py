"""Writes a page from a template: one HTML file that loads nothing and has no scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alexnet.atomic import replacing
from alexnet.errors import RunError
from alexnet.spec import shape_text

PARTS = "alexnet.comparison.report"  # has the parts and the style that all pages share


def write_page(path: Path, package: str, template: str, contents: Mapping[str, Any]) -> Path:
    """Write the page that a template of a package makes of ``contents``, and return its path.

    Raises RunError if the file cannot be written.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    packages = dict.fromkeys((package, PARTS))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name, ".") for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shape"] = shape_text
    page = environment.get_template(template).render(contents)
    try:
        with replacing(path) as new:
            new.write_text(page, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: cannot write the report ({error.strerror})") from None
    return path
