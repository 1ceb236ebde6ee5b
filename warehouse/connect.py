"""Settings of every DuckDB connection, and where the generations of a warehouse lie."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from zoospectra.warehouse.disk import written
from zoospectra.warehouse.place import STORAGE

# Nothing ever reaches for the network: json, parquet and icu are linked into the wheel.
SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "storage_compatibility_version": STORAGE,
    "threads": str(min(4, os.cpu_count() or 1)),
}
DISK = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EACCES, errno.ENOTDIR),
    *(errno.EMFILE, errno.ENFILE, errno.EFBIG),
)
"""What a disk may answer."""
REFUSED = (errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE)
"""Of these, what says that a file may be there, and cannot be had."""
GONE = "database does not exist"
"""What DuckDB says instead of ENOENT."""
GENERATION = re.compile(r"warehouse-(\d+)\.duckdb")


def connect(
    path: str | Path = ":memory:", read_only: bool = False, settings: dict[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """DuckDB with SETTINGS and more, times shown in UTC; the caller closes it.

    All connections of a process to one path share an instance and its settings: where one of them has locked these,
    they are as that one left them.
    Raises duckdb.IOException when the file is missing (read_only), locked by a writer, or no database; OSError when the
    system refuses it.
    """
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=SETTINGS | (settings or {}))
    except duckdb.IOException as error:
        number = next((number for number in REFUSED if f": {os.strerror(number)}" in str(error)), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error
    if not is_locked(connection):
        connection.execute("SET GLOBAL TimeZone = 'UTC'").fetchall()
    return connection


def is_damaged(error: duckdb.Error) -> bool:
    """Whether DuckDB says of a file that its bytes are no database, or no whole one."""
    return any(words in str(error) for words in ("Corrupt database file", "not a valid DuckDB database"))


def is_locked(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the settings of a connection's instance can no longer be changed."""
    ((locked,),) = connection.execute("SELECT current_setting('lock_configuration')").fetchall()
    return bool(locked)


def no_memory(error: duckdb.OutOfMemoryException) -> MemoryError:
    """DuckDB's words as Python's own error."""
    return MemoryError(str(error).partition("\n")[0])


@contextmanager
def disk_errors(directory: Path) -> Iterator[None]:
    """DuckDB's words about a full, read-only or vanished disk below `directory` as Python's OSError, which names it.

    A process that gets no memory is Python's MemoryError, in DuckDB's words.
    """
    try:
        with written(directory):
            yield
    except duckdb.OutOfMemoryException as error:
        raise no_memory(error) from error
    except duckdb.Error as error:
        text = str(error).replace(GONE, os.strerror(errno.ENOENT))
        number = next((number for number in DISK if os.strerror(number) in text), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(directory)) from error


def quoted(name: str) -> str:
    """The name of a table or column as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def generations(directory: Path) -> list[tuple[int, Path]]:
    """Published generations (number, path), oldest first; empty without a folder."""
    if not directory.is_dir():
        return []
    numbered = ((GENERATION.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted((int(match.group(1)), path) for match, path in numbered if match)


def newest(directory: Path) -> Path:
    """Path of the generation that `warehouse.duckdb` points at.

    The name with its number is opened, never the link: DuckDB keeps one instance a path in a process, and would go on
    serving the old generation through the same name. Raises ValueError when there is no warehouse.
    """
    link = directory / "warehouse.duckdb"
    if link.is_symlink() and link.exists():
        return link.resolve()
    if published := generations(directory):  # killed between the rename and the new link, on the first build
        return published[-1][1].resolve()
    msg = f"no warehouse at {directory}: run 'zoospectra scan warehouse.dir={directory}' first"
    raise ValueError(msg)
