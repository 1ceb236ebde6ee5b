"""The robust twin of a least-squares line: the median of the slopes of all pairs (Theil 1950, Sen 1968)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from zoospectra.analysis.regression import is_constant
from zoospectra.analysis.statistics.sample import X_CONSTANT, sample


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
    with np.errstate(invalid="ignore"):  # the variance is negative where nearly all values are ties
        line = stats.theilslopes(found.y, found.x, 0.95)
    slope, intercept, low, high = (float(value) for value in line)
    if not math.isfinite(low):
        return TheilSen(found.n, slope, intercept, reason="too many ties for an interval")
    return TheilSen(found.n, slope, intercept, low, high)
