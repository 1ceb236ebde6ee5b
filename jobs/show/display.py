"""Tables for people: numbers to the right and rounded, long names shortened in the middle where space is short."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pyarrow as pa

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
        return f"[{', '.join(cell(one, digits) for one in value[:4])}, ... {len(value)} values]"
    return str(value)


def shortened(text: str, width: int) -> str:
    """The text, or its two ends around an ellipsis."""
    if len(text) <= width:
        return text
    left = (width - 1) // 2
    return f"{text[:left]}…{text[left + 1 - width :]}"


def print_table(table: pa.Table, title: str | None = None, *, digits: int = 6, whole: bool = True) -> None:
    """Print every row and column of an Arrow table; see `print_rows`."""
    print_rows(
        table.column_names, [tuple(row.values()) for row in table.to_pylist()], title, digits=digits, whole=whole
    )


def print_rows(
    names: Sequence[str],
    data: Sequence[Sequence[Any]],
    title: str | None = None,
    *,
    digits: int = 6,
    whole: bool = True,
) -> None:
    """Print every row and column; whole=False shortens texts instead of folding them when they do not fit.

    A column whose values are all numbers stands to the right and is never shortened.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    rows = [[cell(value, digits) for value in row] for row in data]
    numbers = [_is_number([row[at] for row in data]) for at in range(len(names))]
    heads = [name.replace("_", "_\n") if number else name for name, number in zip(names, numbers, strict=True)]
    widths = [
        max(map(len, (*head.split("\n"), *(row[at] for row in rows)))) if number else None
        for at, (head, number) in enumerate(zip(heads, numbers, strict=True))
    ]
    if not whole:
        rows = _fitted(rows, heads, widths, console.width)
    grid = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for head, width in zip(heads, widths, strict=True):
        fixed = bool(width) or not whole
        grid.add_column(head, justify="right" if width else "left", overflow="fold", no_wrap=fixed, min_width=width)
    for row in rows:
        grid.add_row(*map(Text, row))
    console.print(grid)


def _is_number(values: Sequence[Any]) -> bool:
    """Whether a column holds numbers and nothing else; a column without a value is one of numbers."""
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)


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
