"""`zoospectra dictionary [TABLE]`: every table and column of the warehouse with its type, unit and meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from zoospectra.jobs.verbs.sql import WRITERS
from zoospectra.jobs.words.command import MisuseError, answered, compose, misuse
from zoospectra.jobs.words.settings import SqlSettings
from zoospectra.warehouse.dictionary import descriptions
from zoospectra.warehouse.dictionary import dictionary as read_dictionary

HELP = """usage: zoospectra dictionary [TABLE ...] [warehouse.dir=DIR] [format=table|csv|json|parquet]

Every column of the newest warehouse, or of these tables: type, unit, meaning. Without a table also what each table and
macro is."""


def dictionary(warehouse: str | Path = "data", tables: Sequence[str] = ()) -> pa.Table:
    """The data dictionary, one row a column, as kept in the warehouse itself; ValueError for an unknown table."""
    entries = read_dictionary(Path(warehouse))
    known = dict.fromkeys(entry.table for entry in entries)
    for name in tables:
        if name not in known:
            msg = f"unknown table {name!r}: expected one of {', '.join(known)}"
            raise ValueError(msg)
    rows = [dataclasses.asdict(entry) for entry in entries if not tables or entry.table in tables]
    return pa.Table.from_pylist(rows)


def command(words: Sequence[str]) -> int:
    """Entry of the verb."""
    tables = [word for word in words if "=" not in word and not word.startswith("-")]
    rest = [word for word in words if word not in tables]
    if answered("sql", rest, HELP, SqlSettings):
        return 0
    settings = compose("sql", rest, SqlSettings)
    if settings.format not in WRITERS:
        raise MisuseError(f"unknown format {settings.format!r}: expected one of {', '.join(WRITERS)}")
    with misuse():
        found = dictionary(settings.warehouse.dir, tables)
    if not tables and settings.format == "table":
        what = descriptions()
        WRITERS["table"](pa.table({"name": list(what), "what it is": list(what.values())}))
    WRITERS[settings.format](found)
    return 0
