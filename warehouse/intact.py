"""Damaged parts: found when a query stumbles over one, moved aside as `.broken`, reported, never fatal.

Only a failing disk makes one, since parts appear by rename; so nothing is checked until a read fails.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from zoospectra.warehouse.connect import connect

log = logging.getLogger(__name__)
Result = TypeVar("Result")


def is_intact(path: Path) -> bool:
    """Whether every page of a Parquet file can be read and matches its checksum."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return _is_readable(path)
    try:
        with file:
            for _ in file.iter_batches(use_threads=False):
                pass
    except (OSError, pa.ArrowException):
        return False
    return True


def _is_readable(path: Path) -> bool:
    """Whether DuckDB reads a file that Arrow does not open: words of the schema that are spoilt cost no numbers."""
    try:
        with connect() as connection:
            connection.execute("SELECT hash(COLUMNS(*)) FROM read_parquet($1)", [str(path)]).fetchall()
    except duckdb.Error:
        return False
    return True


def set_aside(path: Path) -> Path:
    """Rename a damaged part to `<name>.broken`, out of every listing; returns the new path."""
    broken = path.with_name(path.name + ".broken")
    with suppress(FileNotFoundError):  # another process met the same damage first
        path.replace(broken)
    log.warning("damaged part moved aside: %s; the next scan recomputes what it held", broken)
    return broken


def read_intact(paths: list[Path], read: Callable[[list[Path]], Result]) -> tuple[Result, list[Path]]:
    """read(paths); when DuckDB fails on damaged parts, they are moved aside and the rest is read again.

    Returns the result and the parts moved aside. A failure that no damaged part explains is raised.
    """
    try:
        return read(paths), []
    except duckdb.Error:
        damaged = [path for path in paths if path.exists() and not is_intact(path)]
        left = [path for path in paths if path.exists() and path not in damaged]
        if len(left) == len(paths):
            raise
    moved = [set_aside(path) for path in damaged]
    return read(left), moved
