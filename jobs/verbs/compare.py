"""`zoospectra compare BASE PATH`: two checkpoints of one architecture, layer by layer, from their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Positional, Verb, check_one_profile
from zoospectra.warehouse.settings import WarehouseSettings
from zoospectra.zoo.fetch.settings import FetchSettings

if TYPE_CHECKING:
    from zoospectra.analysis.profile import Profile
    from zoospectra.jobs.words.command import Configuration
    from zoospectra.zoo.layers.layer import Layer

HELP = f"""usage: zoospectra compare BASE PATH [keep=true] [profiles=NAME] [format={"|".join(FORMATS)}]
                          [warehouse.dir=DIR]

Compares two checkpoints layer by layer: relative distance, cosine, linear CKA, and alpha, norms, rank, entropy, signal
and energy of each and of their difference. Each is a file, a folder, FILE#NET, a model of the warehouse whose
checkpoint is still where it was, or a model of the hub (author/name). Layers are matched by name and read one by one;
one without a partner of its shape is a row that says so. keep=true keeps the rows, with the eigenvalues of every
difference, in the table delta_metrics."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Values of `compare`."""

    base: str
    """Checkpoint that the other is compared with."""
    path: str
    """The other checkpoint."""
    profiles: list[str] = field(default_factory=lambda: ["weightwatcher"])
    """The one convention to analyse by."""
    keep: bool = False
    """Whether the rows go to the warehouse."""
    format: str = "table"
    """How the result is printed."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)

    def __post_init__(self) -> None:
        """Refuse a format that is unknown, and more than one profile."""
        check_format(self.format, self.formulas)
        check_one_profile(self.profiles)


@dataclass(frozen=True, slots=True)
class Request:
    """A comparison that can begin."""

    base: Mapping[str, Layer]
    """Layers by name."""
    other: Mapping[str, Layer]
    """Layers by name."""
    profile: Profile
    """Convention to analyse by."""
    names: tuple[str, str]
    """What the base and the other are called."""
    settings: CompareSettings
    """As composed."""


def check(settings: CompareSettings, configuration: Configuration) -> Request:
    """Open both; ValueError for a missing or unreadable checkpoint."""
    from zoospectra.jobs.checks.subject import checkpoint
    from zoospectra.jobs.words.profiles import load_profiles
    from zoospectra.jobs.work.compare import layers_by_name
    from zoospectra.zoo.fetch.settings import configure

    warehouse = Path(settings.warehouse.dir)
    configure(settings.fetch, warehouse / "cache" / "fetch")
    base, other = (checkpoint(target, warehouse) for target in (settings.base, settings.path))
    (profile,) = load_profiles(settings.profiles, configuration)
    layers = layers_by_name(base.path or ""), layers_by_name(other.path or "")
    return Request(*layers, profile, (base.name, other.name), settings)


def compare(request: Request) -> Printable:
    """One row a layer of either checkpoint."""
    from zoospectra.jobs.work.compare import deltas
    from zoospectra.jobs.work.executors.node import memory_limit
    from zoospectra.jobs.work.plan import digest
    from zoospectra.warehouse import build, parts

    settings, directory = request.settings, Path(request.settings.warehouse.dir)
    shown, kept = deltas(request.base, request.other, request.profile, request.names, memory_limit())
    if settings.keep:
        parts.write(directory, "delta_metrics", digest([*request.names, request.profile.key]), kept)
        build.publish_results(directory, keep=settings.warehouse.keep)
    return Printable(shown, settings.format, settings.formulas, keep=("distance",))


PATHS = (Positional("base", "BASE"), Positional("path", "PATH"))
VERB = Verb(HELP, CompareSettings, check, compare, print_as, positional=PATHS)
