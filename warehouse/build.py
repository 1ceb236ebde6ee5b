"""Build a warehouse from all parts and publish it as a new generation.

Each file of sql/tables, sql/views, sql/macros makes the table, view or macro of its name; each of sql/checks must
return no row, or nothing is published. Parts -> rows is a pure function: the same parts give the same rows in order.
DIR may be moved or copied as a whole: nothing in a generation names it (place.py).
Not covered: what the parts are (parts.py), the step of publishing (publish.py), reading the result (query.py).
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from zoospectra.warehouse.connect import connect, disk_errors, quoted
from zoospectra.warehouse.definitions import definitions, of_kind
from zoospectra.warehouse.dictionary import MEDIAN, describe
from zoospectra.warehouse.load import load, spectra_files
from zoospectra.warehouse.parts import sweep
from zoospectra.warehouse.publish import publishing

RESULTS = ("runs", "study_results", "kinship", "families", "delta_metrics")
"""Kinds of parts that studies and kin write, and the tables made of them."""


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


def build(directory: Path, keep: int = 3, memory_limit: str = "2GB") -> Built:
    """Build from all parts of DIR and publish; DIR is made when missing, and an empty one gives an empty warehouse.

    keep: generations to keep, at least 1; memory_limit: DuckDB's, beyond it sorts spill to DIR.
    Raises ValueError on keep < 1 and warehouse.checks.CheckError when the new rows break a rule; the old generation
    then stays.
    """
    return _publish(directory, keep, memory_limit, everything=True)


def publish_results(directory: Path, keep: int = 3) -> Built:
    """Publish what studies left: a copy of the newest generation with `runs` and `study_results` made anew.

    Seconds where a build takes a minute. Scanned parts that the newest generation lacks wait for the next build;
    without any generation this is a build. Raises as `build` does.
    """
    return _publish(directory, keep, "2GB", everything=False)


def _publish(directory: Path, keep: int, memory_limit: str, everything: bool) -> Built:
    began = time.monotonic()
    with disk_errors(directory), publishing(directory, keep) as draft:
        base = None if everything else draft.previous
        if base is not None:
            shutil.copyfile(base, draft.file)
        settings = {"memory_limit": memory_limit, "temp_directory": f"{draft.file}.spill"}
        with connect(draft.file, settings=settings) as connection:
            broken = _fill(connection, draft.directory) if base is None else _refresh(connection, draft.directory)
            _run(connection, "CHECKPOINT")
            rows = _rows(connection)
    return Built(draft.path, draft.generation, rows, broken, time.monotonic() - began)


def _fill(connection: duckdb.DuckDBPyConnection, directory: Path) -> tuple[Path, ...]:
    """Make everything from all parts; returns the damaged ones."""
    sweep(directory)
    loaded = load(connection, directory)
    for definition in definitions():
        sql = definition.sql
        if "{spectra_files}" in sql:
            sql = sql.replace("{spectra_files}", spectra_files(directory))
        _run(connection, definition.create(without_blanks(connection, sql)))
    _run(connection, "BEGIN")  # hundreds of comments: one commit instead of as many
    describe(connection, loaded.meanings)
    _run(connection, "COMMIT")
    return loaded.broken


def _refresh(connection: duckdb.DuckDBPyConnection, directory: Path) -> tuple[Path, ...]:
    """Make the tables of RESULTS anew; returns the damaged parts."""
    loaded = load(connection, directory, RESULTS)
    for definition in of_kind("TABLE"):
        if definition.name in RESULTS:
            _run(connection, definition.create(definition.sql, replace=True))
    describe(connection, loaded.meanings, RESULTS)
    return loaded.broken


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
