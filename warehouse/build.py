"""Build a warehouse from all parts and publish it as a new generation.

Each file of sql/tables, sql/views, sql/macros makes the table, view or macro of its name; each of sql/checks must
return no row, or nothing is published. Parts -> rows is a pure function: the same parts give the same rows in order.
Rows of parts that an earlier build has read come from a file of rows (rows.py), so that a build reads only new parts.
DIR may be moved or copied as a whole: nothing in a generation names it (place.py).
Not covered: what the parts are (parts.py), the step of publishing (publish.py), reading the result (query.py).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from zoospectra.warehouse.allocator import give_back
from zoospectra.warehouse.connect import connect, disk_errors, generations, is_damaged, newest, quoted
from zoospectra.warehouse.definitions import definitions, of_kind
from zoospectra.warehouse.dictionary import MEDIAN, describe
from zoospectra.warehouse.parts import list_parts, spectra_files, sweep
from zoospectra.warehouse.publish import Draft, publishing
from zoospectra.warehouse.rows import FILE, gathered, meanings, state
from zoospectra.warehouse.schema import PARTS
from zoospectra.warehouse.version import is_current, version

RESULTS = ("runs", "study_results", "kinship", "families", "delta_metrics")
"""Kinds of parts that studies and kin write, and the tables made of them."""

QUIET = RESULTS
"""Kinds of parts that make no build by themselves: their verb publishes them, a run enters with the next generation."""

MEMORY = (128, 256, 512, 1024, 4096)
"""DuckDB's memory while it builds, MB; beyond it sorts spill to DIR. What does not fit so is built with the next."""

NEEDED = 1.2
"""Memory that a build needs at least, as a multiple of its generation: 100,000 models make 150 MB and need 256."""


class UnchangedError(Exception):
    """The newest generation has everything already; `Built` inside."""

    def __init__(self, built: Built) -> None:
        super().__init__("nothing is new")
        self.built = built


@dataclass(frozen=True, slots=True)
class Built:
    """A published generation."""

    path: Path
    """Its file."""
    generation: int
    """Its number, one more than the one before."""
    rows: dict[str, int]
    """Rows of every table."""
    broken: tuple[Path, ...]
    """Damaged parts that were moved aside."""
    seconds: float
    """Time it took, waiting for another builder included."""
    published: bool = True
    """Whether it is new; False for the newest one where nothing had changed."""


def build(directory: Path, keep: int = 3) -> Built:
    """Build from all parts of DIR and publish; DIR is made when missing, and an empty one gives an empty warehouse.

    keep: generations to keep, at least 1. Raises ValueError on keep < 1 and warehouse.checks.CheckError when the new
    rows break a rule; the old generation then stays.
    """
    return _publish(directory, keep, tuple(PARTS), always=True)


def refresh(directory: Path, keep: int = 3) -> Built:
    """`build` if anything but the rows of runs has changed since the newest generation, which is returned otherwise."""
    return _publish(directory, keep, tuple(PARTS), always=False)


def publish_results(directory: Path, keep: int = 3) -> Built:
    """Publish what studies left: a copy of the newest generation with `runs` and `study_results` made anew.

    Seconds where a build takes a minute. Scanned parts that the newest generation lacks wait for the next build;
    without a generation of this version this is a build. Raises as `build` does.
    """
    return _publish(directory, keep, RESULTS, always=True)


def renew(directory: Path, keep: int = 3) -> None:
    """Build anew from the parts if another version made the newest generation, or its file is damaged.

    Raises ValueError when there is no generation, or no part that one could be built from.
    """
    if _is_current(newest(directory)):
        return
    if not list_parts(directory):
        msg = f"{directory}: this warehouse was built by another version of zoospectra, and its parts are not there:"
        raise ValueError(f"{msg} copy the folder 'parts' beside it, or scan its zoo into another warehouse.dir=DIR")
    build(directory, keep)


def _publish(directory: Path, keep: int, kinds: tuple[str, ...], *, always: bool) -> Built:
    broken: list[Path] = []
    present = generations(directory)
    needed = NEEDED * present[-1][1].stat().st_size / 2**20 if present else 0.0
    *others, last = [memory for memory in MEMORY if memory >= needed] or MEMORY[-1:]
    for memory in others:
        with suppress(MemoryError):  # DuckDB's, see disk_errors
            return _publish_within(f"{memory}MB", directory, keep, kinds, broken, always=always)
    return _publish_within(f"{last}MB", directory, keep, kinds, broken, always=always)


def _publish_within(
    memory: str, directory: Path, keep: int, kinds: tuple[str, ...], broken: list[Path], *, always: bool
) -> Built:
    """Build with so much of DuckDB's memory; damaged parts are added to `broken`, which holds those met before."""
    began = time.monotonic()
    give_back()
    try:
        with disk_errors(directory), publishing(directory, keep) as draft:
            settings = {"memory_limit": memory, "temp_directory": f"{draft.file}.spill"}
            sweep(draft.directory)
            with gathered(draft.directory, settings) as (connection, damaged):
                broken += damaged
                made_of = _made_of(connection)
            previous = draft.previous
            if not always and not broken and previous is not None and _is_made_of(previous, made_of):
                raise UnchangedError(_unchanged(draft, previous, time.monotonic() - began))
            if kinds == RESULTS and previous is not None and _is_current(previous):
                shutil.copyfile(previous, draft.file)
            else:
                kinds = tuple(PARTS)
            with connect(draft.file, settings=settings) as connection:
                _fill(connection, draft.directory, kinds, made_of)
                rows = _rows(connection)
    except UnchangedError as unchanged:
        return unchanged.built
    return Built(draft.path, draft.generation, rows, tuple(broken), time.monotonic() - began)


def _unchanged(draft: Draft, previous: Path, seconds: float) -> Built:
    with connect(previous, read_only=True) as connection:
        return Built(previous, draft.generation - 1, _rows(connection), (), seconds, published=False)


def _made_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Digest of the parts and of the definitions that a generation is made of."""
    return hashlib.sha256(f"{state(connection, QUIET)} {version()}".encode()).hexdigest()


def _is_current(generation: Path) -> bool:
    try:
        with connect(generation, read_only=True) as connection:
            return is_current(connection)
    except duckdb.Error as error:
        if is_damaged(error):
            return False
        raise


def _is_made_of(generation: Path, made_of: str) -> bool:
    try:
        with connect(generation, read_only=True) as connection:
            return connection.execute("SELECT made_of FROM generation").fetchall() == [(made_of,)]
    except duckdb.Error:  # of an older version
        return False


def _fill(connection: duckdb.DuckDBPyConnection, directory: Path, kinds: tuple[str, ...], made_of: str) -> None:
    """Make everything, or in a copy the tables of RESULTS, from the rows of all parts."""
    everything = kinds != RESULTS
    file = str(directory / FILE).replace("'", "''")
    _run(connection, f"ATTACH '{file}' AS gathered (READ_ONLY)")
    for kind in kinds:
        _run(connection, f"CREATE TEMP VIEW raw_{kind} AS FROM gathered.{kind}")
    _run(connection, f"CREATE TEMP VIEW raw_generation AS SELECT '{made_of}' AS made_of, '{version()}' AS definitions")
    for definition in definitions() if everything else of_kind("TABLE"):
        sql = definition.sql
        if not everything and definition.name not in RESULTS:
            continue
        if "{spectra_files}" in sql:
            sql = sql.replace("{spectra_files}", spectra_files(directory))
        _run(connection, definition.create(without_blanks(connection, sql), replace=not everything))
    _run(connection, "BEGIN")  # hundreds of comments: one commit instead of as many
    describe(connection, meanings(connection, "gathered"), None if everything else RESULTS)
    _run(connection, "COMMIT")
    for kind in (*kinds, "generation"):
        _run(connection, f"DROP VIEW temp.raw_{kind}")
    _run(connection, "DETACH gathered")
    _run(connection, "CHECKPOINT")


def without_blanks(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The SQL of a definition with its {blanks} filled from what stands before it in the order."""
    for table in ("layer_metrics_history", "slice_metrics_history"):
        if (blank := f"{{means of {table}}}") in sql:
            counted = "(l.{}) FILTER (WHERE l.counted) AS {}"
            names = _doubles(connection, table)
            means = [f"avg{counted.format(quoted(name), quoted(name))}" for name in names]
            medians = [f"median{counted.format(quoted(name), quoted(name + MEDIAN))}" for name in names]
            sql = sql.replace(blank, ",\n    ".join([*means, *medians]))
    if (blank := "{numbers of model_averages}") in sql:
        sql = sql.replace(blank, ", ".join(f"a.{quoted(name)}" for name in _doubles(connection, "model_averages")))
    return sql


def _doubles(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Names of a table's DOUBLE columns, in order."""
    sql = """SELECT column_name FROM duckdb_columns() WHERE data_type = 'DOUBLE' AND table_name = $1
             AND database_name = current_database() ORDER BY column_index"""
    return [name for (name,) in connection.execute(sql, [table]).fetchall()]


def _rows(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    tables = [definition.name for definition in of_kind("TABLE")]
    return {name: connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchall()[0][0] for name in tables}


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute(sql).fetchall()  # drained: an unread result would block the next statement
