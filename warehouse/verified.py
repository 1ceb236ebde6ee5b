"""Parts whose checksums were compared lately: DuckDB does not look at them, so who reads eigenvalues by SQL asks here.

A part that was found whole stands for a day, remembered in DIR/cache/verified.json while its size and time of change
are the same. Not covered: clients of other tools; `zoospectra check what=warehouse` compares everything.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from zoospectra.warehouse.connect import connect, newest
from zoospectra.warehouse.intact import is_intact
from zoospectra.warehouse.parts import PartFile, contract_part, kind_of, live_parts

DAY = 24 * 3600.0
"""Seconds that a comparison stands."""

NIGHTS = 30
"""Nights in which every part is compared once."""

READS_SPECTRA = re.compile(r"\b(layer_)?spectra\b", re.IGNORECASE)
"""SQL that reads eigenvalues."""

LACKING = """
WITH held AS (
    SELECT content_hash, unfold, code_version, written, substr(filename, $start) AS file, count(*) AS num_slices
    FROM read_parquet($files, filename = true) GROUP BY ALL
)
SELECT DISTINCT file FROM spectra_index
ANTI JOIN held USING (content_hash, unfold, code_version, written, file, num_slices)
WHERE file IN (SELECT unnest($names)) ORDER BY file"""
"""Parts without a spectrum that the index says they have."""

INDEX = "SELECT DISTINCT file FROM spectra_index ORDER BY file"


def share_of_the_night(directory: Path, now: float | None = None) -> list[PartFile]:
    """The parts whose turn it is: each comes once in NIGHTS."""
    night = int((time.time() if now is None else now) / DAY) % NIGHTS
    parts = live_parts(directory)
    return [part for part in parts if zlib.crc32(part.path.name.encode()) % NIGHTS == night]


def require_spectra(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Compare the parts of spectra that a statement reads with their checksums; ValueError names a damaged one."""
    if not READS_SPECTRA.search(sql):
        return
    ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()[:1]
    if file is None or not connection.execute("FROM duckdb_tables() WHERE table_name = 'spectra_index'").fetchall():
        return
    directory = Path(file).parent
    names = [name for (name,) in connection.execute(INDEX).fetchall()]
    if gone := [name for name in names if not (directory / name).exists()]:
        msg = f"{directory / gone[0]} is gone: a scan computes what it held again"
        raise ValueError(msg)
    if wrong := damaged(directory, names):
        msg = f"{directory / wrong[0]} is damaged: its bytes do not match their checksum, or it is another part;"
        msg += " 'zoospectra check what=warehouse' moves it aside, and a scan computes what it held again"
        raise ValueError(msg)
    with suppress(OSError):  # without it DuckDB says why
        contract_part(directory, "spectra")


def damaged(directory: Path, names: Iterable[str]) -> list[str]:
    """Those of these parts that do not match their checksums, are of another kind, or lack what the newest generation
    reads from them; parts that are gone are passed over.
    """
    memory = directory / "cache" / "verified.json"
    known: dict[str, list[float]] = {}
    with suppress(OSError, ValueError):
        known = json.loads(memory.read_text())
    wrong, now, whole = [], time.time(), {}
    for name in names:
        with suppress(FileNotFoundError):
            state = (directory / name).stat()
            seen = [state.st_size, state.st_mtime_ns]
            size, modified, when = known.get(name, (0, 0, 0.0))
            if [size, modified] == seen and when <= now < when + DAY:
                continue
            if is_intact(directory / name, kind_of(name)):
                whole[name] = [*seen, now]
            else:
                wrong.append(name)
    others = strangers(directory, [name for name in whole if kind_of(name) == "spectra"])
    if whole:
        known |= {name: entry for name, entry in whole.items() if name not in others}
        _remember(memory, {name: entry for name, entry in known.items() if now < entry[2] + DAY})
    return [*wrong, *others]


def strangers(directory: Path, names: Sequence[str]) -> list[str]:
    """Those of these parts of spectra, all whole, that lack what the newest generation reads from them."""
    try:
        path = newest(directory) if names else None
    except ValueError:  # none yet
        path = None
    if path is None:
        return []
    files = [str(directory.resolve() / name) for name in names]
    values = {"files": files, "names": list(names), "start": len(str(directory.resolve())) + 2}
    with connect(path, read_only=True) as connection:
        return [name for (name,) in connection.execute(LACKING, values).fetchall()]


def _remember(memory: Path, known: dict[str, list[float]]) -> None:
    """Write the memory, where that is allowed: without it, parts are compared again."""
    with suppress(OSError):
        memory.parent.mkdir(exist_ok=True)
        temporary = memory.with_name(f".{memory.name}.{os.getpid()}-{secrets.token_hex(4)}")
        temporary.write_text(json.dumps(known))
        temporary.replace(memory)
