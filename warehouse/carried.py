"""Results of any SQL type as columns that Python, CSV, JSON and Parquet can hold: what they cannot is DuckDB's text."""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from zoospectra.warehouse.connect import quoted

FOREIGN = re.compile(r"\b(INTERVAL|UNION|BIT|BIGNUM|VARINT|VARIANT)\b")
"""Types, alone or inside others, without a counterpart in a format that a result is written in."""
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
"""Values of an ENUM and names of fields in the text of a type: no types."""
DAYS = (-719_162, 2_932_896)
"""Days from 1970 to the years 1 and 9999, between which Python has dates."""
PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
"""Units of Arrow's timestamps in a day."""


def carried(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with columns of foreign types cast to VARCHAR; itself where it has none."""
    types = [QUOTED.sub("", str(type_)) for type_ in relation.types]
    if not any(map(FOREIGN.search, types)):
        return relation
    columns = [
        f"CAST(#{i} AS VARCHAR) AS {quoted(name)}" if FOREIGN.search(type_) else f"#{i}"
        for i, (name, type_) in enumerate(zip(relation.columns, types, strict=True), start=1)
    ]
    return relation.project(", ".join(columns))


def dated(table: pa.Table) -> pa.Table:
    """The table with columns of dates beyond Python's years ('infinity' among them) as text."""
    for i, column in enumerate(table.columns):
        if not _in_reach(column):
            table = table.set_column(i, table.column_names[i], column.cast(pa.string()))
    return table


def _in_reach(column: pa.ChunkedArray) -> bool:
    if pa.types.is_date32(column.type):
        ends = pc.min_max(column.cast(pa.int32())).as_py()
        scale = 1
    elif pa.types.is_timestamp(column.type):
        ends = pc.min_max(column.cast(pa.int64())).as_py()
        scale = PER_DAY[column.type.unit]
    else:
        return True
    return ends["min"] is None or (DAYS[0] * scale <= ends["min"] and ends["max"] < (DAYS[1] + 1) * scale)
