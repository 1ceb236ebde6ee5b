"""A result as a table for people, CSV, JSON or Parquet, on standard output: one writer a format."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Printable:
    """A table and how it shall be printed."""

    table: pa.Table
    """Rows."""
    format: str
    """A key of FORMATS."""


def check_format(name: str) -> None:
    """Raise ValueError for an unknown format, and for a binary one that would go to a terminal."""
    if name not in FORMATS:
        msg = f"format={name}: expected one of {', '.join(FORMATS)}"
        raise ValueError(msg)
    if name == "parquet" and sys.stdout.isatty():
        msg = "format=parquet writes binary: redirect it, for example `> result.parquet`"
        raise ValueError(msg)


def print_as(result: Printable) -> None:
    """Print a table in its format."""
    FORMATS[result.format](result.table)


def _table(table: pa.Table) -> None:
    from zoospectra.jobs.show.display import print_table

    print_table(table)
    print(f"{table.num_rows} row{'' if table.num_rows == 1 else 's'}")


def _csv(table: pa.Table) -> None:
    import pyarrow as pa
    import pyarrow.csv

    flat = [
        column.cast(pa.string())
        if not pa.types.is_nested(column.type)
        else pa.array([json.dumps(value, default=str) for value in column.to_pylist()])
        for column in table.columns
    ]
    sys.stdout.flush()
    pyarrow.csv.write_csv(pa.table(flat, names=table.column_names), sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _json(table: pa.Table) -> None:
    print(json.dumps(table.to_pylist(), default=str, indent=1))


def _parquet(table: pa.Table) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, sys.stdout.buffer)
    sys.stdout.buffer.flush()


FORMATS: dict[str, Callable[[pa.Table], None]] = {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}
