"""Immutable Parquet parts, the truth the warehouse is built from: written beside, fsynced, renamed into place.

DIR/parts/log/<kind>-<time>-<random>-<crc>.parquet     what runs found, results of many models in one part (log.py)
DIR/parts/merged/<kind>-<time>-<random>-<crc>.parquet  parts that were made one (merge.py)
DIR/parts/catalog/<kind>-<key>.parquet           models, reported_metrics
DIR/parts/kinship/<kind>-<key>.parquet           kinship, families, delta_metrics
DIR/parts/published/<kind>-<key>.parquet         model_averages
DIR/parts/runs/<run_id>.parquet, DIR/parts/studies/<kind>-<key>.parquet
DIR/parts/models/<slug of model_id>/<kind>-<key>.parquet   a folder a model, as older versions and other tools write

The key is what determines the content; writing the same key again replaces the part atomically. All layers of a model
revision are written in one part, and so are all its skips: those written last stand for the whole of the revision.
Not covered: reading what is there (rows.py, known.py), damaged parts (intact.py).
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from io import BufferedWriter, FileIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from zoospectra.warehouse import clock
from zoospectra.warehouse.conform import conform
from zoospectra.warehouse.disk import written
from zoospectra.warehouse.place import beside
from zoospectra.warehouse.schema import PARTS, WRITTEN

PER_MODEL = frozenset({"layers", "skipped", "indexed", "sketches", "spectra", "layer_metrics", "slice_metrics"})
OLD_LAYOUT = "parts/models/"
"""Where parts lie in a folder of their model."""
SHARED = ("log", "merged")
"""Folders of parts of any kind, the kind before the first hyphen of their name."""
FOLDERS = {
    "models": "catalog",
    "reported_metrics": "catalog",
    "model_averages": "published",
    "kinship": "kinship",
    "delta_metrics": "kinship",
    "families": "kinship",
    "runs": "runs",
    "study_results": "studies",
}
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,119}")
SOURCES = b"zoospectra:sources"
"""Key of a merged part's metadata: JSON list of the names of the parts it replaces."""
KIND = b"zoospectra:kind"
"""Key of a part's metadata: its kind. Parts of older versions have none."""
CHECKED = re.compile(r".+-c([0-9a-f]{8})\.parquet")
"""Name of a part that says its checksum: pages have theirs, but footers and headers of pages have none."""
ROW_GROUP = 2**21
"""Bytes of a row group of spectra, uncompressed."""
STALE = 24 * 3600.0  # seconds: no write takes a day, so an older .part has lost its writer


class Source(NamedTuple):
    """A part as it was when a merged one replaced it; written anew it counts again."""

    name: str
    """Its path below DIR."""
    size: int
    """Bytes."""
    modified: int
    """Time of its last change, nanoseconds."""


@dataclass(frozen=True, slots=True, order=True)
class PartFile:
    """One finished part."""

    kind: str
    """Kind, a key of warehouse.schema.PARTS."""
    path: Path
    """Absolute path."""

    def name(self, directory: Path) -> str:
        """Its path below DIR, by which the warehouse knows it."""
        return self.path.relative_to(directory.resolve()).as_posix()

    def stamp(self, directory: Path) -> Source:
        """What tells whether it is still the same; raises FileNotFoundError when it is gone."""
        state = self.path.stat()
        return Source(self.name(directory), state.st_size, state.st_mtime_ns)


def slug(model_id: str) -> str:
    """Folder name of a model: at most 60 safe characters and 12 hex digits of its hash; never climbs."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", model_id).strip(".-")[:60]
    return f"{safe or 'model'}-{hashlib.sha256(model_id.encode()).hexdigest()[:12]}"


def part_path(directory: Path, kind: str, key: str, model_id: str | None = None) -> Path:
    """Where a part of this kind and key lies; raises ValueError on an unknown kind, an unsafe key, no model."""
    if kind not in PARTS:
        msg = f"unknown kind of part {kind!r}; known: {', '.join(PARTS)}"
        raise ValueError(msg)
    if not SAFE.fullmatch(key):
        msg = f"part key {key!r} is not a plain file name (letters, digits, . _ -, at most 120); pass a digest"
        raise ValueError(msg)
    if (model_id is not None) != (kind in PER_MODEL):
        msg = f"parts of kind {kind!r} {'need a' if kind in PER_MODEL else 'take no'} model_id, got {model_id!r}"
        raise ValueError(msg)
    parts = directory.resolve() / "parts"
    name = f"{key}.parquet" if kind == "runs" else f"{kind}-{key}.parquet"
    return parts / "models" / slug(model_id) / name if model_id is not None else parts / FOLDERS[kind] / name


def write(directory: Path, kind: str, key: str, table: pa.Table, model_id: str | None = None) -> Path:
    """Write one part so that it is there completely or not at all, also after a kill or a power cut; returns its path.

    The same key replaces the part. Raises ValueError as part_path and conform do.
    """
    path = part_path(directory, kind, key, model_id)
    place(path, kind, stamped(conform(kind, table), clock.now(directory)))
    return path


def write_all(directory: Path, kind: str, key: str, tables: Iterable[pa.Table]) -> Path:
    """The same with rows of several tables of one schema, at least one, of which one is in memory at a time."""
    now = clock.now(directory)
    rows = (stamped(conform(kind, table), now) for table in tables)
    first = next(rows)
    schema = first.schema.with_metadata({**(first.schema.metadata or {}), KIND: kind})

    def fill(file: BinaryIO) -> None:
        with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
            for table in chain([first], rows):
                writer.write_table(table)

    return _put(part_path(directory, kind, key), fill)


def stamped(table: pa.Table, when: datetime.datetime) -> pa.Table:
    """The table with the time it was written as its last column."""
    return table.append_column(WRITTEN, pa.repeat(pa.scalar(when, WRITTEN.type), len(table)))


def place(
    path: Path, kind: str, table: pa.Table, sources: Iterable[Source] = (), *, checked: bool = False, fast: bool = False
) -> Path:
    """Write a stamped table as the part at `path`, whole or not at all; returns where it lies.

    sources: the parts it replaces; checked: its name ends in its checksum, see CHECKED; fast: it will be merged, and is
    packed in a third of the time and a fifth more bytes.
    """
    words: dict[bytes | str, bytes | str] = {**(table.schema.metadata or {}), KIND: kind}
    if names := list(sources):
        words[SOURCES] = json.dumps(names)
    return _put(path, partial(_write_parquet, kind, table.replace_schema_metadata(words), fast), checked=checked)


def _put(path: Path, fill: Callable[[BinaryIO], None], *, checked: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with written(path.parent), Summed(FileIO(temporary, "w")) as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if checked:
            path = path.with_name(f"{path.stem}-c{file.crc:08x}.parquet")
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)
    return path


class Summed(BufferedWriter):
    """A file that knows the CRC-32 of what was written to it."""

    crc = 0

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer of bytes
        """Write bytes behind all others."""
        self.crc = zlib.crc32(data, self.crc)
        return super().write(data)


def checksum(path: Path) -> str:
    """CRC-32 of a file, eight hex digits; OSError when it cannot be read."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


def _write_parquet(kind: str, table: pa.Table, fast: bool, file: BinaryIO) -> None:
    options: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}
    if kind == "spectra":
        # In the order of their hashes a fit finds them in one row group. Eigenvalues hardly repeat: split into byte
        # planes zstd takes a fifth off, plain it would add a fifth.
        table = table.sort_by([(name, "ascending") for name in ("content_hash", "unfold", "slice_id")])
        options["row_group_size"] = max(1, len(table) * ROW_GROUP // max(1, table.nbytes))
        options["column_encoding"] = {"evals.list.element": "BYTE_STREAM_SPLIT"}
    if fast:
        options = {name: each for name, each in options.items() if name != "column_encoding"}
        options["compression"] = "snappy"
    # Sketches and eigenvalues do not repeat: looking for repetitions takes as long as all else.
    pq.write_table(table, file, use_dictionary=not fast and kind not in ("sketches", "spectra"), **options)


def contract_part(directory: Path, kind: str) -> Path:
    """A part without rows that has the contract's columns, written anew unless it is there, whole; returns its path."""
    path = directory.resolve() / "parts" / "contract" / f"{kind}.parquet"
    wanted = _contract(kind)
    with suppress(OSError):
        if path.read_bytes() == wanted:
            return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{kind}.{os.getpid()}-{secrets.token_hex(4)}.part")
    temporary.write_bytes(wanted)
    temporary.replace(path)
    return path


@cache
def _contract(kind: str) -> bytes:
    """The bytes of that part."""
    sink = io.BytesIO()
    pq.write_table(PARTS[kind].append(WRITTEN).empty_table(), sink)
    return sink.getvalue()


def is_of_kind(schema: pa.Schema, kind: str) -> bool:
    """Whether a part with this schema may be one of a kind: it says so, or has the columns that no row can lack."""
    stated = (schema.metadata or {}).get(KIND)
    if stated is not None:
        return bool(stated == kind.encode())
    return all(column.nullable or column.name in schema.names for column in PARTS[kind])


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_parts(directory: Path, kinds: Iterable[str] = tuple(PARTS)) -> list[PartFile]:
    """Every finished part of these kinds, sorted by kind and path; empty when there is no such folder."""
    wanted = frozenset(kinds)
    root = directory.resolve() / "parts"
    listed = [PartFile("runs", path) for path in _parquet_files(root / "runs") if "runs" in wanted]
    folders = [root / folder for folder in sorted({FOLDERS[kind] for kind in wanted & FOLDERS.keys()} - {"runs"})]
    folders += [root / folder for folder in SHARED]
    folders += _folders(root / "models") if wanted & PER_MODEL else []  # thousands: only when they are asked for
    for folder in folders:
        for path in _parquet_files(folder):
            kind = kind_of(path.name)
            if kind in wanted:
                listed.append(PartFile(kind, path))
    return sorted(listed)


def kind_of(name: str) -> str:
    """The kind of a part by its name, with or without its folders."""
    return "runs" if name.startswith("parts/runs/") else name.rpartition("/")[2].split("-", 1)[0]


def live_parts(directory: Path) -> list[PartFile]:
    """Every finished part but those that a merged part replaces."""
    parts = list_parts(directory)
    replaced = {source for part in parts for source in sources(part.path)}
    if not replaced:
        return parts
    names = {source.name for source in replaced}
    return [p for p in parts if p.name(directory) not in names or p.stamp(directory) not in replaced]


def sources(path: Path) -> list[Source]:
    """The parts that a merged part replaces; none for any other part, or a damaged one."""
    if path.parent.name != "merged":
        return []
    try:
        listed: list[list[Any]] = json.loads((pq.read_metadata(path).metadata or {}).get(SOURCES, b"[]"))
    except (OSError, ValueError, pa.ArrowException):
        return []
    return [Source(*source) for source in listed]


def _parquet_files(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".parquet") and not entry.name.startswith("."):
                yield Path(entry.path)


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from (Path(entry.path) for entry in entries if entry.is_dir())


def spectra_files(directory: Path) -> str:
    """A list for the view of the spectra: the part without rows, and all others once there are any."""
    parts = [part.name(directory) for part in live_parts(directory) if part.kind == "spectra"]
    names = [PartFile("spectra", contract_part(directory, "spectra")).name(directory)]
    if any(name.startswith(OLD_LAYOUT) for name in parts):
        names.append("parts/models/*/spectra-*.parquet")
    return beside([*names, *(name for name in parts if not name.startswith(OLD_LAYOUT))])


def sweep(directory: Path, age: float = STALE) -> int:
    """Remove half-written .part files older than `age` seconds, left by killed writers; returns how many."""
    stale = sweepable(directory, age)
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def sweepable(directory: Path, age: float = STALE) -> list[Path]:
    """Half-written .part files older than `age` seconds."""
    limit, stale = time.time() - age, []
    for path in (directory.resolve() / "parts").glob("**/.*.part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= limit:
                stale.append(path)
    return stale
