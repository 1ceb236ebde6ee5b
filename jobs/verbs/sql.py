"""`zoospectra sql "SELECT ..."`: a read-only query, as a table, CSV, JSON or Parquet; a prompt without one.

The query is a plain argument, never parsed as an override.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from zoospectra.jobs.show.display import print_table
from zoospectra.jobs.words.command import MisuseError, answered, compose, misuse
from zoospectra.jobs.words.settings import SqlSettings
from zoospectra.warehouse.query import query

HELP = """usage: zoospectra sql ["SELECT ..."] [warehouse.dir=DIR] [format=table|csv|json|parquet]

Tables and columns are documented in the warehouse: SELECT * FROM duckdb_columns() has them with units and comments."""


def sql(text: str, warehouse: str | Path = "data") -> pa.Table:
    """Run one read-only query on the newest generation; ValueError says what is wrong with it."""
    return query(Path(warehouse), text)


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    texts = [word for word in words if not _is_setting(word)]
    rest = [word for word in words if _is_setting(word)]
    if answered("sql", rest, HELP, SqlSettings):
        return 0
    settings = compose("sql", rest, SqlSettings)
    if settings.format not in WRITERS:
        raise MisuseError(f"unknown format {settings.format!r}: expected one of {', '.join(WRITERS)}")
    if len(texts) > 1:
        raise MisuseError(f"expected one query in quotes, got {len(texts)} words: {texts[0]!r}, {texts[1]!r}, ...")
    if texts:
        with misuse():
            WRITERS[settings.format](sql(texts[0], settings.warehouse.dir))
        return 0
    return _prompt(settings)


def _is_setting(word: str) -> bool:
    return word.startswith(("warehouse.", "warehouse=", "format=", "--"))


def _prompt(settings: SqlSettings) -> int:
    """Queries line by line until end of input; a mistake is reported and the prompt goes on."""
    if sys.stdin.isatty():
        print("one query a line; end of input leaves", file=sys.stderr)
    while True:
        try:
            line = input("zoospectra> " if sys.stdin.isatty() else "")
        except EOFError:
            return 0
        if line.strip():
            try:
                WRITERS[settings.format](sql(line, settings.warehouse.dir))
            except ValueError as error:
                print(f"zoospectra sql: {error}", file=sys.stderr)


def _print_table(table: pa.Table) -> None:
    print_table(table)
    print(f"{table.num_rows} row{'' if table.num_rows == 1 else 's'}")


def _print_csv(table: pa.Table) -> None:
    flat = [
        column.cast(pa.string())
        if not pa.types.is_nested(column.type)
        else pa.array([json.dumps(v, default=str) for v in column.to_pylist()])
        for column in table.columns
    ]
    sys.stdout.flush()
    pa.csv.write_csv(pa.table(flat, names=table.column_names), sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _print_json(table: pa.Table) -> None:
    print(json.dumps(table.to_pylist(), default=str, indent=1))


def _print_parquet(table: pa.Table) -> None:
    if sys.stdout.isatty():
        raise MisuseError("format=parquet writes binary: redirect it, for example `> result.parquet`")
    pa.parquet.write_table(table, sys.stdout.buffer)
    sys.stdout.buffer.flush()


WRITERS: dict[str, Callable[[pa.Table], None]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
    "parquet": _print_parquet,
}
