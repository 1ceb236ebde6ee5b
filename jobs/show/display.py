"""Tables for people: numbers whole and to the right, texts shared out over what is left, nothing hidden silently.

A table that is too wide leaves out whole columns, from the right, and says how many and how to see them; the first
column, which names the row, and those that the caller protects always stay. Widths are decided here; rich draws.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zoospectra.jobs.show.plain import plain
from zoospectra.jobs.show.units import QUANTITY

if TYPE_CHECKING:
    import pyarrow as pa

WIDE = 240
"""Columns of a table that goes to a file or a pipe, where COLUMNS says nothing."""

SHORTEST, SHORTEST_NAME = 14, 24
"""A text, and one of the first column, is never given less room than this, or than it needs."""

GAP = 3
"""Characters between two columns of a table."""

EDGES = 2
"""Characters before the first column and behind the last."""

LIST_SHOWN, LIST_ENDS = 8, 4
"""Longest list that is written out, and how many values of a longer one are."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, ready to be drawn."""

    name: str
    """As the table calls it."""
    head: tuple[str, ...]
    """Lines of its head: the name of a column of numbers breaks at its underscores, or at spaces where too long."""
    cells: tuple[str, ...]
    """One a row."""
    number: bool
    """Whether it holds numbers and nothing else: it then stands to the right and keeps its width."""
    shortest: int = 0
    """Characters that a text is given at least, where it needs as many."""

    @property
    def need(self) -> int:
        """Characters of its widest line."""
        return max(map(cell_len, (*self.head, *self.cells)))

    @property
    def least(self) -> int:
        """Characters below which it is not drawn."""
        return self.need if self.number else min(self.need, max(self.shortest, *map(len, self.head)))


def cell(value: Any, digits: int = 6) -> str:  # noqa: ANN401 - any SQL value
    """A value as a person reads it: numbers to `digits` significant digits, NULL as nothing, text without controls."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, list) and len(value) > LIST_SHOWN:
        return f"[{', '.join(cell(item, digits) for item in value[:LIST_ENDS])}, ... {len(value)} values]"
    return plain(str(value))


def shortened(text: str, width: int) -> str:
    """The text, or its two ends around an ellipsis; `width` in characters of a terminal."""
    if cell_len(text) <= width:
        return text
    left = (width - 1) // 2
    return f"{set_cell_size(text, left)}…{set_cell_size(text[::-1], width - 1 - left)[::-1]}"


def distinct(texts: Sequence[str], width: int) -> list[str]:
    """Every text shortened to `width`; where two that differ would look the same, all but one end in a number."""
    owners: dict[str, dict[str, int]] = {}
    short = []
    for text in texts:
        brief = shortened(text, width)
        number = owners.setdefault(brief, {}).setdefault(text, len(owners[brief]) + 1)
        short.append(brief if number == 1 else shortened(text, width - len(f"~{number}")) + f"~{number}")
    return short


def print_table(
    table: pa.Table,
    title: str | None = None,
    *,
    digits: int = 6,
    whole: bool = True,
    fold: bool = False,
    keep: Collection[str] = (),
) -> None:
    """Print an Arrow table; see `print_rows`."""
    rows = [tuple(row.values()) for row in table.to_pylist()]
    print_rows(table.column_names, rows, title, digits=digits, whole=whole, fold=fold, keep=keep)


def print_lifted(table: pa.Table, names: Collection[str]) -> None:
    """Print an Arrow table; those of these columns that are the same in every row stand above it, in one line."""
    same = [name for name in names if len(table) and len(set(table[name].to_pylist())) == 1]
    values = {name: table[name][0].as_py() for name in same}
    print_table(
        table.drop_columns(same),
        ", ".join(f"{name} {value}" for name, value in values.items() if value is not None),
    )


def print_rows(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    title: str | None = None,
    *,
    digits: int = 6,
    whole: bool = True,
    fold: bool = False,
    keep: Collection[str] = (),
) -> None:
    """Print rows under the names of their columns.

    whole: texts that are too long are folded; otherwise they are shortened in the middle, one line a row. fold: so is
    the first column, which is shortened else. keep: columns that are never left out, besides the first. One row that is
    too wide stands upright, a line a column.
    """
    width = room() - EDGES
    columns = [_column(at, name, [row[at] for row in rows], digits) for at, name in enumerate(names)]
    shown, left_out = fitting(columns, width, keep)
    if left_out and len(rows) == 1 and len(names) > 2:
        pairs = [(column.name, column.cells[0]) for column in columns]
        return print_rows(("column", "value"), pairs, title)
    widths = shares(shown, width)
    if title:
        print(fill(plain(title), width, break_on_hyphens=False))
    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    cells = []
    for at, (column, share) in enumerate(zip(shown, widths, strict=True)):
        justify: Literal["left", "right"] = "right" if column.number else "left"
        grid.add_column(Text("\n".join(column.head)), justify=justify, width=share, no_wrap=not whole, overflow="fold")
        brief = (at == 0 and not fold) or not whole
        cells.append(distinct(column.cells, share) if brief and not column.number else list(column.cells))
    for row in zip(*cells, strict=True):
        grid.add_row(*map(Text, row))
    drawn = sum(widths) + GAP * (len(widths) - 1)
    Console(width=max(width, drawn) + EDGES, highlight=False, soft_wrap=False).print(grid)
    if left_out:
        listed = ", ".join(column.name for column in left_out[:6]) + (", ..." if len(left_out) > 6 else "")
        count = f"{len(left_out)} column{'s' * (len(left_out) > 1)}"
        print(fill(f"{count} left out for width ({listed}): a wider terminal shows them (COLUMNS={WIDE})", width))


def room() -> int:
    """Columns of the terminal; of COLUMNS, or WIDE, where the output goes to a file or a pipe."""
    if sys.stdout.isatty():
        return Console().width
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) > 0 else WIDE


def fitting(columns: Sequence[Column], width: int, keep: Collection[str]) -> tuple[list[Column], list[Column]]:
    """Columns that can be drawn on `width` characters, and those left out, the last first; the protected ones stay."""
    shown, left_out = list(columns), list[Column]()
    while sum(column.least + GAP for column in shown) - GAP > width:
        loose = [column for column in shown[1:] if column.name not in keep]
        if not loose:
            break
        shown.remove(loose[-1])
        left_out.insert(0, loose[-1])
    return shown, left_out


def shares(columns: Sequence[Column], width: int) -> list[int]:
    """Characters for every column: numbers what they need, texts their least and of what is left equal shares."""
    texts = sorted((column for column in columns if not column.number), key=lambda column: column.need - column.least)
    left = width - sum(column.least for column in columns) - GAP * (len(columns) - 1)
    given: dict[str, int] = {}
    for count, column in enumerate(texts):
        more = max(0, min(column.need - column.least, left // (len(texts) - count)))
        given[column.name] = column.least + more
        left -= more
    return [column.need if column.number else given[column.name] for column in columns]


def _column(at: int, name: str, values: Sequence[Any], digits: int) -> Column:
    number = all(value is None or _is_number(value) for value in values)
    cells = tuple(cell(value, digits) for value in values)
    head = _broken(plain(name), max(map(cell_len, cells), default=0)) if number else [plain(name)]
    return Column(name, tuple(head), cells, number, SHORTEST if at else SHORTEST_NAME)


def _broken(name: str, width: int) -> list[str]:
    """The name's lines: a piece between underscores each, or words packed into the width of the cells."""
    pieces = name.replace("_", "_\n").replace(" ", " \n").split("\n")
    if " " not in name:
        return pieces
    most, lines = max(width, *(cell_len(piece.rstrip()) for piece in pieces)), [""]
    for piece in pieces:
        if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > most:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _is_number(value: Any) -> bool:  # noqa: ANN401 - any SQL value
    """Whether a value is a number, or one with its unit."""
    if isinstance(value, str):
        return QUANTITY.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)
