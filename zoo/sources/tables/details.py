"""One details table of WeightWatcher, of any version, as the layer rows and slice rows of one model.

0.2 writes a row for every slice (LEVEL.SLICE) and one of their means for the layer (LEVEL.LAYER), whose N and M are
sums over the slices: its N and M become those of one matrix. 0.4 and later write a row a layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zoospectra.zoo.model import PublishedRow, Value
from zoospectra.zoo.sources.tables.columns import metrics
from zoospectra.zoo.sources.tables.table import Row

TYPES = {"conv1d": "dense"}
"""Their word -> ours: the Conv1D of GPT-2 is a linear layer."""


def split(rows: Sequence[Row]) -> tuple[tuple[PublishedRow, ...], tuple[PublishedRow, ...]]:
    """(layer rows, slice rows) of a details table, in its order; ValueError names a row that has no id or no shape."""
    counted = Counter(_integer(row, "layer_id") for row in rows if _is_slice(row))
    layers, slices = [], []
    shapes: dict[int, tuple[int, int]] = {}
    seen: Counter[int] = Counter()
    for row in rows:
        layer_id = _integer(row, "layer_id")
        rf = counted[layer_id] or _integer(row, "rf", 1)
        if _is_slice(row):
            shapes.setdefault(layer_id, (_integer(row, "N"), _integer(row, "M")))
            slices.append(_row(row, seen[layer_id], shapes[layer_id], rf))
            seen[layer_id] += 1
        else:
            layers.append(_row(row, None, shapes.get(layer_id), rf))
    return tuple(layers), tuple(slices)


def _is_slice(row: Row) -> bool:
    """True for a row about one slice of a layer."""
    return str(row.get("level", "")).endswith("SLICE") or isinstance(row.get("slice_id"), int)


def _row(row: Row, slice_id: int | None, shape: tuple[int, int] | None, rf: int) -> PublishedRow:
    """One row; `shape` is that of the layer's slices when the table has them."""
    layer_id = _integer(row, "layer_id")
    sides = shape or (_integer(row, "N"), _integer(row, "M"))
    kind = str(row.get("layer_type") or "unknown").rpartition(".")[2].lower()
    name = row.get("longname") if row.get("longname") is not None else row.get("name")
    longname = f"layer {layer_id}" if name is None else str(name)
    kind = TYPES.get(kind, kind)
    N, M = max(sides), min(sides)
    return PublishedRow(layer_id, slice_id, longname, kind, N, M, N / M, rf, metrics(row))


def _integer(row: Row, name: str, default: int | None = None) -> int:
    """A cell that must hold a positive whole number, but layer_id may be 0."""
    value: Value = row.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or value < (0 if name == "layer_id" else 1):
        msg = f"details table: column {name} holds {value!r} in {str(row)[:120]}; expected a whole number"
        raise ValueError(msg)
    return value
