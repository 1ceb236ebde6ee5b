"""Ad-hoc SQL on the newest warehouse: read-only, one statement, no file but the parts, no network.

Not covered: printing (the sql verb), other clients: `duckdb DIR/warehouse.duckdb -readonly` sees the same tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa

from zoospectra.warehouse.connect import connect, newest
from zoospectra.warehouse.verified import require_spectra

EXPLAIN = re.compile(r"\s*explain(\s+analyze|\s*\([^)]*\))*\s+", re.IGNORECASE)
READS = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)  # MULTI: PIVOT becomes several statements


def query(directory: Path, sql: str, values: Mapping[str, object] | None = None) -> pa.Table:
    """Result of one reading statement (SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE, PIVOT, EXPLAIN).

    `values` fill its $parameters: names from outside are text, never SQL.
    Raises ValueError, in one line, when there is no warehouse, when the statement is anything else (the warehouse is
    built from parts, nothing in it is ever changed), and when DuckDB refuses it.
    """
    with open_newest(directory) as connection:
        return fetch(connection, sql, values)


def fetch(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, object] | None = None) -> pa.Table:
    """Result of one reading statement on an open warehouse; raises ValueError as `query` does."""
    try:
        refuse_writes(connection, sql)
        require_spectra(connection, sql)
        return connection.sql(sql, params=dict(values) if values else None).to_arrow_table()
    except duckdb.Error as error:
        raise ValueError(one_line(error)) from error


def open_newest(directory: Path) -> duckdb.DuckDBPyConnection:
    """Read-only connection to the newest generation that can read the parts and no other file; the caller closes it.

    Raises ValueError when there is no warehouse and duckdb.IOException when its file is no database.
    """
    for _ in range(10):
        path = newest(directory)
        try:
            connection = connect(path, read_only=True)
            break
        except duckdb.IOException:
            if path.exists():  # not pruned by a builder in this very moment
                raise
    else:
        msg = f"no generation of the warehouse at {directory} stays long enough to be opened; keep more of them"
        raise ValueError(msg)
    parts = directory.resolve() / "parts"
    folders = {str(parts), escape(str(parts))}  # the view names its files by a pattern, and DuckDB compares text
    allowed = ", ".join("'" + folder.replace("'", "''") + "/'" for folder in sorted(folders))
    for setting in (
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


def one_line(error: duckdb.Error) -> str:
    """DuckDB's message without its picture of the query: the first line, with candidates where it offers some."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    hints = [line for line in lines[1:] if line.startswith(("Candidate", "Did you mean"))]
    return " ".join([lines[0] if lines else type(error).__name__, *hints])
