"""Ad-hoc SQL on the newest warehouse: read-only, one statement, no file but the parts, no network.

Not covered: printing (the sql verb), other clients: `duckdb DIR/warehouse.duckdb -readonly` sees the same tables.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.carried import carried, dated
from zoospectra.warehouse.connect import connect, is_damaged, is_locked, newest
from zoospectra.warehouse.verified import require_spectra
from zoospectra.warehouse.version import ANEW, is_current

EXPLAIN = re.compile(r"\s*explain(\s+analyze|\s*\([^)]*\))*\s+", re.IGNORECASE)
BATCH_ROWS = 100_000
READS = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)  # MULTI: PIVOT becomes several statements


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take; None for no bound.

    DuckDB looks at them between blocks of rows: one call of a function on a long list or text heeds neither. Where a
    process is the query's own, it is ended then (jobs.work.runaway); a program that calls this is not.
    """

    memory_gb: float | None = None
    """Gigabytes (10^9 bytes) of memory, of its work and of its result each."""
    seconds: float | None = None
    """Seconds until it is interrupted."""


NO_LIMITS = Limits()


def query(
    directory: Path, sql: str, values: Mapping[str, object] | None = None, limits: Limits = NO_LIMITS
) -> pa.Table:
    """Result of one reading statement (SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE, PIVOT, EXPLAIN).

    `values` fill its $parameters: names from outside are text, never SQL.
    Raises ValueError, in one line, when there is no warehouse, when the statement is anything else (the warehouse is
    built from parts, nothing in it is ever changed), and when DuckDB refuses it.
    """
    with open_newest(directory, limits) as connection:
        return fetch(connection, sql, values, limits)


def fetch(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    values: Mapping[str, object] | None = None,
    limits: Limits = NO_LIMITS,
) -> pa.Table:
    """Result of one reading statement on an open warehouse; raises ValueError as `query` does."""
    if any("\ud800" <= letter <= "\udfff" for letter in sql):
        msg = "the query holds bytes that are no UTF-8: write such a name with chr() or LIKE"
        raise ValueError(msg)
    timer = threading.Timer(limits.seconds, connection.interrupt) if limits.seconds is not None else None
    try:
        refuse_writes(connection, sql)
        require_spectra(connection, sql)
        if timer is not None:
            timer.start()
        relation = carried(connection.sql(sql, params=dict(values) if values else None))
        table = relation.to_arrow_table() if limits.memory_gb is None else _bounded(relation, limits.memory_gb)
        return dated(table.rename_columns(distinct_names(table.column_names)))
    except duckdb.InterruptException as error:
        msg = f"the query ran longer than seconds={limits.seconds:g}: ask for less, or raise seconds"
        raise ValueError(msg) from error
    except duckdb.OutOfMemoryException as error:
        raise ValueError(_too_large(limits.memory_gb)) from error
    except duckdb.Error as error:
        raise ValueError(refusal(connection, error)) from error
    finally:
        if timer is not None:
            timer.cancel()


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names of columns, each once: the second `a` of a join is `a_1`, or the first number that is free."""
    given: dict[str, None] = {}
    for name in names:
        free = (f"{name}_{number}" if number else name for number in itertools.count())
        given[next(new for new in free if new not in given and (new == name or new not in names))] = None
    return list(given)


def _bounded(relation: duckdb.DuckDBPyRelation, memory_gb: float) -> pa.Table:
    """A result batch by batch; ValueError as soon as it holds more than `memory_gb` gigabytes."""
    reader = relation.to_arrow_reader(BATCH_ROWS)
    batches, size = [], 0
    for batch in reader:
        batches.append(batch)
        size += batch.nbytes
        if size > memory_gb * 1e9:
            raise ValueError(_too_large(memory_gb))
    return pa.Table.from_batches(batches, reader.schema)


def _too_large(memory_gb: float | None) -> str:
    limit = "the memory there is" if memory_gb is None else f"memory_gb={memory_gb:g}"
    return f"the query needs more than {limit}: ask for fewer rows or columns, or raise memory_gb"


def open_newest(directory: Path, limits: Limits = NO_LIMITS) -> duckdb.DuckDBPyConnection:
    """Read-only connection to the newest generation that can read the parts and no other file; the caller closes it.

    While the process holds another connection to the same generation, the memory that was allowed first is what counts.
    Raises ValueError when there is no warehouse, or its newest generation is damaged.
    """
    for _ in range(10):
        path = newest(directory)
        try:
            connection = connect(path, read_only=True)
            break
        except duckdb.Error as error:
            if is_damaged(error):
                msg = f"{path} is damaged, the parts it was made of need not be: the next scan or study builds it anew"
                raise ValueError(msg) from error
            if path.exists() or not isinstance(error, duckdb.IOException):  # else pruned by a builder in this moment
                raise
    else:
        msg = f"no generation of the warehouse at {directory} stays long enough to be opened; keep more of them"
        raise ValueError(msg)
    if is_locked(connection):
        return connection
    parts = directory.resolve() / "parts"
    folders = {str(parts), escape(str(parts))}  # the view names its files by a pattern, and DuckDB compares text
    allowed = ", ".join("'" + folder.replace("'", "''") + "/'" for folder in sorted(folders))
    memory = () if limits.memory_gb is None else (f"memory_limit = '{limits.memory_gb * 1e9:.0f} B'",)
    for setting in (
        *memory,
        f"allowed_directories = [{allowed}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}").fetchall()
    return connection


def refuse_writes(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise ValueError unless sql is exactly one statement that reads; what EXPLAIN ANALYZE would run counts too."""
    statements = connection.extract_statements(EXPLAIN.sub("", sql, count=1) if EXPLAIN.match(sql) else sql)
    if len(statements) != 1:
        msg = f"expected one SQL statement, got {len(statements)}"
        raise ValueError(msg)
    if statements[0].type not in READS:
        word = statements[0].type.name
        msg = (
            f"the warehouse is read-only: {word} statements are refused; use SELECT, and format= to write a result out"
        )
        raise ValueError(msg)


def refusal(connection: duckdb.DuckDBPyConnection, error: duckdb.Error) -> str:
    """DuckDB's message in one line, and what to do where a generation of another version may be why."""
    absent = isinstance(error, (duckdb.CatalogException, duckdb.BinderException))
    return one_line(error) if not absent or is_current(connection) else f"{one_line(error)}; {ANEW}"


def one_line(error: duckdb.Error) -> str:
    """DuckDB's message without its picture of the query: the first line, with candidates where it offers some."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    hints = [line for line in lines[1:] if line.startswith(("Candidate", "Did you mean"))]
    return " ".join([lines[0] if lines else type(error).__name__, *hints])
