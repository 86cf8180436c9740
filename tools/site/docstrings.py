"""Docstrings as Markdown, for the API pages of the site (an extension of Griffe, which mkdocstrings uses).

The docstrings of this library are written for `help()`: sections as in numpydoc, with ``name : text`` below
their headings; examples that doctest runs; tables in reStructuredText; names in single backticks. This
module turns them into Markdown with sections in Google style. The fields of a dataclass become a section
too, with the comments at the end of their lines.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from griffe import (
    AliasResolutionError,
    Attribute,
    Class,
    Decorator,
    ExprName,
    ExprSubscript,
    Extension,
    Function,
    Module,
    NameResolutionError,
    Object,
    Parameter,
    ParameterKind,
)

SECTION = re.compile(r"^(Parameters|Returns|Raises)\n-+\n((?:.+\n?)+)", re.M)
ENTRY = re.compile(r"^(\S.*?) : (.+(?:\n .+)*)", re.M)
EXAMPLE = re.compile(r"^>>> .*(?:\n.+)*", re.M)
FLAGS = re.compile(r" *# doctest: .*")
TABLE = re.compile(r"^(=+(?: +=+)+)\n(.+)\n\1\n((?:.+\n)+?)\1$", re.M)
NAME = re.compile(r"(?<![`\w\[])`([A-Za-z_][\w.]*)`(?!`)")
ERROR = re.compile(r"(?<![`\w.>])[A-Z]\w+Error\b(?![`:])")


class Docstrings(Extension):
    """Rewrites a package after it was read."""

    def on_package(self, *, pkg: Module, **kwargs: Any) -> None:
        for thing in members(pkg):
            if thing.docstring is not None:
                thing.docstring.value = markdown(thing.docstring.value, thing)
            if isinstance(thing, Function):
                unpack(thing)
            elif isinstance(thing, Class):
                mark_dataclass(thing)
                list_fields(thing)


def members(thing: Object) -> Iterator[Object]:
    """Yield a thing and everything that is defined in it."""
    yield thing
    for member in thing.members.values():
        if not member.is_alias:
            yield from members(member)


def unpack(function: Function) -> None:
    """Give a function the keyword arguments that ``**options: Unpack[Options]`` stands for."""
    for option in list(function.parameters):
        note = option.annotation
        if not isinstance(note, ExprSubscript) or note.canonical_path != "typing.Unpack":
            continue
        assert isinstance(note.slice, ExprName)
        options = function.package[note.slice.canonical_path.partition(".")[2]]
        del function.parameters[option.name]
        for name, field in options.attributes.items():
            kind = ParameterKind.keyword_only
            new = Parameter(name, annotation=field.annotation, kind=kind, default="...")
            function.parameters.add(new)


def mark_dataclass(cls: Class) -> None:
    """Let Griffe know a dataclass that another decorator than ``@dataclass`` makes, such as a layer."""
    for decorator in cls.decorators:
        try:
            maker = cls.package[decorator.callable_path.partition(".")[2]]
        except KeyError:
            continue
        if any(d.callable_path == "typing.dataclass_transform" for d in maker.decorators):
            name = ExprName("dataclass", parent=cls.module)
            cls.decorators.append(Decorator(name, lineno=None, endlineno=None))


def list_fields(cls: Class) -> None:
    """Append a section with the fields of a class that have a comment at the end of their line."""
    fields = {
        field.name: text
        for field in cls.attributes.values()
        if field.docstring is None and not field.is_private and (text := comment(field))
    }
    if cls.docstring is not None and fields:
        lines = (f"\n    {name}: {prose(text, cls)}" for name, text in fields.items())
        cls.docstring.value += f"\n\nAttributes:{''.join(lines)}\n"


def comment(field: Attribute) -> str:
    """Return the comment at the end of a field's line; empty without one."""
    tokens = tokenize.generate_tokens(io.StringIO(field.source).readline)
    return next((t.string.removeprefix("# ") for t in tokens if t.type == tokenize.COMMENT), "")


def markdown(text: str, thing: Object) -> str:
    """Return a docstring as Markdown."""
    parts, end = [], 0
    for example in EXAMPLE.finditer(text):
        parts.append(prose(text[end : example.start()], thing))
        parts.append(f"```pycon\n{FLAGS.sub('', example[0])}\n```")
        end = example.end()
    return "".join([*parts, prose(text[end:], thing)])


def prose(text: str, thing: Object) -> str:
    """Return text without examples as Markdown."""
    text = SECTION.sub(section, text)
    text = TABLE.sub(table, text)
    text = NAME.sub(lambda found: link(found[1], f"<code>{found[1]}</code>", thing), text)
    return ERROR.sub(lambda found: link(found[0], found[0], thing), text)


def section(found: re.Match[str]) -> str:
    """Return a section in Google style. An entry for several names becomes an entry for each."""
    heading, body = found.groups()
    entries = (
        f"\n    {name}: " + text.replace("\n", "\n    ")
        for names, text in ENTRY.findall(body)
        for name in names.split(", ")
    )
    return f"{heading}:{''.join(entries)}\n"


def table(found: re.Match[str]) -> str:
    """Return a simple table of reStructuredText in Markdown.

    A line without a first cell continues the line above.
    """
    rule, header, body = found.groups()
    starts = [column.start() for column in re.finditer("=+", rule)]
    places = [slice(*ends) for ends in zip(starts, [*starts[1:], None], strict=True)]
    rows: list[list[str]] = []
    for line in [header, *body.splitlines()]:
        cells = [line[place].strip() for place in places]
        if cells[0]:
            rows.append(cells)
        else:
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
    rows.insert(1, ["---"] * len(places))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def link(name: str, shown: str, thing: Object) -> str:
    """Return a name with a link, if it is in this package. The link works if a page documents it."""
    first, dot, rest = name.partition(".")
    try:
        path = name if first == thing.package.name else f"{thing.resolve(first)}{dot}{rest}"
        path = thing.package[path.partition(".")[2]].canonical_path
    except (NameResolutionError, AliasResolutionError, KeyError, ValueError):
        return shown
    return f'<autoref identifier="{path}" optional>{shown}</autoref>'
