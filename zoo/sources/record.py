"""What a source of models is: the options it takes, and the crawl that turns them into models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from zoospectra.zoo.model import Model

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class Crawl:
    """What every source is given beside its options."""

    zoo: str
    """Name of the zoo, the first part of every model_id."""
    cache: Path
    """Folder that the source may keep things in; made by the source when it is missing."""
    report: Callable[[str], None]
    """Takes one line of news of a crawl that takes long."""


@dataclass(frozen=True, slots=True)
class Source(Generic[Options]):
    """One source of models; the last name in its module is `SOURCE`."""

    name: str
    """Its name in SOURCES and in `zoo.source`."""
    options: type[Options]
    """Frozen dataclass: the keys `zoo.KEY` besides source and name; checks its values when made."""
    crawl: Callable[[Options, Crawl], Sequence[Model]]
    """Lists models without reading a tensor. ValueError for what the user can mend."""
