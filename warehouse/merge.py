"""Merging: small parts of a kind become one, so that the number of files does not grow with the number of runs.

A merged part names the parts it replaces. As soon as it is in place they no longer count (`parts.live_parts`), and
they are removed once no generation reads them for its spectra: killed at any step, the same rows are there, and the
next merge goes on. Rows stay as they are, with the time they were written. Not covered: when to merge (jobs).
"""

from __future__ import annotations

import datetime
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from zoospectra.warehouse.connect import connect, generations
from zoospectra.warehouse.intact import is_intact, set_aside
from zoospectra.warehouse.lock import locked
from zoospectra.warehouse.parts import OLD_LAYOUT, PartFile, list_parts, live_parts, place, sources
from zoospectra.warehouse.schema import PARTS, WRITTEN

TARGET = 32 * 2**20
"""Bytes of a merged part, uncompressed: what is in memory when it is made. Parts of half of it are left alone."""

MANY = 48
"""Parts from which a merge is worth while."""

KEPT = frozenset({"model_averages", "study_results", "kinship", "families", "delta_metrics"})
"""Kinds whose parts are replaced by their key, and so stay as they are."""


def is_due(directory: Path) -> bool:
    """Whether there are so many small parts that a merge is worth while."""
    try:
        return sum(1 for part in live_parts(directory) if part.kind not in KEPT and _is_small(part)) >= MANY
    except FileNotFoundError:  # another run merges in this very moment
        return False


def merge(directory: Path) -> int:
    """Merge small parts; returns how many were replaced. The next build reads the merged ones."""
    directory = directory.resolve()
    replaced = 0
    with locked(directory):
        for kind in PARTS:  # layers before indexed, which may get rows from them
            parts = live_parts(directory) if kind not in KEPT else []
            small = [part for part in parts if part.kind == kind and _is_small(part)]
            for group in _groups(small):
                replaced += _merge(directory, kind, group)
    return replaced


def remove_replaced(directory: Path) -> int:
    """Remove parts that merged ones replace and no generation needs; only with the lock held. Returns how many."""
    unneeded = replaced(directory)
    for path in unneeded:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in unneeded if path.parent.parent.name == "models"}:
        if not any(folder.iterdir()):
            folder.rmdir()
    return len(unneeded)


def replaced(directory: Path) -> list[Path]:
    """Parts that merged ones replace and no generation needs."""
    directory = directory.resolve()
    parts = list_parts(directory)
    live = {part.path for part in live_parts(directory)}
    present = [part for part in parts if part.path not in live]
    if not present:
        return []
    needed = {pattern for _, path in generations(directory) for pattern in _files_of(path)}
    return [part.path for part in present if not any(fnmatch(part.name(directory), pattern) for pattern in needed)]


def _files_of(generation: Path) -> list[str]:
    """Parts that a generation reads for its spectra, as patterns: all that its view names must be there.

    One that cannot be opened, damaged or in use with other settings, may need them all.
    """
    try:
        with connect(generation, read_only=True) as connection:
            views = connection.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'spectra'").fetchall()
    except duckdb.Error:
        return ["parts/*"]
    return [file for (sql,) in views for file in re.findall(r"'(parts/[^']*)'", sql)]


def _is_small(part: PartFile) -> bool:
    return part.path.stat().st_size < TARGET // 2


def _groups(parts: Sequence[PartFile]) -> Iterator[list[PartFile]]:
    """Parts that have the same columns, as many as fit in one; a part that would stand alone is left as it is."""
    by_columns: dict[str, list[tuple[PartFile, int]]] = {}
    for part in parts:
        try:
            with pq.ParquetFile(part.path) as file:
                columns = str([(column.name, str(column.type)) for column in file.schema_arrow])
                size = sum(file.metadata.row_group(n).total_byte_size for n in range(file.num_row_groups))
        except (OSError, pa.ArrowException):
            continue  # the build will meet it
        by_columns.setdefault(columns, []).append((part, size))
    for sized in by_columns.values():
        group: list[PartFile] = []
        filled = 0
        for part, size in sized:
            if group and filled + size > TARGET:
                yield from [group] if len(group) > 1 else []
                group, filled = [], 0
            group.append(part)
            filled += size
        if len(group) > 1:
            yield group


def _merge(directory: Path, kind: str, group: Sequence[PartFile]) -> int:
    """Make one part of several of one kind and the same columns; returns how many it replaces."""
    tables, read = [], []
    for part in group:
        try:
            if not is_intact(part.path, kind):
                raise pa.ArrowInvalid(part.path.name)
            with pq.ParquetFile(part.path, page_checksum_verification=True) as file:
                tables.append(file.read(use_threads=False).replace_schema_metadata(None))
        except (OSError, pa.ArrowException):
            set_aside(part.path)
        else:
            read.append(part)
    if len(read) < 2:
        return 0
    name = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.parquet"
    folder = directory / "parts" / "merged"
    if kind == "layers":
        for listed in _listings(directory, zip(read, tables, strict=True)):
            place(folder / f"indexed-{name}", "indexed", listed, checked=True)
    replaced = [source for part in read for source in (part.stamp(directory), *sources(part.path))]
    place(folder / f"{kind}-{name}", kind, pa.concat_tables(tables), replaced, checked=True)
    tables.clear()
    pa.default_memory_pool().release_unused()
    return len(read)


def _listings(directory: Path, parts: Iterable[tuple[PartFile, pa.Table]]) -> Iterator[pa.Table]:
    """Rows of `indexed` for parts of layers that were listings by themselves, named by their key."""
    schema = pa.schema([*PARTS["indexed"], WRITTEN])
    rows = []
    for part, table in parts:
        if part.name(directory).startswith(OLD_LAYOUT) and len(table):
            key = part.path.name.removeprefix("layers-").removesuffix(".parquet")
            models = table.group_by(["model_id", "revision"]).aggregate([("model_id", "count")])
            written = pc.max(table[WRITTEN.name]).as_py()
            for row in models.to_pylist():
                listed = {"model_id": row["model_id"], "revision": row["revision"], "reader": key}
                rows.append(listed | {"listed_layers": row["model_id_count"], WRITTEN.name: written})
    if rows:
        yield pa.Table.from_pylist(rows, schema=schema)
