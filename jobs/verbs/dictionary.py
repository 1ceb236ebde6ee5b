"""`zoospectra dictionary [TABLE]`: every table and column of the warehouse with its type, unit and meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from zoospectra.jobs.words.command import Configuration

HELP = f"""usage: zoospectra dictionary [TABLE ...] [warehouse.dir=DIR] [format={"|".join(FORMATS)}]

Every column of the newest warehouse, or of these tables: type, unit, meaning. Without a table also what each table and
macro is."""


@dataclass(frozen=True, slots=True)
class DictionarySettings:
    """Values of `dictionary`."""

    tables: list[str] = field(default_factory=list)
    """Tables to explain; none means all."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    format: str = "table"
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""

    def __post_init__(self) -> None:
        """Refuse an unknown format."""
        check_format(self.format, self.formulas)


def check(settings: DictionarySettings, _configuration: Configuration) -> tuple[Printable, ...]:
    """What is to be printed; ValueError for an unknown table or a missing warehouse."""
    import pyarrow as pa

    from zoospectra.warehouse.dictionary import descriptions

    warehouse = Path(settings.warehouse.dir)
    columns = Printable(dictionary(warehouse, settings.tables), settings.format, settings.formulas)
    if settings.tables or settings.format != "table":
        return (columns,)
    words = descriptions()
    overview = pa.table({"name": list(words), "what it is": list(words.values())})
    return Printable(overview, settings.format), columns


def dictionary(warehouse: str | Path = "data", tables: Sequence[str] = ()) -> pa.Table:
    """The data dictionary, one row a column, as kept in the warehouse itself; ValueError for an unknown table."""
    import pyarrow as pa

    from zoospectra.warehouse.dictionary import dictionary as read_dictionary

    entries = read_dictionary(Path(warehouse))
    known = dict.fromkeys(entry.table for entry in entries)
    for name in tables:
        if name not in known:
            msg = f"unknown table {name!r}: expected one of {', '.join(known)}"
            raise ValueError(msg)
    return pa.Table.from_pylist([dataclasses.asdict(entry) for entry in entries if not tables or entry.table in tables])


def show(results: tuple[Printable, ...]) -> None:
    """One table after another."""
    for result in results:
        print_as(result)


VERB = Verb(
    HELP,
    DictionarySettings,
    check,
    lambda results: results,
    show,
    positional=(Positional("tables", "TABLE", many=True, optional=True),),
)
