"""Damaged parts: told by their checksum or those of their pages, moved aside as `.broken`, reported, never fatal.

Only a failing disk makes one, since parts appear by rename. A build compares every part that it reads for the first
time, `known.read_spectra` every page that it reads, and verified.py the rest.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from zoospectra.warehouse.connect import connect
from zoospectra.warehouse.parts import CHECKED, checksum, is_of_kind

log = logging.getLogger(__name__)


def is_intact(path: Path, kind: str) -> bool:
    """Whether a part is of its kind, and every page can be read and matches its checksum; a pipe, which blocks, no."""
    if not path.is_file():
        return False
    if (match := CHECKED.fullmatch(path.name)) is not None:
        with suppress(OSError, UnicodeDecodeError, pa.ArrowException):
            return checksum(path) == match[1] and is_of_kind(pq.read_schema(path), kind)
        return False
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, UnicodeDecodeError, pa.ArrowException):  # a message may quote the damage
        return _is_readable(path)
    try:
        with file:
            if not is_of_kind(file.schema_arrow, kind):
                return False
            for _ in file.iter_batches(batch_size=2048, use_threads=False):
                pass
    except (OSError, UnicodeDecodeError, pa.ArrowException):  # a message may quote the damage
        return False
    return True


def _is_readable(path: Path) -> bool:
    """Whether DuckDB reads a file that Arrow does not open: words of the schema that are spoilt cost no numbers."""
    try:
        with connect() as connection:
            connection.execute("SELECT hash(COLUMNS(*)) FROM read_parquet($1)", [str(path)]).fetchall()
    except (duckdb.Error, UnicodeDecodeError):
        return False
    return True


def set_aside(path: Path) -> Path:
    """Rename a damaged part to `<name>.broken`, out of every listing; returns the new path."""
    broken = path.with_name(path.name + ".broken")
    with suppress(FileNotFoundError):  # another process met the same damage first
        path.replace(broken)
    log.warning("damaged part moved aside: %s; the next scan recomputes what it held", broken)
    return broken
