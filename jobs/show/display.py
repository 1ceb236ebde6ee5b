"""Tables for people: numbers to the right and rounded, long names shortened in the middle where space is short."""

from __future__ import annotations

import sys
from typing import Any

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

WIDE = 240
"""Columns of a table that goes to a file or a pipe."""

SHORTEST = 16
"""A text is never shortened below this."""

GAP = 3
"""Columns between two columns of a table."""


def cell(value: Any, digits: int = 6) -> str:  # noqa: ANN401 - any SQL value
    """A value as a person reads it: numbers to `digits` significant digits, NULL as nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, list) and len(value) > 8:
        return f"[{', '.join(cell(item, digits) for item in value[:4])}, ... {len(value)} values]"
    return str(value)


def shortened(text: str, width: int) -> str:
    """The text, or its two ends around an ellipsis."""
    if len(text) <= width:
        return text
    left = (width - 1) // 2
    return f"{text[:left]}…{text[left + 1 - width :]}"


def print_table(table: pa.Table, title: str | None = None, *, digits: int = 6, whole: bool = True) -> None:
    """Print every row and column; whole=False shortens texts instead of folding them when they do not fit."""
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    rows = [[cell(value, digits) for value in row.values()] for row in table.to_pylist()]
    numbers = [pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in table.schema]
    names = [
        name.replace("_", "_\n") if number else name for name, number in zip(table.column_names, numbers, strict=True)
    ]
    widths = [
        max(map(len, (*name.split("\n"), *(row[at] for row in rows)))) if number else None
        for at, (name, number) in enumerate(zip(names, numbers, strict=True))
    ]
    if not whole:
        rows = _fitted(rows, names, widths, console.width)
    grid = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name, width in zip(names, widths, strict=True):
        fixed = bool(width) or not whole
        grid.add_column(name, justify="right" if width else "left", overflow="fold", no_wrap=fixed, min_width=width)
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def _fitted(rows: list[list[str]], names: list[str], widths: list[int | None], room: int) -> list[list[str]]:
    """Rows whose text columns share what the columns of numbers (those with a width) leave of the terminal."""
    room -= sum(width + GAP for width in widths if width)
    needs = {at: max(map(len, (names[at], *(row[at] for row in rows)))) for at, width in enumerate(widths) if not width}
    for count, at in enumerate(sorted(needs, key=needs.__getitem__)):  # what a narrow one leaves the wide ones get
        share = min(needs[at], max(SHORTEST, room // (len(needs) - count) - GAP))
        room -= share + GAP
        for row in rows:
            row[at] = shortened(row[at], share)
    return rows
