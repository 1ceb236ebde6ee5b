"""The time that rows are stamped with: this machine's, but after all that the warehouse holds already.

The newest rows win over older ones. Where a clock was ahead when some were written, or is set back, those of today
would lose to them in silence. Not covered: two machines that write at once with different clocks.
"""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path

import duckdb

from zoospectra.warehouse.connect import connect, newest, quoted

COLUMNS = ("started", "finished", "last_seen", "written")
"""Columns that say when something was written or seen."""

TICK = datetime.timedelta(microseconds=1)
NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)

_LAST: dict[Path, datetime.datetime] = {}
"""The last time that this process gave or met, by warehouse."""


def now(directory: Path) -> datetime.datetime:
    """UTC, later than what the newest generation held when this process first asked, and than every time since."""
    directory = directory.resolve()
    if directory not in _LAST:
        _LAST[directory] = latest(directory)
    _LAST[directory] = max(datetime.datetime.now(datetime.UTC), _LAST[directory] + TICK)
    return _LAST[directory]


def follow(directory: Path) -> datetime.timedelta:
    """Look again at what the newest generation holds; returns how far that is ahead of this machine, if it is."""
    directory = directory.resolve()
    _LAST[directory] = max(_LAST.get(directory, NEVER), latest(directory))
    return max(_LAST[directory] - datetime.datetime.now(datetime.UTC), datetime.timedelta(0))


def latest(directory: Path) -> datetime.datetime:
    """The latest time in the newest generation; long ago where there is none that can be read."""
    times = [NEVER]
    with suppress(ValueError, duckdb.Error), connect(newest(directory), read_only=True) as connection:
        sql = """SELECT c.table_name, c.column_name FROM duckdb_columns() AS c JOIN duckdb_tables() USING (table_oid)
            WHERE c.column_name IN (SELECT unnest($names)) AND c.data_type LIKE 'TIMESTAMP%'"""
        for table, column in connection.execute(sql, {"names": list(COLUMNS)}).fetchall():
            ((value,),) = connection.execute(f"SELECT epoch_us(max({quoted(column)})) FROM {quoted(table)}").fetchall()
            if value is not None:
                times.append(datetime.datetime.fromtimestamp(0, datetime.UTC) + value * TICK)
    return max(times)
