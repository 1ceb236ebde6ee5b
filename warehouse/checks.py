"""Rules that every generation keeps: a query of sql/checks must return no row, and no number is NaN or infinite."""

from __future__ import annotations

from pathlib import Path

import duckdb

from zoospectra.warehouse.connect import connect, quoted
from zoospectra.warehouse.definitions import names, text


class CheckError(RuntimeError):
    """A new generation broke one of its own rules and was not published."""


def verify(file: Path) -> None:
    """Reopen the closed file as a reader would and run every check; raises CheckError with rows that break one."""
    with connect(file, read_only=True) as connection:
        queries = {name: text("checks", name) for name in names("checks")} | _finite(connection)
        for name, sql in sorted(queries.items()):
            if wrong := connection.execute(f"SELECT * FROM ({sql}\n) LIMIT 3").fetchall():
                msg = f"not published: check {name} found rows such as {wrong}; the older warehouse stays"
                raise CheckError(msg)


def _finite(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """A check for every table with DOUBLE columns: no NaN and no infinity, NULL is the word for no number."""
    sql = """SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
             WHERE NOT internal AND data_type IN ('DOUBLE', 'FLOAT')
                 AND table_name IN (SELECT table_name FROM duckdb_tables())
             GROUP BY table_name ORDER BY table_name"""
    checks = {}
    for table, columns in connection.execute(sql).fetchall():
        wrong = " OR ".join(f"NOT isfinite({quoted(name)})" for name in columns)
        checks[f"{table}_is_finite"] = f"SELECT * FROM {quoted(table)} WHERE {wrong}"
    return checks
