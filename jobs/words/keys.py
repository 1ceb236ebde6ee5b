"""The keys of a verb with meaning, default and example: what its help prints and a shell completes.

Meaning and default are read from the records that own the settings, names of groups from the folders of conf and the
registries; Hydra, which costs a tenth of a second, takes no part.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.resources
import inspect
import re
import sys
import textwrap
import typing
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from zoospectra.jobs.words.examples import example
from zoospectra.jobs.words.verb import CHOICE, REGISTRY, VARIANTS, Verb, did_you_mean

WIDTH, LONGEST = 110, 34
"""Characters of a line of help, and of its first column at most."""

REGISTER = re.compile(r"(?:\b(?:[Aa] key|[Kk]eys|[Oo]ne|some) of )?((?:[a-z_]+\.)*)([A-Z][A-Z_]{3,})\b")
"""The name of a constant in a meaning, such as 'One of WHAT' or 'a key of zoo.sources.SOURCES'."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key that a verb takes."""

    name: str
    """Dotted, as it is typed."""
    default: str
    """As it is typed; 'null' for none."""
    meaning: str
    """What its owner's record says, on one line."""


def keys(name: str, verb: Verb, chosen: Mapping[str, str] | None = None) -> Iterator[Key]:
    """Keys of a verb: its own, its groups' names, and the keys of the records in them; words without a key are none.

    chosen: a group's name -> its file or registered name: the keys that it brings are listed too. ValueError for one
    that does not exist.
    """
    chosen, defaults = chosen or {}, default_choices(name)
    types = typing.get_type_hints(verb.settings)
    own = {place.field for place in verb.positional}
    for field in dataclasses.fields(verb.settings):
        inner = types[field.name]
        if dataclasses.is_dataclass(inner):
            names = _names(field.name, typing.cast(type[Any], inner))
            if set(names) - {"default"}:
                words = f"{_first_sentence(inner)} One of {', '.join(names)}."
                yield Key(field.name, chosen.get(field.name, defaults.get(field.name, "")), words)
            yield from _inside(field.name, typing.cast(type[Any], inner), names, chosen.get(field.name))
        elif field.name not in own:
            yield _key(verb.settings, field, "")


def _inside(group: str, schema: type[Any], names: Mapping[str, str], choice: str | None) -> Iterator[Key]:
    """Keys of a group's record and of the records in it."""
    if choice is not None and choice not in names:
        msg = f"unknown {group} {choice!r}{did_you_mean(choice, names)}: expected one of {', '.join(names)}"
        raise ValueError(msg)
    for field in dataclasses.fields(schema):
        if registry := field.metadata.get(REGISTRY):
            if choice is None:
                yield Key(f"{group}.KEY", "", f"a key of the chosen {group}: the same with {group}=NAME lists them")
                continue
            yield from _all(registry(dict.fromkeys(("source", "kind"), names[choice])), f"{group}.")
        elif CHOICE not in field.metadata:
            yield from _all(schema, f"{group}.", (field.name,))


def _all(schema: type[Any], prefix: str, only: Collection[str] = ()) -> Iterator[Key]:
    """Keys of a record and of the records in it; `only` some of its fields."""
    types = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if only and field.name not in only:
            continue
        if dataclasses.is_dataclass(types[field.name]):
            yield from _all(typing.cast(type[Any], types[field.name]), f"{prefix}{field.name}.")
        else:
            yield _key(schema, field, prefix)


def _key(schema: type[Any], field: dataclasses.Field[Any], prefix: str) -> Key:
    meaning = _meanings(typing.cast(Hashable, schema)).get(field.name, "")
    module = schema.__module__
    words = REGISTER.sub(lambda match: _members(match, module), meaning).replace("None", "null")
    if ours := _files(field.name.removesuffix("s")) if field.name.startswith("profile") else {}:
        words += f" Ours: {', '.join(ours)}."
    return Key(f"{prefix}{field.name}", _default(field), words[:1].upper() + words[1:])


def _members(match: re.Match[str], module: str) -> str:
    """What a constant holds, in its place; the text as it is where it is none."""
    place = ".".join((module.partition(".")[0], match[1].rstrip("."))) if match[1] else module
    values = getattr(sys.modules.get(place), match[2], None)
    if not isinstance(values, tuple | dict | frozenset) or not all(isinstance(value, str) for value in values):
        return match[0]
    return f"one of {', '.join(values)}"


def _names(group: str, schema: type[Any]) -> dict[str, str]:
    """Names that a group may have, and which entry of its registry each stands for."""
    names: dict[str, str] = {}
    for field in dataclasses.fields(schema):
        names |= {name: name for name in field.metadata.get(VARIANTS, dict)()}
    return names | _files(group)


def _files(group: str) -> dict[str, str]:
    """Files of a group in conf, and the entry of a registry that each names."""
    names: dict[str, str] = {}
    folder = importlib.resources.files("zoospectra.conf") / group
    for file in sorted(folder.iterdir(), key=lambda file: file.name) if folder.is_dir() else ():
        if file.name.endswith(".yaml"):
            entry = re.search(r"^(?:source|kind): (\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
            names[file.name.removesuffix(".yaml")] = entry[1] if entry else ""
    return names


def default_choices(name: str) -> dict[str, str]:
    """The groups' names in a verb's file of conf."""
    file = importlib.resources.files("zoospectra.conf") / f"{name}.yaml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return dict(re.findall(r"^ +- (\w+): (\w+)$", text, re.MULTILINE))


def _first_sentence(schema: object) -> str:
    text = inspect.getdoc(schema) or ""
    return " ".join(re.split(r"[;.](?:\s|$)", text, maxsplit=1)[0].split()) + "."


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
    """Field -> the text below it in the source, of a record that extends another those of both."""
    record = typing.cast(type[Any], schema)
    texts: dict[str, str] = {}
    for base in record.__bases__:
        texts |= _meanings(typing.cast(Hashable, base)) if dataclasses.is_dataclass(base) else {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(body, ast.ClassDef)
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    texts[statement.target.id] = " ".join(text.split())
    return texts


def refuse_unknown(name: str, verb: Verb, chosen: Mapping[str, str]) -> None:
    """Raise ValueError for a key of `chosen` that the verb does not take, naming those that it takes."""
    known = [key.name for key in keys(name, verb, chosen)]
    for word in chosen:
        if word not in known and f"{word.partition('.')[0]}.KEY" not in known:
            msg = f"unknown key {word!r}{did_you_mean(word, known)}: expected one of {', '.join(known)}"
            raise ValueError(msg)


def table(name: str, verb: Verb, chosen: Mapping[str, str]) -> str:
    """The keys as lines for a help text: default, meaning, example; ValueError as for `keys`."""
    known = list(keys(name, verb, chosen))
    width = min(LONGEST, max((len(f"{key.name}={key.default}") for key in known), default=0))
    lines = []
    for key in known:
        head, such = f"{key.name}={key.default}".ljust(width), example(name, key.name)
        words = f"{key.meaning or '-'}{f' E.g. {such}' if such else ''}"
        lines += textwrap.wrap(
            words, WIDTH, initial_indent=f"  {head}  ", subsequent_indent=" " * (width + 4), break_on_hyphens=False
        )
    return "\n".join(lines)
