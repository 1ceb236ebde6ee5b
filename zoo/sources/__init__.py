"""Where models come from: one file or folder a source, found by name and imported when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from zoospectra.zoo.sources.record import Crawl, Source

__all__ = ["SOURCES", "Crawl", "Source", "source"]

SOURCES: dict[str, str] = {
    "digits": "zoospectra.zoo.sources.digits.catalog",
    "local": "zoospectra.zoo.sources.local",
    "pytorchcv": "zoospectra.zoo.sources.packages.pytorchcv",
    "torchvision": "zoospectra.zoo.sources.packages.torchvision",
    "timm": "zoospectra.zoo.sources.packages.timm",
    "huggingface": "zoospectra.zoo.sources.hub.huggingface",
    "pgdl": "zoospectra.zoo.sources.pgdl",
    "pypi": "zoospectra.zoo.sources.pypi.wheels",
    "published": "zoospectra.zoo.sources.tables.published",
}
"""Name of a source -> the module that ends in its `SOURCE`."""


def source(name: str) -> Source[Any]:
    """A source by its name; ValueError lists the known ones for an unknown name."""
    if name not in SOURCES:
        msg = f"unknown source of models {name!r}; known: {', '.join(SOURCES)}"
        raise ValueError(msg)
    return cast(Source[Any], import_module(SOURCES[name]).SOURCE)
