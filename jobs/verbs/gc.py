"""`zoospectra gc`: removes what nobody needs: old generations, replaced and damaged parts, what killed writers left."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.words.verb import Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoospectra.jobs.words.command import Configuration
    from zoospectra.warehouse.weight import Waste

HELP = """usage: zoospectra gc [dry=true] [warehouse.keep=N] [warehouse.dir=DIR]

Removes generations beyond the newest N, parts that a merged one replaces, damaged parts that were moved aside, and what
killed writers left. A generation that is younger than a day, or that a reader on this machine holds, stays, and so does
every result. dry: only say what would go."""


@dataclass(frozen=True, slots=True)
class GcSettings:
    """Values of `gc`."""

    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    dry: bool = False
    """Whether to say only what would be removed."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, or would be."""

    settings: GcSettings
    """As composed."""
    removed: Sequence[Waste]
    """Files."""


def check(settings: GcSettings, _configuration: Configuration) -> GcSettings:
    """ValueError when there is no warehouse."""
    from zoospectra.warehouse.connect import newest

    newest(Path(settings.warehouse.dir))
    return settings


def gc(settings: GcSettings) -> Collected:
    """Remove, or only look."""
    from zoospectra.warehouse.weight import collect, wastes

    act = wastes if settings.dry else collect
    return Collected(settings, act(Path(settings.warehouse.dir), settings.warehouse.keep))


def show(result: Collected) -> None:
    """Files with their reasons, and the bytes."""
    from zoospectra.jobs.show.plain import plain
    from zoospectra.jobs.show.units import size

    root = Path(result.settings.warehouse.dir).resolve()
    word = "would remove" if result.settings.dry else "removed"
    for waste in result.removed:
        print(plain(f"{word} {waste.path.relative_to(root)}: {waste.why}, {size(waste.bytes)}"))
    print(f"{word} {len(result.removed)} files, {size(sum(waste.bytes for waste in result.removed))}")


VERB = Verb(HELP, GcSettings, check, gc, show)
