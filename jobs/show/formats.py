"""A result as a table for people, CSV, JSON or Parquet, on standard output: one writer a format."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoospectra.jobs.show.plain import plain

if TYPE_CHECKING:
    import pyarrow as pa


FORMULAS = ("keep", "escape")
"""Texts in CSV as they are; or with an apostrophe where they begin with a character of FORMULA, hidden ones escaped."""

FORMULA = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""First characters that make a cell a formula, the full-width ones of East Asian keyboards too; for a regular
expression."""


@dataclass(frozen=True, slots=True)
class Printable:
    """A table and how it shall be printed."""

    table: pa.Table
    """Rows."""
    format: str
    """A key of FORMATS."""
    formulas: str = "keep"
    """One of FORMULAS: what CSV does with texts that a spreadsheet would compute."""
    keep: tuple[str, ...] = ()
    """Columns that a table for people never leaves out, besides the first; where there are any, a row is one line."""


def check_format(name: str, formulas: str = "keep") -> None:
    """Raise ValueError for unknown values, and for a binary format that would go to a terminal."""
    if formulas not in FORMULAS:
        msg = f"formulas={formulas}: expected one of {', '.join(FORMULAS)}"
        raise ValueError(msg)
    if name not in FORMATS:
        msg = f"format={name}: expected one of {', '.join(FORMATS)}"
        raise ValueError(msg)
    if name == "parquet" and sys.stdout.isatty():
        msg = "format=parquet writes binary: redirect it, for example `> result.parquet`"
        raise ValueError(msg)


def print_as(result: Printable) -> None:
    """Print a table in its format."""
    FORMATS[result.format](result)


def as_text(table: pa.Table, formulas: str) -> pa.Table:
    """The table with its texts, names of columns too, as plain ones: hidden characters escaped as on a screen.

    formulas='escape': with an apostrophe before what a spreadsheet takes for a formula, by the rule of OWASP's page
    "CSV Injection": a first character of FORMULA. Numbers stay as they are.
    """
    import pyarrow as pa

    def cell(text: str | None) -> str | None:
        marked = text and formulas == "escape" and re.match(f"[{FORMULA}]", text)
        return text and ("'" if marked else "") + plain(text)

    columns = []
    for column in table.columns:
        held = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        is_text = pa.types.is_string(held.type) or pa.types.is_large_string(held.type)
        columns.append(pa.array(map(cell, held.to_pylist()), held.type) if is_text else held)
    return pa.table(columns, names=[cell(name) or name for name in table.column_names])


def _table(result: Printable) -> None:
    from zoospectra.jobs.show.display import print_table

    table = result.table
    print_table(table, keep=result.keep, whole=not result.keep)
    print(f"{table.num_rows} row{'' if table.num_rows == 1 else 's'}")


def _csv(result: Printable) -> None:
    import pyarrow as pa
    import pyarrow.csv

    raw = result.formulas == "keep" and not sys.stdout.isatty()  # a terminal obeys what a file only holds
    table = result.table if raw else as_text(result.table, result.formulas)
    flat = [_texts(column) for column in table.columns]
    sys.stdout.flush()
    pyarrow.csv.write_csv(pa.table(flat, names=table.column_names), sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """A column as CSV has it: bytes in hex, what is nested as JSON."""
    import pyarrow as pa

    if pa.types.is_binary(column.type):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    if pa.types.is_nested(column.type):
        return pa.array([json.dumps(value, default=str) for value in column.to_pylist()])
    return column.cast(pa.string())


def _json(result: Printable) -> None:
    print(json.dumps(result.table.to_pylist(), default=str, indent=1))


def _parquet(result: Printable) -> None:
    import pyarrow.parquet

    pyarrow.parquet.write_table(result.table, sys.stdout.buffer)
    sys.stdout.buffer.flush()


FORMATS: dict[str, Callable[[Printable], None]] = {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}
