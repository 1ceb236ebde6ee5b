"""Which version of the package made a generation, as its own tables and the columns of the parts tell.

Not covered: making it anew (build.renew).
"""

from __future__ import annotations

import hashlib
from functools import cache

import duckdb

from zoospectra.warehouse.definitions import definitions
from zoospectra.warehouse.schema import PARTS

ANEW = "this warehouse was built by another version of zoospectra; its next scan or study builds it anew from its parts"
"""What to do about a generation that is not current."""


@cache
def version() -> str:
    """Digest of every table, view and macro of a generation, and of the columns of every kind of part."""
    texts = [(definition.name, definition.sql) for definition in definitions()]
    columns = {kind: [(column.name, str(column.type)) for column in schema] for kind, schema in PARTS.items()}
    return hashlib.sha256(repr((texts, columns)).encode()).hexdigest()


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether an open generation has the tables of this version."""
    try:
        return connection.execute("SELECT definitions FROM generation").fetchall() == [(version(),)]
    except (duckdb.CatalogException, duckdb.BinderException):
        return False
