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
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""

    def __post_init__(self) -> None:
        """Refuse an unknown format."""
        check_format(self.format, self.formulas)


def check(settings: DuSettings, _configuration: Configuration) -> DuSettings:
    """ValueError when there is no warehouse."""
    from zoospectra.warehouse.connect import newest

    newest(Path(settings.warehouse.dir))
    return settings


def du(settings: DuSettings) -> Printable:
    """One row a thing that takes room."""
    import pyarrow as pa

    from zoospectra.jobs.show.units import size
    from zoospectra.warehouse.weight import weights

    rows = weights(Path(settings.warehouse.dir), settings.warehouse.keep)
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    if settings.format == "table":
        at = table.column_names.index("bytes")
        table = table.set_column(at, "size", pa.array([size(row.bytes) for row in rows]))
    return Printable(table, settings.format, settings.formulas, keep=("size",))


VERB = Verb(HELP, DuSettings, check, du, print_as)
