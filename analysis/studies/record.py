"""What a study gives back: cells of tables, the rows it used or left out, and sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Designs = Mapping[str, Sequence[Row]]
"""Name of a SELECT -> its rows."""
Options = Mapping[str, Any]
"""Plain values of the study's configuration."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table of a study."""

    table_id: str
    """Table."""
    row: str
    """Row label."""
    column: str
    """Column label; says what the value is."""
    value: float | None
    """The number, never NaN; None when there is none, and `reason` says why."""
    n: int | None = None
    """Models (or layers, where the table is about one model) behind it."""
    published: float | None = None
    """What a paper printed there."""
    verdict: str | None = None
    """The study's judgement: 'reproduces', 'differs', 'reversal', 'over-trained', ..."""
    reason: str | None = None
    """Why there is no value, or what explains a difference."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a study found."""

    cells: tuple[Cell, ...]
    """Cells of all tables, in order."""
    design: tuple[Row, ...] = ()
    """Every row the study looked at: what it was used for, and `excluded_by`, the rule that left it out, or None."""
    notes: tuple[str, ...] = field(default=())
    """Plain sentences: what holds, what does not, what is missing."""


def number(row: Row, name: str) -> float | None:
    """A number of a row; None when the column or the number is missing."""
    value = row.get(name)
    return None if value is None else float(value)
