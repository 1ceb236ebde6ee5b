"""Whether residuals of a line look normal: Shapiro and Wilk's test (1965), which reviewers ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from zoospectra.analysis.regression import is_rounding, scaled
from zoospectra.analysis.statistics.sample import degenerate, sample

MOST = 5000
"""Points above which the approximation of the p-value is not accurate (Royston 1995)."""


@dataclass(frozen=True, slots=True)
class Normality:
    """Shapiro-Wilk test of the residuals of y on x."""

    n: int
    """Points."""
    w: float | None = None
    """Statistic, 0 to 1; 1 is normal."""
    p: float | None = None
    """p-value of normal residuals."""
    reason: str | None = None
    """Why numbers are missing."""


def residual_normality(x: Sequence[float | None], y: Sequence[float | None]) -> Normality:
    """Test the residuals of the least-squares line. Equivalent to `scipy.stats.shapiro` of them."""
    found = sample(x, y)
    if why := degenerate(found, 4):
        return Normality(found.n, reason=why)
    if found.n > MOST:
        return Normality(found.n, reason=f"more than {MOST} points: the p-value is not accurate")
    dx, dy = found.x - found.x.mean(), found.y - found.y.mean()
    (dx, _), (dy, _) = scaled(dx), scaled(dy)
    residual = dy - float(dx @ dy / (dx @ dx)) * dx
    if is_rounding(residual):
        return Normality(found.n, reason="the points lie on a line")
    test = stats.shapiro(residual)
    return Normality(found.n, float(test.statistic), float(test.pvalue))
