"""`zoospectra du`: what a warehouse weighs, by generation, kind of part, code version, profile, cache and garbage."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.jobs.words.command import Configuration

HELP = f"""usage: zoospectra du [warehouse.dir=DIR] [warehouse.keep=N] [format={"|".join(FORMATS)}]

What takes room in DIR, in bytes: every generation, the parts by kind, code version and profile, the cache, and what
`zoospectra gc` would remove. A part of several versions or profiles is shared out by its rows."""


@dataclass(frozen=True, slots=True)
class DuSettings:
    """Values of `du`."""

    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    format: str = "table"
    """How the result is printed."""

    def __post_init__(self) -> None:
        """Refuse an unknown format."""
        check_format(self.format)


def check(settings: DuSettings, _configuration: Configuration) -> DuSettings:
    """ValueError when there is no warehouse."""
    from zoospectra.warehouse.connect import newest

    newest(Path(settings.warehouse.dir))
    return settings


def du(settings: DuSettings) -> Printable:
    """One row a thing that takes room."""
    import pyarrow as pa

    from zoospectra.warehouse.weight import weights

    rows = weights(Path(settings.warehouse.dir), settings.warehouse.keep)
    return Printable(pa.Table.from_pylist([asdict(row) for row in rows]), settings.format)


VERB = Verb(HELP, DuSettings, check, du, print_as)
