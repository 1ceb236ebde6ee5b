"""Regressions by group as cells of a table: one line a group and metric, in a stated direction; small groups say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoospectra.analysis.regression import Regression, regression
from zoospectra.analysis.studies.record import Cell

SMALLEST = 4
"""Models a group needs at least, as in the papers' tables."""

STATISTICS: Mapping[str, str] = {
    "R2": "r2",
    "RMSE": "rmse",
    "tau": "kendall_tau",
    "slope": "slope",
    "slope low": "slope_low",
    "slope high": "slope_high",
    "slope p": "slope_p",
}
"""Word in a column -> field of Regression."""


@dataclass(frozen=True, slots=True)
class Point:
    """One model as a regression sees it."""

    name: str
    """Name of the model."""
    x: Mapping[str, float | None]
    """Metrics by name."""
    y: float | None
    """Target, in the unit of its source."""


def line(points: Sequence[Point], metric: str, smallest: int = SMALLEST) -> Regression:
    """Regression y = a + b * metric over the points that have both; too few give only n and a reason."""
    pairs = [(point.x.get(metric), point.y) for point in points]
    pairs = [(x, y) for x, y in pairs if x is not None and y is not None]
    if len(pairs) < smallest:
        return Regression(n=len(pairs), reason=f"{len(pairs)} models, at least {smallest} are needed")
    return regression([x for x, _ in pairs], [y for _, y in pairs])


def cells(
    table_id: str, row: str, label: str, found: Regression, statistics: Iterable[str] = ("RMSE", "R2", "tau")
) -> list[Cell]:
    """Cells '<statistic> <label>' of one regression."""
    return [
        Cell(table_id, row, f"{word} {label}", getattr(found, STATISTICS[word]), found.n, reason=found.reason)
        for word in statistics
    ]


def grouped(
    table_id: str,
    groups: Mapping[str, Sequence[Point]],
    metrics: Mapping[str, str],
    *,
    smallest: int = SMALLEST,
    statistics: Iterable[str] = ("RMSE", "R2", "tau", "slope"),
) -> list[Cell]:
    """Regressions of every group on every metric (column name -> label).

    A group with fewer than `smallest` models has one cell, 'models', without a value: its reason says how many.
    """
    words = tuple(statistics)
    found: list[Cell] = []
    for row, points in groups.items():
        usable = sum(point.y is not None for point in points)
        if usable < smallest:
            reason = f"too few models: {usable} with the reported metric, at least {smallest} are needed"
            found.append(Cell(table_id, row, "models", None, usable, verdict="too few models", reason=reason))
            continue
        for metric, label in metrics.items():
            found += cells(table_id, row, label, line(points, metric, smallest), words)
    return found
