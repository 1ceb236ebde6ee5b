"""Asking a source for its models: settings in, models out, the choice of the user applied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from jobs.plan import select
from zoo.model import Model

Say = Callable[[str], None]


def crawl(source: str, name: str, path: str | None, *, cache: Path, workers: int | None, say: Say) -> tuple[Model, ...]:
    """Models of a zoo; ValueError on an unknown source, a missing folder, an unreadable catalogue."""
    if source not in CRAWLERS:
        msg = f"unknown zoo source {source!r}: expected one of {', '.join(CRAWLERS)}"
        raise ValueError(msg)
    return CRAWLERS[source](name, path, cache, workers, say)


def _digits(name: str, path: str | None, cache: Path, workers: int | None, say: Say) -> tuple[Model, ...]:
    from zoo.digits import crawl as crawl_digits

    def progress(done: int, total: int, model: str) -> None:
        say(f"trained {done} of {total}: {model}")

    return crawl_digits(cache, workers=workers, progress=progress)


def _local(name: str, path: str | None, cache: Path, workers: int | None, say: Say) -> tuple[Model, ...]:
    from zoo.fingerprint import FingerprintCache
    from zoo.sources.local import crawl as crawl_local

    if path is None:
        msg = "zoo=local needs zoo.path=DIR, a folder of weight files (or one file)"
        raise ValueError(msg)
    return crawl_local(path, name, FingerprintCache.load(cache))


CRAWLERS: dict[str, Callable[[str, str | None, Path, int | None, Say], tuple[Model, ...]]] = {
    "digits": _digits,
    "local": _local,
}


def choose(models: Sequence[Model], globs: Sequence[str], limit: int | None) -> tuple[Model, ...]:
    """Models that any glob matches by name or id, at most `limit`, in the zoo's order; ValueError when none does."""
    if limit is not None and limit < 1:
        msg = f"limit={limit}: expected at least 1, or null for all"
        raise ValueError(msg)
    names = [(model.model_id, model.name) for model in models]
    return tuple(models[position] for position in select(names, globs, limit, fnmatchcase))
