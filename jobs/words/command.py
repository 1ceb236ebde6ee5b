"""From command-line words to checked values: Hydra composes, mistakes become one line.

Words are Hydra's `key=value`; values of text keys are taken as they stand (a path with '=' or spaces, a revision made
of digits), and lists may be written plainly (`models=resnet*,vgg*`). `--config-dir DIR` adds a folder of
configurations.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

Settings = TypeVar("Settings")


class MisuseError(ValueError):
    """Wrong usage: one line that says what, what was expected, and what to do."""


@contextmanager
def misuse() -> Iterator[None]:
    """Turn the ValueErrors of a stage that only checks what the user asked for into one MisuseError line."""
    try:
        yield
    except ValueError as error:
        raise MisuseError(" ".join(str(error).split())) from error


def compose(verb: str, words: Sequence[str], schema: type[Settings]) -> Settings:
    """Compose conf/<verb>.yaml with the words of the command line into a checked instance of schema."""
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), _config(verb, words, schema))
        settings: Any = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise MisuseError(_one_line(error)) from error
    return typing.cast(Settings, settings)


def answered(verb: str, words: Sequence[str], about: str, schema: type[Any]) -> bool:
    """Whether the words only ask about the verb: --help prints what it does, --cfg the values it would run with."""
    if "--help" in words:
        print(about)
        return True
    if "--cfg" in words:
        print(OmegaConf.to_yaml(_config(verb, [word for word in words if word != "--cfg"], schema)))
        return True
    return False


def named(group: str, name: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """Values of conf/<group>/<name>.yaml, where --config-dir may add folders; MisuseError lists the names there are."""
    with _hydra(words):
        _check_option(group, name, words)
        values = OmegaConf.to_container(
            hydra_compose(config_name=f"{group}/{name}", overrides=_search(words)), resolve=True
        )
    assert isinstance(values, dict)
    return {str(key): value for key, value in dict(values[group]).items()}


def _config(verb: str, words: Sequence[str], schema: type[Any]) -> DictConfig:
    leaves = dict(_leaves(schema))
    with _hydra(words):
        available = set(GlobalHydra.instance().config_loader().list_groups(""))
        groups = {field.name for field in dataclasses.fields(schema)} & available
        overrides = [_override(word, leaves, groups, words) for word in _split(words)[0]]
        return hydra_compose(config_name=verb, overrides=[*_search(words), *overrides])


@contextmanager
def _hydra(words: Sequence[str]) -> Iterator[None]:
    """Hydra on pkg://conf, its errors as one line."""
    for folder in _split(words)[1]:
        if not Path(folder).is_dir():
            raise MisuseError(f"--config-dir {folder!r} is not a folder")
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("zoospectra.conf", version_base="1.3"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (HydraException, OmegaConfBaseException) as error:
        absent = re.search(r"Could not override '([^']+)'", str(error))
        what = (
            f"{absent[1]!r} is no value of the chosen configuration; --cfg prints those there are" if absent else None
        )
        raise MisuseError(what or _one_line(error)) from error


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides, and the folders named by --config-dir."""
    overrides: list[str] = []
    folders: list[str] = []
    rest = iter(words)
    for word in rest:
        option, _, value = word.partition("=")
        if option == "--config-dir":
            folders.append(value or next(rest, ""))
        elif word.startswith("-"):
            raise MisuseError(f"unknown option {word!r}: expected key=value, --config-dir DIR, --cfg or --help")
        else:
            overrides.append(word)
    return overrides, folders


def _search(words: Sequence[str]) -> list[str]:
    folders = [f"'file://{Path(folder).resolve()}'" for folder in _split(words)[1]]
    return [f"hydra.searchpath=[{','.join(folders)}]"] if folders else []


def _override(word: str, leaves: dict[str, Any], groups: set[str], words: Sequence[str]) -> str:
    """One word as an override that Hydra's grammar reads the way the user meant it."""
    key, equals, value = word.partition("=")
    if not equals:
        raise MisuseError(
            f"cannot read {word!r}: expected key=value, with key one of {', '.join([*sorted(groups), *leaves])}"
        )
    if key in groups:
        _check_option(key, value, words)
        return word
    if key not in leaves:
        known = [*sorted(groups), *leaves]
        raise MisuseError(f"unknown key {key!r}{_suggest(key, known)}: expected one of {', '.join(known)}")
    text = leaves[key] in (str, str | None)
    if text and value not in ("null", ""):
        return f"{key}={_quote(value)}"
    if leaves[key] == list[str] and not value.startswith("["):
        return f"{key}=[{','.join(_quote(part.strip()) for part in value.split(',') if part.strip())}]"
    return word


def _check_option(group: str, name: str, words: Sequence[str]) -> None:
    known = GlobalHydra.instance().config_loader().get_group_options(group)
    for folder in _split(words)[1]:  # Hydra adds these to its search path only while it composes
        known += sorted(path.stem for path in Path(folder, group).glob("*.yaml"))
    if name not in known:
        raise MisuseError(f"unknown {group} {name!r}{_suggest(name, known)}: expected one of {', '.join(known)}")


def _leaves(schema: type[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a settings class and their types."""
    for field in dataclasses.fields(schema):
        kind = _type(schema, field.name)
        if dataclasses.is_dataclass(kind):
            yield from _leaves(typing.cast(type[Any], kind), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", kind


def _type(schema: type[Any], name: str) -> Any:  # noqa: ANN401 - a type expression such as `str | None`
    return typing.get_type_hints(schema)[name]


def _quote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value
    # Hydra's quoted strings: a backslash escapes only before a quote, or in a run of backslashes before one
    escaped = re.sub(r"(\\*)'", lambda found: found.group(1) * 2 + r"\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"


def _suggest(wanted: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wanted, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(line for line in lines if not line.startswith(("See https", "object_type", "reference_type")))[
        :400
    ]
