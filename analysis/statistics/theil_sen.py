"""The robust twin of a least-squares line: the median of the slopes of all pairs (Theil 1950, Sen 1968)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from zoospectra.analysis.statistics.sample import X_CONSTANT, is_constant, sample


@dataclass(frozen=True, slots=True)
class TheilSen:
    """y = intercept + slope * x by medians."""

    n: int
    """Points."""
    slope: float | None = None
    """Median of the pairs' slopes, unit of y over unit of x."""
    intercept: float | None = None
    """median(y) - slope * median(x)."""
    low: float | None = None
    """Lower end of the slope's 95 % interval (Sen's normal approximation)."""
    high: float | None = None
    """Upper end."""
    reason: str | None = None
    """Why numbers are missing."""


def theil_sen(x: Sequence[float | None], y: Sequence[float | None]) -> TheilSen:
    """Robust line; pairs of points with equal x do not count. Equivalent to `scipy.stats.theilslopes(y, x)`."""
    found = sample(x, y)
    if found.n < 2:
        return TheilSen(found.n, reason="fewer than two points")
    if is_constant(found.x):
        return TheilSen(found.n, reason=X_CONSTANT)
    if is_constant(found.y):
        return TheilSen(found.n, 0.0, float(found.y.mean()), 0.0, 0.0)
    line = stats.theilslopes(found.y, found.x, 0.95)
    return TheilSen(found.n, float(line.slope), float(line.intercept), float(line.low_slope), float(line.high_slope))
