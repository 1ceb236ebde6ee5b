"""`zoospectra sql "SELECT ..."`: a read-only query, as a table, CSV, JSON or Parquet; a prompt without one."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoospectra.jobs.exit import PROCESS
from zoospectra.jobs.show.formats import FORMATS, Printable, check_format, print_as
from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.words.verb import Positional, Verb
from zoospectra.warehouse.settings import WarehouseSettings

if TYPE_CHECKING:
    from zoospectra.jobs.words.command import Configuration

HELP = f"""usage: zoospectra sql ["SELECT ..."] [warehouse.dir=DIR] [format={"|".join(FORMATS)}]

Tables and columns are documented in the warehouse: SELECT * FROM duckdb_columns() has them with units and comments."""


@dataclass(frozen=True, slots=True)
class SqlSettings:
    """Values of `sql`."""

    query: str | None = None
    """One statement that reads; None for a prompt."""
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    format: str = "table"
    """How the result is printed: table, csv, json or parquet."""
    formulas: str = "keep"
    """Whether CSV has an apostrophe before texts that a spreadsheet would compute: 'keep' or 'escape'."""

    memory_gb: float | None = 4.0
    """Gigabytes (10^9 bytes) that a query may take, and its result; null for no limit."""
    seconds: float | None = 600.0
    """Seconds after which a query is interrupted; null for no limit."""

    def __post_init__(self) -> None:
        """Refuse an unknown format, and limits that nothing could keep."""
        check_format(self.format, self.formulas)
        for name in ("memory_gb", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                msg = f"{name}={value:g}: expected more than 0, or null for no limit"
                raise ValueError(msg)


def check(settings: SqlSettings, _configuration: Configuration) -> SqlSettings | Printable:
    """The result of the query, since only asking tells whether it is right; ValueError says what is wrong with it.

    Without a query the settings, for a prompt; ValueError without a warehouse.
    """
    if settings.query is not None:
        return run_query(settings, settings.query)
    from zoospectra.warehouse.connect import newest

    newest(Path(settings.warehouse.dir))
    return settings


def run_query(settings: SqlSettings, text: str) -> Printable:
    """Run one read-only query on the newest generation; ValueError says what is wrong with it."""
    from zoospectra.jobs.work.runaway import ended
    from zoospectra.warehouse.query import Limits, query

    limits = Limits(settings.memory_gb, settings.seconds)
    with ended(limits.memory_gb, limits.seconds) if PROCESS.own else nullcontext():
        table = query(Path(settings.warehouse.dir), text, limits=limits)
    return Printable(table, settings.format, settings.formulas)


def show(result: SqlSettings | Printable) -> None:
    """The result; without a query, a prompt."""
    if isinstance(result, Printable):
        print_as(result)
    else:
        _prompt(result)


def _prompt(settings: SqlSettings) -> None:
    """Queries line by line until end of input; a mistake is reported and the prompt goes on."""
    if sys.stdin.isatty():
        from zoospectra.jobs.show.prompt import prepare_prompt

        prepare_prompt(Path(settings.warehouse.dir))
        print("one query a line; tab completes, arrows recall; end of input leaves", file=sys.stderr)
    while True:
        try:
            line = input("zoospectra> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return
        if line.strip():
            try:
                print_as(run_query(settings, line))
            except ValueError as error:
                print(f"zoospectra sql: {plain(str(error))}", file=sys.stderr)


QUERY = (Positional("query", '"SELECT ..."', optional=True),)
VERB = Verb(HELP, SqlSettings, check, lambda result: result, show, positional=QUERY)
