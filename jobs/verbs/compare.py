"""`zoospectra compare BASE PATH`: two checkpoints of one architecture, layer by layer, from their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Positional, Verb

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.zoo.layers.layer import Layer

HELP = f"""usage: zoospectra compare BASE PATH [profiles=NAME] [format={"|".join(FORMATS)}]

Compares two checkpoints layer by layer: relative distance, linear CKA, and alpha, spectral norm and stable rank of each
and of their difference. Layers are matched by name; one without a partner of its shape is a row that says so."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Values of `compare`."""

    base: str
    """Checkpoint that the other is compared with."""
    path: str
    """The other checkpoint."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention to analyse by."""
    format: str = "table"
    """How the result is printed."""

    def __post_init__(self) -> None:
        """Refuse a format that is unknown, and more than one profile."""
        check_format(self.format)
        if len(self.profiles) != 1:
            msg = f"profiles={','.join(self.profiles)}: expected one name"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison that can begin."""

    base: Mapping[str, Layer]
    """Layers by name."""
    other: Mapping[str, Layer]
    """Layers by name."""
    profile: Profile
    """Convention to analyse by."""
    format: str
    """How the result is printed."""


def check(settings: CompareSettings, configuration: Configuration) -> Request:
    """Open both; ValueError for a missing or unreadable checkpoint."""
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work.compare import layers_by_name
    from zoospectra.zoo.checkpoint.formats import place

    for path in (settings.base, settings.path):
        if not Path(place(path)[0]).exists():
            msg = f"{path}: no such file or folder"
            raise ValueError(msg)
    (profile,) = load_profiles(settings.profiles, configuration)
    return Request(layers_by_name(settings.base), layers_by_name(settings.path), profile, settings.format)


def compare(request: Request) -> Printable:
    """One row a layer of either checkpoint."""
    from zoospectra.jobs.work.compare import compare_layers

    return Printable(compare_layers(request.base, request.other, request.profile), request.format)


PATHS = (Positional("base", "BASE"), Positional("path", "PATH"))
VERB = Verb(HELP, CompareSettings, check, compare, print_as, positional=PATHS)
