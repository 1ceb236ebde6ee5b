"""The keys of a verb with their meaning and default, read from the records that own them; what its help prints."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from zoospectra.jobs.words.verb import CHOICE, REGISTRY, Positional


@dataclass(frozen=True, slots=True)
class Key:
    """One key that a verb takes."""

    name: str
    """Dotted, as it is typed."""
    default: str
    """As it is typed; 'null' for none."""
    meaning: str
    """What its owner's record says, on one line."""


def keys(schema: type[Any], positional: tuple[Positional, ...] = (), prefix: str = "") -> Iterator[Key]:
    """Keys of a settings record and of the records in it; words without a key are none."""
    types = typing.get_type_hints(schema)
    own = {place.field for place in positional}
    meanings = _meanings(typing.cast(Hashable, schema))
    for field in dataclasses.fields(schema):
        inner = types[field.name]
        if field.name in own or (prefix and CHOICE in field.metadata):
            continue
        if REGISTRY in field.metadata:
            group = prefix.removesuffix(".")
            yield Key(f"{prefix}KEY", "", f"options of the chosen {group}: add {group}=NAME --cfg to see them")
        elif dataclasses.is_dataclass(inner):
            yield from keys(typing.cast(type[Any], inner), (), f"{prefix}{field.name}.")
        else:
            yield Key(f"{prefix}{field.name}", _default(field), meanings.get(field.name, ""))


def _default(field: dataclasses.Field[Any]) -> str:
    factory = field.default_factory
    value = factory() if factory is not dataclasses.MISSING else field.default
    if value is dataclasses.MISSING:
        return "(needed)"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "[]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@cache
def _meanings(schema: Hashable) -> dict[str, str]:
    """Field -> the text below it in the source."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(typing.cast(type[Any], schema)))).body
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    texts[statement.target.id] = " ".join(text.split())
    return texts


def table(schema: type[Any], positional: tuple[Positional, ...]) -> str:
    """The keys as lines for a help text, the meaning wrapped beside them."""
    known = list(keys(schema, positional))
    width = max((len(f"{key.name}={key.default}") for key in known), default=0)
    lines = []
    for key in known:
        head = f"{key.name}={key.default}".ljust(min(width, 34))
        lines += textwrap.wrap(
            key.meaning or "-", 110, initial_indent=f"  {head}  ", subsequent_indent=" " * (min(width, 34) + 4)
        )
    return "\n".join(lines)
