"""A published number against the recomputed one: it reproduces when both agree at the printed precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from zoospectra.analysis.studies.record import Cell

ROUNDING = 1e-9
"""A value that lies on the very edge of the printed digit may be rounded either way."""


def tolerance(printed: str) -> float:
    """Half a unit of the last printed digit: 0.005 for '1.60', 0.05 for '0.9', 0.5 for '49'."""
    _, _, digits = printed.strip().lower().partition(".")
    return 0.5 * float(10.0 ** -len(digits))


class Place(NamedTuple):
    """Where a cell stands."""

    table_id: str
    """Table."""
    row: str
    """Row label."""
    column: str
    """Column label."""


def printed_cells(tables: Mapping[str, Any]) -> dict[Place, str]:
    """Place -> printed text, from tables of plain values; ValueError for a row of another length."""
    cells: dict[Place, str] = {}
    for table_id, table in tables.items():
        for row, texts in table["rows"].items():
            if len(texts) != len(table["columns"]):
                msg = f"{table_id} / {row}: expected {len(table['columns'])} numbers, got {len(texts)}"
                raise ValueError(msg)
            cells |= {
                Place(table_id, str(row), str(column)): str(text)
                for column, text in zip(table["columns"], texts, strict=True)
                if text is not None
            }
    return cells


def judge(cells: Sequence[Cell], printed: Mapping[Place, str], explained: Mapping[str, str]) -> list[Cell]:
    """Cells with published number and verdict; a printed number that no cell recomputes has one at the end."""
    judged, seen = [], set()
    for cell in cells:
        key = Place(cell.table_id, cell.row, cell.column)
        text = printed.get(key)
        if text is None:
            judged.append(cell)
            continue
        seen.add(key)
        judged.append(_judged(cell, text, explained.get(" / ".join(key))))
    for key, text in printed.items():
        if key not in seen:
            reason = "nothing in the warehouse to recompute it from"
            judged.append(Cell(*key, None, published=float(text), verdict="not recomputed", reason=reason))
    return judged


def _judged(cell: Cell, text: str, why: str | None) -> Cell:
    published = float(text)
    if cell.value is None:
        return replace(cell, published=published, verdict="not recomputed")
    if abs(cell.value - published) <= tolerance(text) + ROUNDING:
        return replace(cell, published=published, verdict="reproduces")
    reason = why or "unexplained"
    return replace(cell, published=published, verdict="differs", reason=f"{reason}; it should read {cell.value:.4g}")
