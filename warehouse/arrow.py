"""Arrow tables that SQL sees by name, on a connection or by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import duckdb
import pyarrow as pa

from zoospectra.warehouse.connect import connect


class registered:  # noqa: N801 - a with-statement's word
    """Arrow tables that a connection's SQL sees by name inside a block."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> None:
        self._connection, self._tables = connection, tables

    def __enter__(self) -> None:
        for name, table in self._tables.items():
            self._connection.register(name, table)

    def __exit__(self, *_: object) -> None:
        for name in self._tables:
            self._connection.unregister(name)


@cache
def _instance() -> duckdb.DuckDBPyConnection:
    """The database in memory that all of this process's statements over tables share: starting one takes 20 ms."""
    return connect()


def over(tables: Mapping[str, pa.Table], sql: str, values: Mapping[str, object] | None = None) -> pa.Table:
    """Result of a statement over these tables; `values` fill its $parameters."""
    with _instance().cursor() as connection, registered(connection, **tables):
        return connection.sql(sql, params=dict(values) if values else None).to_arrow_table()
