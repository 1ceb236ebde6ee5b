"""Cells as tables of studies should have them, computed with scipy and pandas: what tests of studies compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.studies.record import Cell

Column = Sequence[float | None]
WORDS = ("RMSE", "R2", "tau", "slope", "intercept", "covariance", "slope low", "slope high", "slope p")
"""Columns of a line, in the order of the tables."""


def statistics(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Every number of a line through points that differ in x and in y; p of normal residuals from 4 points on."""
    a, b = np.array(x), np.array(y)
    line = stats.linregress(a, b)
    residual, half = b - line.intercept - line.slope * a, stats.t(len(a) - 2).isf(0.025) * line.stderr
    values = [math.sqrt(np.mean(residual**2)), line.rvalue**2, stats.kendalltau(a, b).statistic, line.slope]
    values += [line.intercept, -a.mean() * line.stderr**2, line.slope - half, line.slope + half, line.pvalue]
    normal = {"Shapiro-Wilk p": stats.shapiro(residual).pvalue} if len(a) > 3 else {}
    return dict(zip(WORDS, values, strict=True)) | normal


def line(
    table: str, row: str, label: str, x: Column, y: Column, *, smallest: int = 4, basis: str | None = None
) -> list[Cell]:
    """Cells of the line through the points that have both numbers; of too few of them only the reason."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    n, end = len(pairs), f" {label}" if label else ""
    why = f"{n} models, at least {smallest} are needed" if n < smallest else None
    values = {} if why else statistics(*zip(*pairs, strict=True))
    few = "fewer than 4 points" if n < 4 else None
    made = [Cell(table, row, f"{word}{end}", values.get(word), n, reason=why, basis=basis) for word in WORDS]
    normal = Cell(table, row, f"Shapiro-Wilk p{end}", values.get("Shapiro-Wilk p"), n, reason=why or few, basis=basis)
    return [*made, normal]


def adjusted(cells: Sequence[Cell], word: str = "slope p") -> list[Cell]:
    """The cells, and after each `word` its p-value after Benjamini and Hochberg over its table."""
    q_values = {}
    for table in {cell.table_id for cell in cells}:
        own = [cell for cell in cells if cell.table_id == table and cell.column.startswith(word)]
        known = [cell for cell in own if cell.value is not None]
        q = stats.false_discovery_control([cell.value for cell in known]) if known else ()
        q_values |= {(cell.row, cell.column, table): float(v) for cell, v in zip(known, q, strict=True)}
    made = []
    for cell in cells:
        made.append(cell)
        if cell.column.startswith(word):
            q = q_values.get((cell.row, cell.column, cell.table_id))
            made.append(replace(cell, column=cell.column.replace(word, f"{word}, adjusted"), value=q))
    return made


def near(cells: Sequence[Cell], rel: float = 1e-8) -> list[Cell]:
    """The cells with values that equal others within rounding."""
    return [cell if cell.value is None else replace(cell, value=pytest.approx(cell.value, rel, 1e-9)) for cell in cells]
