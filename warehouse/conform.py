"""Tables made as the contract of their kind of part has them: names, types, no NULL keys, finite numbers.

Not covered: what the contract is (schema.py), writing parts (parts.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from zoospectra.warehouse.schema import PARTS, RESERVED, unit_and_comment


def conform(kind: str, table: pa.Table) -> pa.Table:
    """The table with the contract's columns first, cast to their types, missing ones NULL, extra ones kept.

    Raises ValueError on a NULL key, a NaN or infinity, a reserved or doubled name, an extra column without its unit.
    """
    layout = _layout(kind, table.schema, table.schema.serialize().to_pybytes())
    if layout is not None:
        arrays = [
            pa.nulls(len(table), column.type) if n is None else table.column(n).cast(column.type)
            for column, n in zip(layout.schema, layout.places, strict=True)
        ]
        table = pa.table(arrays, schema=layout.schema)
    _check_values(kind, table)
    return table


class _Layout(NamedTuple):
    """How the columns of a table become those of a part."""

    schema: pa.Schema
    """The part's."""
    places: tuple[int | None, ...]
    """Where each lies in the table; None for one that is missing."""


@lru_cache(maxsize=256)
def _layout(kind: str, schema: pa.Schema, stored: bytes) -> _Layout | None:
    """The layout of tables with a schema, which many have; None where they are as the contract says already.

    stored: the schema's bytes, which tell units apart where `==` does not.
    """
    contract = PARTS[kind]
    if schema.equals(contract, check_metadata=True):
        return None
    _check_names(kind, schema.names)
    places = {name: n for n, name in enumerate(schema.names)}
    extra = [column for column in schema if column.name not in contract.names]
    for column in extra:
        unit_and_comment(column)
    whole = pa.schema([*contract, *extra])
    return _Layout(whole, tuple(places.get(name) for name in whole.names))


def _check_names(kind: str, columns: Sequence[str]) -> None:
    names = [name.lower() for name in columns]  # DuckDB does not tell N from n
    wrong = {name for name in names if names.count(name) > 1}
    wrong |= set(names) & (RESERVED.get(kind, frozenset()) | {"written", "filename"})
    contract = {name.lower(): name for name in PARTS[kind].names}
    wrong |= {name for name in columns if contract.get(name.lower(), name) != name}
    if wrong:
        msg = f"columns {sorted(wrong)} of a {kind} part are reserved or doubled (case does not count); rename them"
        raise ValueError(msg)


def _check_values(kind: str, table: pa.Table) -> None:
    for column, array in zip(table.schema, table.columns, strict=True):
        if not column.nullable and array.null_count:
            msg = f"{kind}.{column.name} has {array.null_count} NULL values; it identifies the row and must be given"
            raise ValueError(msg)
        _check_finite(f"{kind}.{column.name}", array)


def _check_finite(name: str, array: pa.ChunkedArray | pa.Array) -> None:
    values = pc.list_flatten(array) if pa.types.is_list(array.type) else array
    if not pa.types.is_floating(values.type):
        return
    total = pc.sum(values).as_py()  # half the time; finite where every value is, but for sums beyond the type's range
    if not math.isfinite(total or 0.0) and pc.all(pc.is_finite(values)).as_py() is False:
        msg = f"{name} holds NaN or infinity; the warehouse takes NULL with a status instead"
        raise ValueError(msg)
