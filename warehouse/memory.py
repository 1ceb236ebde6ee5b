"""A generation in memory, made of tables that were never parts: the warehouse's own rules for one model at hand."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from zoospectra.warehouse.build import without_blanks
from zoospectra.warehouse.conform import conform
from zoospectra.warehouse.connect import connect
from zoospectra.warehouse.definitions import definitions
from zoospectra.warehouse.schema import PARTS, WRITTEN
from zoospectra.warehouse.version import version


@contextmanager
def generation(tables: Mapping[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the tables, views and macros of a warehouse that holds these rows, by kind of part.

    Raises ValueError as `conform` does.
    """
    now = pa.scalar(datetime.datetime.now(datetime.UTC), WRITTEN.type)
    with connect() as connection:
        for kind, schema in PARTS.items():
            table = conform(kind, tables.get(kind, schema.empty_table()))
            table = table.append_column(WRITTEN, pa.repeat(now, len(table)))
            connection.register("rows", table.append_column("filename", pa.array([""] * len(table), pa.string())))
            connection.execute(f"CREATE TEMP TABLE raw_{kind} AS SELECT * FROM rows").fetchall()
            connection.unregister("rows")
        sql = f"CREATE TEMP VIEW raw_generation AS SELECT NULL::VARCHAR AS made_of, '{version()}' AS definitions"
        connection.execute(sql).fetchall()
        for definition in definitions():
            sql = definition.sql.replace("read_parquet({spectra_files}, filename = true)", "raw_spectra")
            connection.execute(definition.create(without_blanks(connection, sql))).fetchall()
        yield connection
