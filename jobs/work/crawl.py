"""Asking a source for its models: settings in, models out, the choice of the user applied."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoospectra.jobs.exit import PROCESS, Exit, end_process
from zoospectra.jobs.show.log import tell
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.silence import is_silent
from zoospectra.jobs.words.verb import REGISTRY, VARIANTS
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import SOURCES, Crawl, source
from zoospectra.zoo.sources.watch import WATCH
from zoospectra.zoo.spool import spooled


@dataclass(frozen=True, slots=True)
class ZooSettings:
    """Which zoo; the options are those of its source, and stand beside these keys."""

    source: str = field(
        default="digits", metadata={VARIANTS: lambda: {name: {"source": name, "name": name} for name in SOURCES}}
    )
    """Name of a source, a key of zoo.sources.SOURCES."""
    name: str = "digits"
    """Prefix of the models' ids."""
    rules: str | None = None
    """YAML file of what you know better about tensors, see zoo.layers.rules; null for none."""
    options: Any = field(default=None, metadata={REGISTRY: lambda values: source(values["source"]).options})
    """Options of the source, a record of its own."""


def crawl(zoo: ZooSettings, cache: Path, globs: Sequence[str] = (), limit: int | None = None) -> Sequence[Model]:
    """Models of a zoo, those that any glob matches by name or id, at most `limit`, in the zoo's order.

    Raises ValueError on an unknown source, a missing folder, an unreadable catalog, a choice that matches nothing.
    """
    if limit is not None and limit < 1:
        msg = f"limit={limit}: expected at least 1, or null for all"
        raise ValueError(msg)
    with _watched():
        models = source(zoo.source).crawl(zoo.options, Crawl(zoo.name, cache, _report))
    matching = (model for model in models if any(_matches(model, glob) for glob in globs)) if globs else models
    chosen = spooled(matching if limit is None else itertools.islice(matching, limit))
    if not chosen:
        some = ", ".join(model.name for model in models[:3])
        msg = f"no model of zoo={zoo.name} matches {', '.join(globs)}: expected globs on names such as {some}"
        raise ValueError(msg if models else f"zoo={zoo.name} lists no model that was asked for")
    return chosen


@contextmanager
def _watched() -> Iterator[None]:
    """End the command's own process, in one line, when its disk answers no more: nothing else can end such a call."""
    over = threading.Event()
    WATCH.at("")
    if PROCESS.own:
        threading.Thread(target=_watch, args=(over,), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(over: threading.Event) -> None:
    if is_silent(lambda: (WATCH.path, WATCH.since) if WATCH.path else object(), over):
        words = f"{plain(WATCH.path)} or what lies beside it does not answer for {WATCH.seconds():.0f} s"
        advice = "is its mount hanging? Mount it anew, then run the same command"
        end_process(f"zoospectra: {words}: {advice}", Exit.BROKE)


def _matches(model: Model, glob: str) -> bool:
    return fnmatchcase(model.name, glob) or fnmatchcase(model.model_id, glob)


def _report(text: str) -> None:
    tell(f"crawl: {plain(text)}")
