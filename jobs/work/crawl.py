"""Asking a source for its models: settings in, models out, the choice of the user applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoospectra.jobs.work.plan import select
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import Crawl, source


@dataclass(frozen=True, slots=True)
class Request:
    """What a source is asked for."""

    values: Mapping[str, Any]
    """Values of conf/zoo/<name>.yaml: source, name, and the source's own options."""
    cache: Path
    """Folder that the source may keep things in."""
    say: Callable[[str], None]
    """News of a crawl that takes long."""


def crawl(name: str, request: Request) -> tuple[Model, ...]:
    """Models of a zoo; ValueError on an unknown source, a missing folder, an unreadable catalog, an empty result."""
    asked = source(name)
    options = {field.name: request.values[field.name] for field in dataclasses.fields(asked.options)}
    found = asked.crawl(asked.options(**options), Crawl(request.values["name"], request.cache, request.say))
    if not found:
        msg = f"zoo={request.values['name']}: no model matches what was asked for"
        raise ValueError(msg)
    return found


def choose(models: Sequence[Model], globs: Sequence[str], limit: int | None) -> tuple[Model, ...]:
    """Models that any glob matches by name or id, at most `limit`, in the zoo's order; ValueError when none does."""
    if limit is not None and limit < 1:
        msg = f"limit={limit}: expected at least 1, or null for all"
        raise ValueError(msg)
    names = [(model.model_id, model.name) for model in models]
    return tuple(models[position] for position in select(names, globs, limit, fnmatchcase))
