"""What a study is, and what it gives back: cells of tables, the rows it used or left out, and sentences for people."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Designs = Mapping[str, Sequence[Row]]
"""Name of a SELECT -> its rows."""


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
    basis: str | None = None
    """What the value was computed from: 'weights', 'layer rows', 'printed averages' or 'typed numbers'."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a study found."""

    cells: tuple[Cell, ...]
    """Cells of all tables, in order."""
    design: tuple[Row, ...] = ()
    """Every row the study looked at: what it was used for, and `excluded_by`, the rule that left it out, or None."""
    notes: tuple[str, ...] = field(default=())
    """Plain sentences: what holds, what does not, what is missing."""


@dataclass(frozen=True, slots=True)
class Study:
    """A kind of study: its options, its statistics, and the SELECTs that feed them."""

    options: type[Any]
    """Frozen dataclass of its options, checked in __post_init__: the keys `study.KEY` besides kind."""
    run: Callable[..., Findings]
    """(designs, options), and printed when there is any -> findings. Pure; ValueError for options that do not fit."""
    shared: tuple[str, ...] = ()
    """SELECTs it uses with others: names in warehouse/sql/studies/any."""
    printed: str | None = None
    """Name of conf/published/<name>.yaml with the numbers that a paper printed."""
    queries: Mapping[str, str] = field(default_factory=dict)
    """Name -> SELECT of a study from outside; those of our own are in warehouse/sql/studies/<kind>."""


def parameters(options: Any) -> dict[str, str | int | float | None]:  # noqa: ANN401 - any record of options
    """Options that a SELECT may name as $parameters: plain values, those of nested records by their own name."""
    found: dict[str, str | int | float | None] = {}
    for one in dataclasses.fields(options):
        value = getattr(options, one.name)
        if dataclasses.is_dataclass(value):
            found |= parameters(value)
        elif value is None or isinstance(value, str | int | float):
            found[one.name] = value
    return found


def among(key: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError '<key>=<value>: expected some of ...' for the first wanted name that is not known."""
    names = list(dict.fromkeys(known))
    for name in wanted:
        if name not in names:
            close = difflib.get_close_matches(str(name), [str(one) for one in names])
            hint = f" (did you mean {close[0]}?)" if close else ""
            msg = f"{key}={name}: expected some of {', '.join(map(str, names)) or 'none: there are none'}{hint}"
            raise ValueError(msg)


def at_least(key: str, value: float, least: float) -> None:
    """Raise ValueError '<key>=<value>: expected at least ...' below it."""
    if not value >= least:
        msg = f"{key}={value}: expected at least {least:g}"
        raise ValueError(msg)


def iso_date(key: str, value: str | None) -> None:
    """Raise ValueError '<key>=<value>: expected a date ...' for text that is no ISO date; None is fine."""
    if value is None:
        return
    try:
        datetime.date.fromisoformat(value)
    except ValueError as error:
        msg = f"{key}={value}: expected a date such as 2026-11-21"
        raise ValueError(msg) from error


def positive(record: Any) -> None:  # noqa: ANN401 - a record of thresholds
    """Raise ValueError for the first field of a record of thresholds that is not above 0."""
    for one in dataclasses.fields(record):
        if not 0 < getattr(record, one.name) < math.inf:
            msg = f"thresholds.{one.name}={getattr(record, one.name)}: expected a number above 0"
            raise ValueError(msg)


def number(row: Row, name: str) -> float | None:
    """A number of a row; None when the column or the number is missing."""
    value = row.get(name)
    return None if value is None else float(value)
