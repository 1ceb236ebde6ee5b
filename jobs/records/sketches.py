"""Sketches of layers as rows of the warehouse."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from zoospectra.analysis.reductions import Reductions
from zoospectra.analysis.sketch import SKETCH_VERSION, Single
from zoospectra.warehouse.schema import PARTS

if TYPE_CHECKING:
    from zoospectra.jobs.work.index import Sketched


REDUCTIONS = tuple(column.name for column in dataclasses.fields(Reductions))
"""Plain numbers of a layer."""


def table(held: Sequence[Sketched]) -> pa.Table:
    """One row a distinct layer; a number beyond its type's range is NULL."""
    columns: dict[str, list[Any]] = {
        "content_hash": [each.content_hash for each in held],
        "elements": [each.elements for each in held],
        "code_version": [SKETCH_VERSION] * len(held),
        "sketch": _finite([each.sketch.whole for each in held]),
        "sketch_columns": _finite([each.sketch.columns for each in held]),
        "sketch_rows": _finite([each.sketch.rows for each in held]),
    }
    columns |= {name: [_number(getattr(each.reductions, name)) for each in held] for name in REDUCTIONS}
    schema = PARTS["sketches"]
    return pa.table([pa.array(columns[column.name], column.type) for column in schema], schema=schema)


def _finite(sketches: Sequence[Single | None]) -> list[Single | None]:
    """The sketches, None for one that holds NaN or infinity."""
    there = [sketch for sketch in sketches if sketch is not None]
    finite = iter(np.asarray(np.isfinite(there).all(axis=1)).tolist() if there else [])
    return [sketch if sketch is not None and next(finite) else None for sketch in sketches]


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
