"""Where models come from: one file a source, each with a `crawl` that returns models and reads no tensors."""

from __future__ import annotations

from collections.abc import Callable

from zoospectra.zoo.model import Model
from zoospectra.zoo.sources import local

SOURCES: dict[str, Callable[..., tuple[Model, ...]]] = {
    "local": local.crawl,
}
"""Name of a source -> how its models are listed."""


def source(name: str) -> Callable[..., tuple[Model, ...]]:
    """The crawl function of a source; ValueError lists the known ones for an unknown name."""
    if name not in SOURCES:
        msg = f"unknown source of models {name!r}; known: {', '.join(SOURCES)}"
        raise ValueError(msg)
    return SOURCES[name]
