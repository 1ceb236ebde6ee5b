"""The confidence band of a straight line's mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import Regression


class Band(NamedTuple):
    """Edges of a band."""

    low: FloatArray
    """Lower edge, unit of y."""
    high: FloatArray
    """Upper edge, unit of y."""


def band(line: Regression, x: FloatArray, level: float = 0.95) -> Band | None:
    """Pointwise band of the mean of y at the places x, shape (K,); None for a line without standard errors.

    y(x) -+ t se(x) with se = se(slope) sqrt((x - mean)^2 + var(x)), var with ddof 0, and Student's t of n - 2.
    Equivalent to `statsmodels.api.OLS(...).fit().get_prediction(x).conf_int()`.
    """
    if line.slope is None or line.intercept is None or not line.slope_se or not line.intercept_se:
        return None
    if line.covariance is None:
        return None
    ratio, mean = line.intercept_se / line.slope_se, -line.covariance / line.slope_se / line.slope_se
    spread = np.sqrt(max(ratio - abs(mean), 0.0)) * np.sqrt(ratio + abs(mean))  # of x; squares would leave float64
    half = -special.stdtrit(line.n - 2, (1 - level) / 2) * line.slope_se * np.hypot(x - mean, spread)
    middle = line.intercept + line.slope * x
    return Band(middle - half, middle + half)
