"""How one quantity of models follows another: a straight line and two rank correlations, in a stated direction.

Ordinary least squares of y on x. Both directions are used in the literature, and their slopes and errors differ: the
caller says which is which. Not covered: groups, mixed models, robust lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

# Below this share of a variable's size its variation is rounding, and a line through it means nothing.
CONSTANT = 1e-13


@dataclass(frozen=True, slots=True)
class Regression:
    """Ordinary least squares y = intercept + slope * x; a number that does not exist is None, and `reason` says why."""

    n: int
    """Points with both values."""
    slope: float | None = None
    """Unit of y over unit of x."""
    intercept: float | None = None
    """Unit of y."""
    r2: float | None = None
    """Share of y's variance that the line explains, 0 to 1."""
    rmse: float | None = None
    """Root mean squared residual, unit of y, divided by n (ddof 0) as the papers do."""
    mse: float | None = None
    """Mean squared residual, divided by n; None where it leaves float64."""
    slope_se: float | None = None
    """Standard error of the slope, with n - 2 degrees of freedom; None for n = 2."""
    slope_low: float | None = None
    """Lower end of the slope's 95 % confidence interval (Student's t); None for n = 2."""
    slope_high: float | None = None
    """Upper end."""
    intercept_se: float | None = None
    """Standard error of the intercept; None for n = 2."""
    covariance: float | None = None
    """Covariance of slope and intercept, so that a band can be drawn round the line; None for n = 2."""
    slope_p: float | None = None
    """Two-sided p-value of slope = 0 (Student's t); None for n = 2."""
    kendall_tau: float | None = None
    """Kendall's tau-b of x and y, -1 to 1."""
    kendall_p: float | None = None
    """Its two-sided p-value."""
    spearman: float | None = None
    """Spearman's rank correlation, -1 to 1."""
    spearman_p: float | None = None
    """Its two-sided p-value; None for n = 2."""
    reason: str | None = None
    """Why numbers are missing: 'fewer than two points', 'x is constant', 'y is constant'."""


def regression(x: Sequence[float | None], y: Sequence[float | None]) -> Regression:
    """Regress y on x; pairs in which either is None are left out.

    Equivalent to `scipy.stats.linregress(x, y)`, `kendalltau` and `spearmanr`. A constant y has a line (slope 0) but
    no R2 and no correlations. Raises ValueError for different lengths and for NaN or infinity.
    """
    if len(x) != len(y):
        msg = f"x and y must have the same length, got {len(x)} and {len(y)}"
        raise ValueError(msg)
    pairs = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    data = np.array(pairs, dtype=np.float64).reshape(len(pairs), 2)
    if not np.isfinite(data).all():
        msg = "x and y must be finite; give None for a number that does not exist"
        raise ValueError(msg)
    n = len(data)
    if n < 2:
        return Regression(n=n, reason="fewer than two points")
    centre = data.mean(axis=0)
    dx, dy = (data - centre).T
    if is_constant(data[:, 0]):
        return Regression(n=n, reason="x is constant")
    if is_constant(data[:, 1]):
        return Regression(n=n, slope=0.0, intercept=float(centre[1]), rmse=0.0, mse=0.0, reason="y is constant")
    (dx, unit_x), (dy, unit_y) = scaled(dx), scaled(dy)
    gradient = float(dx @ dy / (dx @ dx))
    residual = dy - gradient * dx
    slope = gradient / unit_x * unit_y
    r2 = max(0.0, 1.0 - float(residual @ residual / (dy @ dy)))
    tau = stats.kendalltau(data[:, 0], data[:, 1])
    rank, rank_p = _spearman(data[:, 0], data[:, 1])
    rmse = unit_y * float(np.sqrt(residual @ residual / n))
    error, half = _slope_error(dx, residual, unit_y / unit_x)
    middle = float(centre[0])
    spread = unit_x * float(np.sqrt(dx @ dx / n))  # of x, ddof 0
    return Regression(
        n=n,
        slope=slope,
        intercept=float(centre[1] - slope * centre[0]),
        r2=r2,
        rmse=rmse,
        mse=_finite(rmse * rmse),
        slope_se=error,
        slope_low=None if half is None else slope - half,
        slope_high=None if half is None else slope + half,
        intercept_se=None if error is None else error * float(np.hypot(spread, middle)),
        covariance=None if error is None else _finite(-middle * error * error),
        slope_p=_slope_p(r2, n),
        kendall_tau=float(tau.statistic),
        kendall_p=float(tau.pvalue),
        spearman=rank,
        spearman_p=rank_p,
    )


def is_constant(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether the variation of the values is rounding, relative to their size."""
    return len(values) == 0 or bool(np.ptp(values) <= CONSTANT * np.abs(values).max())


def scaled(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], float]:
    """Values in units of the largest, and this unit: squares of very large or small numbers leave float64."""
    unit = float(np.abs(values).max()) or 1.0
    return values / unit, unit


def is_rounding(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether values in units of their data's largest are rounding."""
    return bool(np.abs(values).max() <= CONSTANT)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _slope_p(r2: float, n: int) -> float | None:
    """Two-sided p-value of the slope from t^2 = r2 (n - 2) / (1 - r2)."""
    if n < 3:
        return None
    if r2 >= 1.0:
        return 0.0
    return float(2 * special.stdtr(n - 2, -np.sqrt(r2 * (n - 2) / (1 - r2))))


def _slope_error(
    dx: np.ndarray[tuple[int], np.dtype[np.float64]],
    residual: np.ndarray[tuple[int], np.dtype[np.float64]],
    unit: float,
) -> tuple[float | None, float | None]:
    """Standard error of the slope, and half its 95 % interval; from centred x and residuals in units of their own."""
    freedom = len(dx) - 2
    if freedom < 1:
        return None, None
    error = unit * float(np.sqrt(residual @ residual / freedom / (dx @ dx)))
    return error, -error * float(special.stdtrit(freedom, 0.025))


def _spearman(
    x: np.ndarray[tuple[int], np.dtype[np.float64]], y: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> tuple[float, float | None]:
    """Correlation of average ranks and its p-value, as scipy.stats.spearmanr, which takes four times as long."""
    a, b = (_ranks(side) for side in (x, y))
    r = float(a @ b / np.sqrt((a @ a) * (b @ b)))  # sums of quarters are exact, so that it is never beyond 1
    return r, _slope_p(r * r, len(x))


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Average ranks minus their mean."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[where] - (len(values) + 1) / 2, dtype=np.float64)
