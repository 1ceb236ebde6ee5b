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
    return pa.Table.from_pylist([_row(layer) for layer in held], schema=PARTS["sketches"])


def _row(held: Sketched) -> dict[str, Any]:
    whole, columns, rows = held.sketch.whole, held.sketch.columns, held.sketch.rows
    row: dict[str, Any] = {"content_hash": held.content_hash, "elements": held.elements, "code_version": SKETCH_VERSION}
    row |= {"sketch": _numbers(whole), "sketch_columns": _numbers(columns), "sketch_rows": _numbers(rows)}
    plain = {name: getattr(held.reductions, name) for name in REDUCTIONS}
    return row | {name: _number(value) if isinstance(value, float) else value for name, value in plain.items()}


def _numbers(sketch: Single | None) -> list[float] | None:
    return sketch.tolist() if sketch is not None and bool(np.isfinite(sketch).all()) else None


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
