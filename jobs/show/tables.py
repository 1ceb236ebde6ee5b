"""A study's findings as files: cells and design rows as CSV and Parquet, tables by rows and columns and in LaTeX."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from zoospectra.analysis.studies.record import Cell, Findings
from zoospectra.jobs.show import markup
from zoospectra.jobs.show.plain import plain
from zoospectra.warehouse.disk import written

CELLS = pa.schema(
    [
        ("table_id", pa.string()),
        ("row", pa.string()),
        ("column", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("published", pa.float64()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("basis", pa.string()),
    ]
)


def write(findings: Findings, folder: Path) -> Path:
    """Write every file anew into the folder, beside first and then moved; returns the folder."""
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    cells = pa.Table.from_pylist([dataclasses.asdict(cell) for cell in findings.cells], schema=CELLS)
    both(cells, beside / "cells")
    both(_rows(findings.design), beside / "design")
    for name, table in pivots(findings).items():
        both(table, beside / safe(name))
        with written(beside):
            (beside / f"{safe(name)}.tex").write_text(latex(table, name))
    with written(beside):
        (beside / "notes.txt").write_text("".join(f"{note}\n" for note in findings.notes))
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
    return folder


def pivots(findings: Findings) -> dict[str, pa.Table]:
    """table_id -> rows by columns, in the order of the cells; verdicts other than 'reproduces' have a column."""
    grouped: dict[str, list[Cell]] = {}
    for cell in findings.cells:
        grouped.setdefault(cell.table_id, []).append(cell)
    return {name: _pivot(cells) for name, cells in grouped.items()}


def _pivot(cells: Sequence[Cell]) -> pa.Table:
    rows: dict[str, dict[str, Any]] = {}
    columns = dict.fromkeys(cell.column for cell in cells)
    for cell in cells:
        row = rows.setdefault(cell.row, {"row": cell.row})
        row[cell.column] = cell.value
        if cell.n is not None:
            row["n"] = max(cell.n, row.get("n") or 0)
        if cell.verdict and cell.verdict != "reproduces":
            earlier = row.get("verdict")
            row["verdict"] = cell.verdict if earlier in (None, cell.verdict) else f"{earlier}; {cell.verdict}"
    fields = [
        pa.field("row", pa.string()),
        pa.field("n", pa.int64()),
        *(pa.field(name, pa.float64()) for name in columns),
    ]
    if any("verdict" in row for row in rows.values()):
        fields.append(pa.field("verdict", pa.string()))
    unique = {field.name: field for field in fields}
    return pa.Table.from_pylist(list(rows.values()), schema=pa.schema(list(unique.values())))


def _rows(rows: Sequence[Any]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        same = len({type(value) for value in values if value is not None}) <= 1
        columns[name] = values if same else [None if value is None else str(value) for value in values]
    return pa.table(columns)


def both(table: pa.Table, path: Path) -> None:
    """A table as PATH.csv and PATH.parquet."""
    flat = [column.cast(pa.string()) if pa.types.is_null(column.type) else column for column in table.columns]
    with written(path):
        pa.parquet.write_table(table, path.with_name(path.name + ".parquet"))
        pa.csv.write_csv(pa.table(flat, names=table.column_names), path.with_name(path.name + ".csv"))


def safe(name: str) -> str:
    """A table's name as a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "table"


def latex(table: pa.Table, title: str) -> str:
    """A table in LaTeX's tabular, numbers to four significant digits, what is missing as a dash."""
    names = " & ".join(markup.latex(name) for name in table.column_names)
    align = "".join("r" if pa.types.is_floating(f.type) or pa.types.is_integer(f.type) else "l" for f in table.schema)
    body = "\n".join(" & ".join(_cell(value) for value in row.values()) + r" \\" for row in table.to_pylist())
    begin = rf"\begin{{tabular}}{{{align}}}"
    return f"% {plain(title)}\n{begin}\n\\hline\n{names} \\\\\n\\hline\n{body}\n\\hline\n\\end{{tabular}}\n"


def _cell(value: Any) -> str:  # noqa: ANN401 - a cell of any plain type
    if value is None:
        return "--"
    return f"{value:.4g}" if isinstance(value, float) else markup.latex(str(value))
