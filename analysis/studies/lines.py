"""Regressions by group as cells of a table: one line a group and metric, in a stated direction; small groups say so.

Every table of lines has the same statistics: the papers' (RMSE, R2, tau), what draws the line and its band, and what a
referee asks for (interval, p, normality of residuals, p adjusted over the table).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from zoospectra.analysis.regression import Regression, regression
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.studies.independence import clustered_cells
from zoospectra.analysis.studies.record import Cell
from zoospectra.analysis.studies.target import Target

SMALLEST = 4
"""Models a group needs at least, as in the papers' tables."""

STATISTICS: Mapping[str, str] = {
    "RMSE": "rmse",
    "R2": "r2",
    "tau": "kendall_tau",
    "slope": "slope",
    "intercept": "intercept",
    "covariance": "covariance",
    "slope low": "slope_low",
    "slope high": "slope_high",
    "slope p": "slope_p",
}
"""Word in a column -> field of Regression."""
NORMALITY, ADJUSTED = "Shapiro-Wilk p", "slope p, adjusted"


@dataclass(frozen=True, slots=True)
class Point:
    """One model as a regression sees it."""

    name: str
    """Name of the model."""
    x: Mapping[str, float | None]
    """Metrics by name."""
    y: float | None
    """Target, in the unit of its source."""
    basis: str | None = None
    """What x was computed from, see Cell.basis."""
    family: Hashable = None
    """Family of kin, where models of one are not taken as independent."""


def once(points: Sequence[Point], target: Target) -> list[Point]:
    """The points of a line, each model once: without second names of models that are in it."""
    seconds = target.seconds(point.name for point in points)
    return [point for point in points if point.name not in seconds]


def pairs(points: Sequence[Point], metric: str) -> tuple[list[float], list[float]]:
    """X and y of the points that have both."""
    both = [(point.x.get(metric), point.y) for point in points]
    known = [(x, y) for x, y in both if x is not None and y is not None]
    return [x for x, _ in known], [y for _, y in known]


def line(points: Sequence[Point], metric: str, smallest: int = SMALLEST) -> Regression:
    """Regression y = a + b * metric over the points that have both; too few give only n and a reason."""
    x, y = pairs(points, metric)
    if len(x) < smallest:
        return Regression(n=len(x), reason=f"{len(x)} models, at least {smallest} are needed")
    return regression(x, y)


def basis(points: Sequence[Point]) -> str | None:
    """What the metrics of the points were computed from; several origins are joined by ' and '."""
    return " and ".join(sorted({point.basis for point in points if point.basis})) or None


def cells(
    table_id: str, row: str, label: str, points: Sequence[Point], metric: str, smallest: int = SMALLEST
) -> list[Cell]:
    """Cells '<statistic> <label>' of the line through the points; see `adjusted` for the last of them."""
    found, origin = line(points, metric, smallest), basis(points)
    made = [
        Cell(
            table_id, row, f"{word} {label}".rstrip(), getattr(found, name), found.n, reason=found.reason, basis=origin
        )
        for word, name in STATISTICS.items()
    ]
    normal = residual_normality(*pairs(points, metric))
    why = found.reason or normal.reason
    value = None if found.reason else normal.p
    made.append(Cell(table_id, row, f"{NORMALITY} {label}".rstrip(), value, found.n, reason=why, basis=origin))
    if not found.reason and any(point.family is not None for point in points):
        x, y = [point.x.get(metric) for point in points], [point.y for point in points]
        made += clustered_cells(table_id, row, label, x, y, [point.family for point in points])
    return made


def adjusted(found: Sequence[Cell]) -> list[Cell]:
    """The cells, and beside each 'slope p ...' its p-value adjusted over all of its table (Benjamini and Hochberg)."""
    tables: dict[str, list[int]] = {}
    for i, cell in enumerate(found):
        if cell.column.startswith("slope p"):
            tables.setdefault(cell.table_id, []).append(i)
    extra: dict[int, Cell] = {}
    for places in tables.values():
        for i, p in zip(places, benjamini_hochberg([found[i].value for i in places]), strict=True):
            extra[i] = replace(found[i], column=ADJUSTED + found[i].column.removeprefix("slope p"), value=p)
    return [one for i, cell in enumerate(found) for one in ([cell, extra[i]] if i in extra else [cell])]


def grouped(
    table_id: str, groups: Mapping[str, Sequence[Point]], metrics: Mapping[str, str], *, smallest: int = SMALLEST
) -> list[Cell]:
    """Lines of every group on every metric (column name -> label), p-values adjusted.

    A group with fewer than `smallest` models has one cell, 'models', without a value: its reason says how many.
    """
    found: list[Cell] = []
    for row, points in groups.items():
        usable = sum(point.y is not None for point in points)
        if usable < smallest:
            reason = f"too few models: {usable} with the reported metric, at least {smallest} are needed"
            found.append(Cell(table_id, row, "models", None, usable, verdict="too few models", reason=reason))
            continue
        for metric, label in metrics.items():
            found += cells(table_id, row, label, points, metric, smallest)
    return adjusted(found)
