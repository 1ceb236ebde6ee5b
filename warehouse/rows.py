"""The rows of all parts in one DuckDB file, DIR/rows.duckdb, that follows the parts: a build reads only what is new.

It is a cache: the parts are the truth, and deleting it costs one reading of them. Tables are named as the kinds of
part (spectra without their eigenvalues), rows keep the name of their part; `loaded` lists the parts, `meanings` what
they say about their columns. Only a builder that holds the lock may use it.
Not covered: what is made of the rows (build.py).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.connect import connect, quoted
from zoospectra.warehouse.dictionary import meanings_of
from zoospectra.warehouse.intact import is_intact, set_aside
from zoospectra.warehouse.parts import PartFile, contract_part, live_parts
from zoospectra.warehouse.schema import PARTS, WRITTEN, Meaning

FILE = "rows.duckdb"
CHUNK = 200
"""Parts that are read by one statement: DuckDB's memory limit does not bound the schemas of thousands."""
LOADED = """CREATE TABLE IF NOT EXISTS loaded
    (file VARCHAR, kind VARCHAR, bytes BIGINT, modified BIGINT)"""
MEANINGS = """CREATE TABLE IF NOT EXISTS meanings
    (kind VARCHAR, "column" VARCHAR, unit VARCHAR, comment VARCHAR)"""
TABLES = """SELECT table_name, list(column_name) FROM duckdb_columns()
    WHERE NOT internal AND database_name = current_database() GROUP BY table_name"""
EVALS = "evals"
"""Column of spectra that is not copied."""
INDEXED = """INSERT INTO indexed BY NAME
    SELECT model_id, revision, regexp_extract(filename, 'layers-(.*)\\.parquet$', 1) AS reader,
        count(*) AS listed_layers, max(written) AS written, filename
    FROM layers WHERE starts_with(filename, 'parts/models/') AND filename IN (SELECT file FROM added)
    GROUP BY model_id, revision, filename"""
"""A part of layers in a folder of its model was a listing, named by its key."""


@contextmanager
def gathered(directory: Path, settings: dict[str, str]) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[Path]]]:
    """The rows of all parts as they are now, and the damaged parts that were moved aside; only with the lock held."""
    try:
        connection = _open(directory, settings)
    except duckdb.Error:  # cut off, of another DuckDB, or of another version: it is made anew
        for path in directory.glob(f"{FILE}*"):
            path.unlink()
        connection = _open(directory, settings)
    with connection:
        yield connection, _follow(connection, directory)


def _open(directory: Path, settings: dict[str, str]) -> duckdb.DuckDBPyConnection:
    """The file of rows, with a table a kind; raises duckdb.Error where it cannot be read or lacks columns."""
    connection = connect(directory / FILE, settings=settings)
    try:
        _run(connection, LOADED)
        _run(connection, MEANINGS)
        there = dict(connection.execute(TABLES).fetchall())
        for kind, schema in PARTS.items():
            first = [str(contract_part(directory, kind))]
            if kind not in there:
                _run(connection, f"CREATE TABLE {kind} AS {_select(kind, directory)}", [first])
            elif lacking := {*schema.names, WRITTEN.name, "filename"} - {EVALS, *there[kind]}:
                msg = f"{kind} lacks {sorted(lacking)}: rows of another version"
                raise duckdb.CatalogException(msg)
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _select(kind: str, directory: Path) -> str:
    left_out = f"filename, {EVALS}" if kind == "spectra" else "filename"
    start = len(str(directory.resolve())) + 2
    return f"""SELECT * EXCLUDE ({left_out}), substr(filename, {start}) AS filename
               FROM read_parquet($1, union_by_name = true, filename = true)"""


def _stamps(parts: Iterable[PartFile], directory: Path) -> dict[str, tuple[int, int]]:
    """Name of a part -> its size and time of change."""
    stamps = {}
    for part in parts:
        with suppress(FileNotFoundError):
            stamp = part.stamp(directory)
            stamps[stamp.name] = (stamp.size, stamp.modified)
    return stamps


def state(connection: duckdb.DuckDBPyConnection, without: Sequence[str] = ()) -> str:
    """Digest of which parts these rows are from, parts of some kinds aside."""
    sql = "SELECT file, bytes, modified, kind FROM loaded ORDER BY file"
    rows = [row for row in connection.execute(sql).fetchall() if row[3] not in without]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _follow(connection: duckdb.DuckDBPyConnection, directory: Path) -> list[Path]:
    """Drop the rows of parts that are gone or changed, add those of new ones; returns damaged parts, moved aside."""
    live = live_parts(directory)
    now = _stamps(live, directory)
    sql = "SELECT file, kind, bytes, modified FROM loaded"
    had = {file: (kind, (size, time)) for file, kind, size, time in connection.execute(sql).fetchall()}
    gone = [(file, kind) for file, (kind, stamp) in had.items() if now.get(file) != stamp]
    _forget(connection, gone)
    left = had.keys() - {file for file, _ in gone}
    fresh = [part for part in live if (name := part.name(directory)) in now and name not in left]
    broken = [set_aside(part.path) for part in fresh if not is_intact(part.path, part.kind)]
    pa.default_memory_pool().release_unused()
    for kind, parts in itertools.groupby((p for p in fresh if p.path.exists()), key=lambda part: part.kind):
        names = [part for part in parts if part.path.exists()]
        for first in range(0, len(names), CHUNK):
            _add(connection, directory, kind, names[first : first + CHUNK], now)
    return broken


def _forget(connection: duckdb.DuckDBPyConnection, gone: Sequence[tuple[str, str]]) -> None:
    _run(connection, "BEGIN")
    for kind in sorted({kind for _, kind in gone}):
        files = [[file for file, of in gone if of == kind]]
        for table in {kind, "indexed"} if kind == "layers" else {kind}:
            _run(connection, f"DELETE FROM {table} WHERE filename IN (SELECT unnest($1))", files)
        _run(connection, "DELETE FROM loaded WHERE file IN (SELECT unnest($1))", files)
    _run(connection, "COMMIT")


def _add(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    kind: str,
    parts: Sequence[PartFile],
    now: dict[str, tuple[int, int]],
) -> None:
    """Add the rows of intact parts, all or none."""
    files = [str(contract_part(directory, kind)), *(str(part.path) for part in parts)]
    select = _select(kind, directory)
    columns = _columns(connection, f"DESCRIBE {select}", [files])
    known = _columns(connection, f"DESCRIBE {kind}")
    if any(known.get(name, type_) != type_ for name, type_ in columns.items()):  # one column, two types
        _reload(connection, directory, kind, parts, now)
        return
    _run(connection, "BEGIN")
    for name, type_ in columns.items():
        if name not in known:
            _run(connection, f"ALTER TABLE {kind} ADD COLUMN {quoted(name)} {type_}")
    _run(connection, f"INSERT INTO {kind} BY NAME {select}", [files])
    _note(connection, directory, kind, parts, now)
    _run(connection, "COMMIT")


def _reload(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    kind: str,
    parts: Sequence[PartFile],
    now: dict[str, tuple[int, int]],
) -> None:
    """Read all parts of a kind anew: DuckDB finds the type that holds every value of every part as it was written."""
    old = connection.execute("SELECT file FROM loaded WHERE kind = $1", [kind]).fetchall()
    files = [*(str(directory.resolve() / file) for (file,) in old), *(str(part.path) for part in parts)]
    _run(connection, "BEGIN")
    sql = f"CREATE OR REPLACE TABLE {kind} AS {_select(kind, directory)}"
    _run(connection, sql, [[str(contract_part(directory, kind)), *sorted(files)]])
    _note(connection, directory, kind, parts, now)
    _run(connection, "COMMIT")


def _note(
    connection: duckdb.DuckDBPyConnection,
    directory: Path,
    kind: str,
    parts: Sequence[PartFile],
    now: dict[str, tuple[int, int]],
) -> None:
    """Write down which parts were added, what they say about their columns, and which listings they were."""
    names = [part.name(directory) for part in parts]
    added = {"file": names, "kind": [kind] * len(names), "bytes": [now[name][0] for name in names]}
    connection.register("added", pa.table(added | {"modified": [now[name][1] for name in names]}))
    _run(connection, "INSERT INTO loaded FROM added")
    if kind == "layers":
        _run(connection, INDEXED)
    connection.unregister("added")
    words = meanings_of(connection, [str(part.path) for part in parts])
    if beyond := [(column, *meaning) for column, meaning in words.items() if column not in PARTS[kind].names]:
        columns = [list(values) for values in zip(*beyond, strict=True)]
        _run(connection, 'DELETE FROM meanings WHERE kind = $1 AND list_contains($2, "column")', [kind, columns[0]])
        _run(connection, "INSERT INTO meanings SELECT $1, unnest($2), unnest($3), unnest($4)", [kind, *columns])


def meanings(connection: duckdb.DuckDBPyConnection, schema: str) -> dict[str, dict[str, Meaning]]:
    """Kind of part -> column -> its unit and comment, as the parts of an attached file of rows say."""
    words: dict[str, dict[str, Meaning]] = {}
    sql = f'SELECT kind, "column", unit, comment FROM {schema}.meanings ORDER BY ALL'
    for kind, column, unit, comment in connection.execute(sql).fetchall():
        words.setdefault(kind, {})[column] = Meaning(unit, comment)
    return words


def _columns(connection: duckdb.DuckDBPyConnection, sql: str, values: list[list[str]] | None = None) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(sql, values or []).fetchall()}


def _run(connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[object] | None = None) -> None:
    connection.execute(sql, values or []).fetchall()  # drained: an unread result would block the next statement
