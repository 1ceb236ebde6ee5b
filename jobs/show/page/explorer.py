"""Data of the figure with controls: every metric, grouping and direction of the populations, lines computed beforehand.

A line's band is y(x) -+ t se sqrt((x - mean)^2 + spread^2), which the page evaluates where it draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scipy import special

from zoospectra.analysis.regression import regression
from zoospectra.analysis.studies.population import METRICS, Population, groupings
from zoospectra.jobs.show.figures.lines import SMALLEST
from zoospectra.jobs.show.figures.quantities import quantity, reported
from zoospectra.jobs.show.figures.scatter import POOLED
from zoospectra.jobs.show.plain import plain

MOST_POPULATIONS, MOST_GROUPINGS = 12, 8
"""What a page holds; it says when there is more."""
DIRECTIONS = ("reported on metric", "metric on reported")
"""What is regressed on what."""
Column = list[float | None]


def explorer(populations: Sequence[Population], smallest: int = SMALLEST) -> dict[str, Any]:
    """JSON of the populations of most models; keys of lines are 'metric|grouping|direction'."""
    known = [population for population in populations if any(len(_known(population, name)) > 1 for name in METRICS)]
    chosen = sorted(known, key=lambda population: -len(population.rows))[:MOST_POPULATIONS]
    return {
        "metrics": {name: quantity(name, mean=True) for name in METRICS},
        "directions": list(DIRECTIONS),
        "smallest": smallest,
        "left": len(known) - len(chosen),
        "populations": [_population(population, smallest) for population in chosen],
    }


def _known(population: Population, metric: str) -> list[float]:
    return [value for value in population.column(metric) if value is not None]


def _population(population: Population, smallest: int) -> dict[str, Any]:
    profile, target = population.label.partition(" / ")[0], population.target
    labels = {name: list(map(_label, values)) for name, values in _groupings(population, smallest).items()}
    values: dict[str, Column] = {n: population.column(n) for n in METRICS if len(_known(population, n)) > 1}
    lines: dict[str, dict[str, Any]] = {}
    for metric, column in values.items():
        sides: list[tuple[Column, Column]] = [(column, list(population.y)), (list(population.y), column)]
        pooled = [_line(x, y, smallest) for x, y in sides]
        for grouping, groups in labels.items():
            inside = {name: [i for i, label in enumerate(groups) if label == name] for name in _names(groups)}
            for direction, (x, y) in enumerate(sides):
                each = {name: _line([x[i] for i in at], [y[i] for i in at], smallest) for name, at in inside.items()}
                lines[f"{metric}|{grouping}|{direction}"] = {POOLED: pooled[direction], **each}
    return {
        "profile": plain(profile),
        "target": plain(target.label),
        "y": plain(reported(target.metric, target.dataset)),
        "models": [plain(str(row["model_id"])) for row in population.rows],
        "reported": [_short(value) for value in population.y],
        "values": {name: [_short(value) for value in column] for name, column in values.items()},
        "groups": labels,
        "lines": lines,
    }


def _groupings(population: Population, smallest: int) -> dict[str, list[Any]]:
    """Columns of the catalog with two groups that are large enough; the series always."""
    kept = {"series": population.labels("series")} if "series" in population.catalog else {}
    return dict(list((kept | groupings(population, (), smallest)).items())[:MOST_GROUPINGS])


def _label(value: object) -> str | None:
    return None if value is None else plain(str(value))


def _names(groups: Sequence[str | None]) -> list[str]:
    return sorted({name for name in groups if name is not None and name != POOLED})


def _line(x: Sequence[float | None], y: Sequence[float | None], smallest: int) -> dict[str, Any]:
    """What draws a line and its band, or n alone."""
    line = regression(x, y)
    if line.n < smallest or line.slope is None or line.slope_se is None:
        return {"n": line.n}
    known = [a for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    made: dict[str, Any] = {"n": line.n, "low": _short(min(known)), "high": _short(max(known))}
    made |= {"slope": line.slope, "intercept": line.intercept, "r2": _short(line.r2), "tau": _short(line.kendall_tau)}
    if line.covariance is not None and line.intercept_se is not None and line.slope_se > 0:
        ratio, mean = line.intercept_se / line.slope_se, -line.covariance / line.slope_se**2
        spread = math.sqrt(max(ratio - abs(mean), 0.0)) * math.sqrt(ratio + abs(mean))
        half = -float(special.stdtrit(line.n - 2, 0.025)) * line.slope_se
        made |= {"mean": mean, "spread": spread, "half": half}
    return made


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")
