"""From command-line words to checked values: Hydra composes, mistakes become one line. The only file that knows Hydra.

Words are `key=value`, or positional where the verb declares them; values of text keys are taken as they stand (a path
with '=' or spaces, a revision made of digits), and lists may be written plainly (`models=resnet*,vgg*`). The folders
of `--config-dir` are searched before the package's conf. A verb's settings are a frozen record: its own fields, and the
records of the rooms that own a group (`warehouse`, `cluster`, ...). A field with REGISTRY metadata holds the record of
whatever the group chose (a zoo's source, a study's kind), whose keys stand beside the choice.
"""

from __future__ import annotations

import dataclasses
import re
import typing
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from zoospectra.jobs.words.keys import default_choices
from zoospectra.jobs.words.line import MisuseError, misuse
from zoospectra.jobs.words.verb import CHOICE, REGISTRY, VARIANTS, Positional, did_you_mean

Settings = TypeVar("Settings")

FILLED = "_filled_"
"""Name of the primary configuration that adds the groups which a user's own leaves out."""


def read_yaml(path: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Plain values of a YAML file; ValueError when it is missing or no YAML."""
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (OSError, ValueError, OmegaConfBaseException, YAMLError) as error:
        raise ValueError(f"{path}: {_one_line(error)}") from error


class Configuration:
    """The configuration files that a command sees: those of `folders`, then the package's."""

    def __init__(self, folders: Sequence[str] = (), name: str | None = None) -> None:
        for folder in folders:
            if not Path(folder).is_dir():
                raise MisuseError(f"--config-dir {folder!r} is not a folder")
        self._name = name
        self._folders = tuple(Path(folder).resolve() for folder in folders)

    def group(self, group: str, name: str) -> dict[str, Any]:
        """Values of conf/<group>/<name>.yaml; MisuseError lists the names there are."""
        with self.hydra():
            self._check_option(group, name)
            values = OmegaConf.to_container(self._asked(f"{group}/{name}"), resolve=True)
        assert isinstance(values, dict)
        return {str(key): value for key, value in dict(values[group]).items()}

    def settings(
        self,
        verb: str,
        schema: type[Settings],
        overrides: Sequence[str],
        positional: Sequence[Positional] = (),
        words: Sequence[str] = (),
    ) -> Settings:
        """Compose conf/<verb>.yaml with overrides and positional words into a checked instance of `schema`.

        MisuseError for whatever is unknown or not as its field expects.
        """
        composed, choices = self._compose(verb, schema, overrides, positional)
        try:
            values = OmegaConf.to_container(composed, resolve=True)
        except OmegaConfBaseException as error:
            raise MisuseError(_one_line(error)) from error
        assert isinstance(values, dict)
        for field in _fields(schema):
            if isinstance(values.get(field.name), dict) and field.name in choices:
                values[field.name][CHOICE] = choices[field.name]
        plain = {str(key): value for key, value in values.items()} | _placed(positional, words)
        return typing.cast(Settings, _record(schema, plain, ""))

    def text(self, verb: str, schema: type[Any], overrides: Sequence[str], positional: Sequence[Positional]) -> str:
        """The values that a verb would run with, as YAML; MisuseError as for `settings`."""
        composed, _ = self._compose(verb, schema, overrides, positional)
        own, leaves = {place.field for place in positional}, dict(_leaves(schema, composed))
        for key in _unknown(composed, leaves):
            raise MisuseError(f"unknown key {key!r}{did_you_mean(key, leaves)}: expected one of {', '.join(leaves)}")
        return OmegaConf.to_yaml({key: value for key, value in _complete(schema, composed).items() if key not in own})

    def _compose(
        self, verb: str, schema: type[Any], overrides: Sequence[str], positional: Sequence[Positional]
    ) -> tuple[DictConfig, dict[str, str]]:
        """The composed values, and the file that each group's values come from.

        Two steps: the groups' choices decide which keys there are; then every word is read by its key's type.
        """
        own = {place.field for place in positional}
        store_variants(schema)
        with self.hydra():
            if self._name is not None:
                self._check_option("", self._name)
            name = self._name or (verb if verb in self._names("", ObjectType.CONFIG) else None)
            filling: list[str] = []
            if name is not None and self._folders:
                self._refuse_hydra(name)
                name, filling = self._filled(verb, name, schema, overrides)
            groups = {field.name for field in dataclasses.fields(schema)} & set(self._names("", ObjectType.GROUP))
            added = {f"+{group}" for group in self._names("", ObjectType.GROUP)} - {f"+{group}" for group in groups}
            chosen = [word for word in overrides if word.partition("=")[0] in groups | added]
            for group, _, option in (word.removeprefix("+").partition("=") for word in chosen):
                self._check_option(group, option)
            read: list[str] = []
            if others := [word for word in overrides if word not in chosen]:
                leaves = dict(_leaves(schema, self._asked(name, *chosen, *filling)))
                keys = {key: type_ for key, type_ in leaves.items() if key not in own}
                read = [_override(word, keys, groups) for word in others]
            composed = compose(name, overrides=[*chosen, *filling, *read], return_hydra_config=True)
            choices = {str(group): str(option) for group, option in composed.hydra.runtime.choices.items()}
            with open_dict(composed):
                del composed["hydra"]
            for word in (word for word in chosen if word.startswith("+")):
                if (group := word[1:].partition("=")[0]) in composed:
                    raise MisuseError(
                        f"{word}: begin that file with '# @package _global_', or its keys are {group}.KEY"
                    )
            return composed, choices

    @contextmanager
    def hydra(self) -> Iterator[None]:
        """Hydra on these folders; whatever it refuses inside is a MisuseError of one line."""
        search = create_config_search_path("pkg://zoospectra.conf")
        for folder in reversed(self._folders):
            search.prepend("config-dir", f"file://{folder}")
        GlobalHydra.instance().clear()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                Hydra.create_main_hydra2("zoospectra", search)
                yield
        except (HydraException, OmegaConfBaseException, YAMLError) as error:
            absent = re.search(r"Could not override '([^']+)'", str(error))
            what = f"{absent[1]!r} is no value of the chosen configuration; --cfg prints them" if absent else None
            raise MisuseError(what or _one_line(error)) from error
        finally:
            GlobalHydra.instance().clear()

    def _asked(self, name: str | None, *words: str) -> DictConfig:
        """A configuration that is only read; those of the package's files alone are composed once a process."""
        return compose(name, overrides=[*words]) if self._folders else _packaged(name, words)

    def _refuse_hydra(self, name: str) -> None:
        """MisuseError for a user's own primary file that sets what belongs to Hydra's own command."""
        path = next((path for folder in self._folders if (path := folder / f"{name}.yaml").exists()), None)
        values = OmegaConf.load(path) if path is not None else None
        if isinstance(values, DictConfig) and "hydra" in values:
            raise MisuseError(f"{path}: 'hydra' has no meaning here, runs follow one another: leave it out")

    def _filled(self, verb: str, name: str, schema: type[Any], overrides: Sequence[str]) -> tuple[str, list[str]]:
        """The name of a primary configuration that has every group of ours; the user's values stand over the groups'.

        A group that its values choose themselves (`zoo: {source: local, ...}`) is what they say, unless a word chooses
        another: then also the overrides that put that one's values over theirs.
        """
        primary = compose(name, return_hydra_config=True)
        there = primary.hydra.runtime.choices
        missing = {group: choice for group, choice in default_choices(verb).items() if group not in there}
        types = typing.get_type_hints(schema)
        words = dict(word.split("=", 1) for word in overrides)
        filling = []
        for group in missing:
            for field in _fields(types[group]):
                variants, chosen = (
                    field.metadata.get(VARIANTS, dict)(),
                    OmegaConf.select(primary, f"{group}.{field.name}"),
                )
                if chosen in variants:
                    missing[group] = chosen
                    own = variants.get(words.get(group), {})
                    filling += [f"++{group}.{key}={value}" for key, value in own.items()]
        if not missing:
            return name, []
        defaults = [*({group: choice} for group, choice in missing.items()), name]
        ConfigStore.instance().store(name=FILLED, node={"defaults": defaults})
        return FILLED, filling

    def _names(self, group: str, kind: ObjectType = ObjectType.CONFIG) -> list[str]:
        names = GlobalHydra.instance().config_loader().get_group_options(group, kind)
        return [name for name in names if not name.startswith("_")]

    def _check_option(self, group: str, name: str) -> None:
        known = self._names(group)
        if name not in known:
            what = f"unknown {group or 'configuration'} {name!r}{did_you_mean(name, known)}"
            raise MisuseError(f"{what}: expected one of {', '.join(known)}")


@lru_cache(64)
def _packaged(name: str | None, words: tuple[str, ...]) -> DictConfig:
    return compose(name, overrides=[*words])


def _fields(schema: type[Any]) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(schema)


def store_variants(schema: type[Any]) -> None:
    """Make choices of what the registries of a verb's groups name: a source of models or a study needs no file."""
    types = typing.get_type_hints(schema)
    for group in _fields(schema):
        inner = _fields(types[group.name]) if dataclasses.is_dataclass(types[group.name]) else ()
        for field in inner:
            for name, values in field.metadata.get(VARIANTS, dict)().items():
                ConfigStore.instance().store(name=name, group=group.name, node=values)


def _leaves(schema: type[Any], values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a settings record and their types; `values` say which record a registry field takes."""
    types = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        if registry := field.metadata.get(REGISTRY):
            with misuse():
                record = registry(values)
            yield from _leaves(record, values, prefix)
        elif dataclasses.is_dataclass(types[field.name]):
            yield from _leaves(types[field.name], values.get(field.name) or {}, f"{prefix}{field.name}.")
        elif CHOICE not in field.metadata:
            yield f"{prefix}{field.name}", types[field.name]


def _unknown(values: Mapping[Any, Any], leaves: Collection[str], prefix: str = "") -> Iterator[str]:
    """Dotted keys of `values` that are none of `leaves`, nor in a leaf that is a mapping."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path not in leaves:
            inside = isinstance(value, Mapping) and any(leaf.startswith(f"{path}.") for leaf in leaves)
            yield from _unknown(value, leaves, f"{path}.") if inside else [path]


def _complete(schema: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a settings record, its own defaults where none is given."""
    types = typing.get_type_hints(schema)
    complete: dict[str, Any] = {}
    for field in _fields(schema):
        if registry := field.metadata.get(REGISTRY):
            complete |= _complete(registry(values), values)
        elif dataclasses.is_dataclass(types[field.name]):
            record = typing.cast(type[Any], types[field.name])
            complete[field.name] = _complete(record, values.get(field.name) or {})
        elif field.name in values:
            complete[field.name] = values[field.name]
        elif CHOICE not in field.metadata:
            factory = field.default_factory
            complete[field.name] = field.default if factory is dataclasses.MISSING else factory()
    return complete


def _record(schema: type[Any], values: Mapping[str, Any], prefix: str) -> Any:  # noqa: ANN401 - an instance of schema
    """An instance of the record from plain values: leaves checked by OmegaConf, records of groups built first."""
    types = typing.get_type_hints(schema)
    leaves: list[tuple[str, Any, dataclasses.Field[Any]]] = []
    built: dict[str, Any] = {}
    own = [field.name for field in dataclasses.fields(schema)]
    rest = {key: value for key, value in values.items() if key not in own and key != CHOICE}
    for field in dataclasses.fields(schema):
        if registry := field.metadata.get(REGISTRY):
            with misuse():
                record = registry(values)
            built[field.name] = _record(record, rest, prefix)
            rest = {}
        elif dataclasses.is_dataclass(types[field.name]):
            built[field.name] = _record(types[field.name], values.get(field.name) or {}, f"{prefix}{field.name}.")
        elif CHOICE in field.metadata:
            built[field.name] = values.get(CHOICE, field.default)
        else:
            leaves.append((field.name, types[field.name], field))
    if rest:
        unknown = prefix + next(iter(rest))
        raise MisuseError(f"unknown key {unknown!r}{did_you_mean(unknown, own)}: expected one of {', '.join(own)}")
    given = {name: values[name] for name, _, _ in leaves if name in values}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checked = OmegaConf.merge(OmegaConf.structured(_leaf_record(leaves)), given)
        built |= {str(key): value for key, value in dict(OmegaConf.to_container(checked, resolve=True)).items()}  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", "")
        raise MisuseError(f"{prefix}{key}: {_one_line(error)}") from error
    try:
        return schema(**built)
    except ValueError as error:
        raise MisuseError(prefix + " ".join(str(error).split())) from error


def _leaf_record(leaves: Iterable[tuple[str, Any, dataclasses.Field[Any]]]) -> type[Any]:
    """A record of the plain fields alone: OmegaConf cannot merge into nested frozen ones."""
    fields: list[Any] = []  # name, type and default, as make_dataclass takes them
    for name, type_, field in leaves:
        if field.default_factory is not dataclasses.MISSING:
            fields.append((name, type_, dataclasses.field(default_factory=field.default_factory)))
        else:
            default = "???" if field.default is dataclasses.MISSING else field.default
            fields.append((name, type_, dataclasses.field(default=default)))
    return dataclasses.make_dataclass("Leaves", fields)


def _placed(positional: Sequence[Positional], words: Sequence[str]) -> dict[str, Any]:
    """Positional words by field; MisuseError when there are too few or too many."""
    placed: dict[str, Any] = {}
    left = list(words)
    for place in positional:
        if place.many:
            placed[place.field], left = left, []
        elif left:
            placed[place.field] = left.pop(0)
    absent = [place.label for place in positional if place.field not in placed and not place.optional]
    if absent or left:
        expected = " ".join(f"[{place.label}]" if place.optional else place.label for place in positional)
        got = "nothing" if not words else f"{len(words)} word{'s' * (len(words) > 1)}: {' '.join(words)[:80]}"
        raise MisuseError(f"expected {expected}, got {got}")
    return placed


def _override(word: str, leaves: Mapping[str, Any], groups: Iterable[str]) -> str:
    """One word as an override that Hydra's grammar reads the way the user meant it."""
    key, _, value = word.removeprefix("++").partition("=")
    if key.removeprefix("+") in leaves:
        key = key.removeprefix("+")
    type_ = leaves.get(key)
    mapping = typing.get_origin(leaves.get(key.rpartition(".")[0])) is dict
    if type_ is None and not mapping:
        group, dot, _ = key.partition(".")
        known = [leaf for leaf in leaves if leaf.startswith(f"{group}.")] if dot else []
        known = known or [*sorted(groups), *leaves]
        hint = did_you_mean(key, known, cutoff=0.8 if dot else 0.6)
        if dot and group in groups and not hint:
            hint = f" with the chosen {group} (another {group}=NAME may have it)"
        raise MisuseError(f"unknown key {key!r}{hint}: expected one of {', '.join(known)}")
    if type_ in (str, str | None) and value not in ("null", ""):
        return f"++{key}={_quote(value)}"
    if type_ == list[str] and not value.startswith("["):
        return f"++{key}=[{','.join(_quote(part.strip()) for part in value.split(',') if part.strip())}]"
    if typing.get_origin(type_) is list and not value.startswith("["):
        return f"++{key}=[{value}]"
    return f"++{key}={value}"  # a verb may have no file in conf: its record has the defaults


def _quote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value
    # Hydra's quoted strings: a backslash escapes only before a quote, or in a run of backslashes before one
    escaped = re.sub(r"(\\*)'", lambda match: match.group(1) * 2 + r"\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    left_out = ("See https", "object_type", "reference_type", "full_key")
    return "; ".join(line for line in lines if not line.startswith(left_out))[:400]
