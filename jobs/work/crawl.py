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


@dataclass(frozen=True, slots=True)
class Request:
    """What a source is asked for."""

    values: Mapping[str, Any]
    """Values of conf/zoo/<name>.yaml: name, path, workers, and the source's own."""
    cache: Path
    """Folder that the source may keep things in."""
    say: Callable[[str], None]
    """News of a crawl that takes long."""

    def pick(self, *names: str) -> dict[str, Any]:
        """Some of the values."""
        return {name: self.values[name] for name in names}


def crawl(source: str, request: Request) -> tuple[Model, ...]:
    """Models of a zoo; ValueError on an unknown source, a missing folder, an unreadable catalogue, an empty result."""
    if source not in CRAWLERS:
        msg = f"unknown zoo source {source!r}: expected one of {', '.join(CRAWLERS)}"
        raise ValueError(msg)
    found = CRAWLERS[source](request)
    if not found:
        msg = f"zoo={request.values['name']}: no model matches what was asked for"
        raise ValueError(msg)
    return found


def _digits(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.digits import crawl as crawl_digits

    def progress(done: int, total: int, model: str) -> None:
        request.say(f"trained {done} of {total}: {model}")

    return crawl_digits(request.cache, workers=request.values["workers"], progress=progress)


def _local(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.fingerprint import FingerprintCache
    from zoospectra.zoo.sources.local import crawl as crawl_local

    return crawl_local(_path(request), request.values["name"], FingerprintCache.load(request.cache))


def _pgdl(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.pgdl import crawl as crawl_pgdl

    return crawl_pgdl(_path(request))


def _pytorchcv(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.packages.pytorchcv import crawl as crawl_pytorchcv

    return _located(crawl_pytorchcv(**request.pick("versions", "readmes")))


def _torchvision(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.packages.torchvision import crawl as crawl_torchvision

    return _located(crawl_torchvision(**request.pick("versions")))


def _timm(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.packages.timm import crawl as crawl_timm

    return _located(crawl_timm(**request.pick("versions", "results")))


def _huggingface(request: Request) -> tuple[Model, ...]:
    from zoospectra.zoo.sources.hub.huggingface import crawl as crawl_hub

    asked = ("name", "ids", "author", "task", "tags", "search", "sort", "limit", "glob", "checksums")
    return crawl_hub(**request.pick(*asked))


def _path(request: Request) -> str:
    if not request.values["path"]:
        msg = f"zoo={request.values['source']} needs zoo.path=DIR, the folder to look in"
        raise ValueError(msg)
    return str(request.values["path"])


def _located(models: Sequence[Model]) -> tuple[Model, ...]:
    """Catalogue rows with locators: where a worker finds the weights, and what they must hash to."""
    from zoospectra.zoo.fetch.settings import current
    from zoospectra.zoo.sources.packages.release import release

    hub = current().hub
    checksums = (model.extra.get("checksum") for model in models)
    return tuple(
        dataclasses.replace(model, path=release(model.weights_url, str(checksum) if checksum else None, hub))
        for model, checksum in zip(models, checksums, strict=True)
    )


CRAWLERS: dict[str, Callable[[Request], tuple[Model, ...]]] = {
    "digits": _digits,
    "local": _local,
    "pytorchcv": _pytorchcv,
    "torchvision": _torchvision,
    "timm": _timm,
    "huggingface": _huggingface,
    "pgdl": _pgdl,
}


def choose(models: Sequence[Model], globs: Sequence[str], limit: int | None) -> tuple[Model, ...]:
    """Models that any glob matches by name or id, at most `limit`, in the zoo's order; ValueError when none does."""
    if limit is not None and limit < 1:
        msg = f"limit={limit}: expected at least 1, or null for all"
        raise ValueError(msg)
    names = [(model.model_id, model.name) for model in models]
    return tuple(models[position] for position in select(names, globs, limit, fnmatchcase))
