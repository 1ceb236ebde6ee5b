"""A slope whose error does not ask for equal variances: least squares with HC3 errors, groups and covariates taken out.

HC3 (MacKinnon and White 1985) weighs each squared residual by 1 / (1 - leverage)^2. Where few points carry the slope
its error is itself uncertain: the degrees of freedom are those of its variance under equal variances (Satterthwaite;
Bell and McCaffrey 2002), at most n - groups - covariates - 1. With groups the slope is that inside groups (an intercept
each); with covariates it is partial. Not covered: clusters, see between.py for what differs from group to group.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import scaled
from zoospectra.analysis.statistics.sample import Sample, sample
from zoospectra.analysis.statistics.within import centred, flat

WHOLE = 1 - 1e-9
"""Leverage from which a point lies on the line whatever its value."""


@dataclass(frozen=True, slots=True)
class RobustSlope:
    """y = intercept[group] + slope * x + covariates."""

    n: int
    """Points; those in groups of one do not count."""
    freedom: float = 0.0
    """Degrees of freedom of the t-test."""
    slope: float | None = None
    """Unit of y over unit of x."""
    slope_se: float | None = None
    """Its HC3 standard error."""
    low: float | None = None
    """Lower end of its 95 % interval (Student's t)."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Two-sided p-value of slope = 0 (Student's t)."""
    bold_p: float | None = None
    """The same with n - groups - covariates - 1 degrees of freedom, as `statsmodels` with use_t: too sure where few
    points carry the slope."""
    reason: str | None = None
    """Why numbers are missing."""


def robust_slope(
    x: Sequence[float | None],
    y: Sequence[float | None],
    groups: Sequence[Hashable] | None = None,
    covariates: Sequence[Sequence[float | None]] = (),
) -> RobustSlope:
    """Slope of y on x; points without x, y or a covariate are left out.

    Slope and error are those of `statsmodels` OLS of y on x, covariates and a dummy for every group with cov_type HC3;
    the p-value is not, for its degrees of freedom. Raises ValueError for different lengths and for NaN or infinity.
    """
    if covariates:
        whole = [None not in row for row in zip(*covariates, strict=True)]
        x = [value if there else None for value, there in zip(x, whole, strict=True)]
    found = sample(x, y, groups)
    others = np.array([[float(side[i] or 0.0) for side in covariates] for i in found.kept], dtype=np.float64)
    return of_sample(found, others.reshape(found.n, len(covariates)))


def of_sample(found: Sample, covariates: FloatArray | None = None) -> RobustSlope:
    """As `robust_slope`, of points at hand; covariates (n, k)."""
    counts = np.bincount(found.group)
    large = counts[found.group] > 1
    group, x, y = found.group[large], found.x[large], found.y[large]
    n, groups = len(x), int((counts > 1).sum())
    if n == 0:
        return RobustSlope(n, reason="no group has two points")
    dx, dy, leverage = centred(x, group), centred(y, group), 1.0 / counts[group]
    if flat(x, dx):
        return RobustSlope(n, reason="x is constant" if groups == 1 else "x is constant inside every group")
    (dx, unit_x), (dy, unit_y) = scaled(dx), scaled(dy)
    taken = 0
    if covariates is not None and covariates.shape[1]:
        basis = _basis(covariates[large], group)
        taken = basis.shape[1]
        dx, dy = dx - basis @ (basis.T @ dx), dy - basis @ (basis.T @ dy)
        leverage = leverage + (basis**2).sum(axis=1)
    largest, square = n - groups - taken - 1, float(dx @ dx)
    if square < 1e-20 * n:
        return RobustSlope(n, reason="x is a combination of groups and covariates")
    slope = float(dx @ dy) / square
    unit = unit_y / unit_x
    if largest < 1:
        return RobustSlope(n, 0.0, unit * slope, reason="no degrees of freedom left for an error")
    leverage = leverage + dx**2 / square
    if (leverage > WHOLE).any():
        return RobustSlope(n, 0.0, unit * slope, reason="one point alone carries the slope")
    weighted = dx * (dy - slope * dx) / (1 - leverage)
    freedom = min(float(largest), _freedom(dx / np.sqrt(square), leverage, group))
    error = float(np.sqrt(weighted @ weighted)) / square
    half = -error * float(special.stdtrit(freedom, 0.025))
    ends = (unit * (slope - half), unit * (slope + half))
    p, bold = _p(slope, error, freedom), _p(slope, error, float(largest))
    return RobustSlope(n, freedom, unit * slope, unit * error, *ends, p, bold)


def _freedom(u: FloatArray, leverage: FloatArray, group: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
    """2 E[V]^2 / Var[V] of the HC3 variance V = sum a e^2 when all errors have one variance; u: x inside groups, |u| 1.

    The residuals e = M errors, M = 1 - P - u u^T with P the group means: E[V] = sum a_i M_ii and Var[V] / 2 = sum_ij
    a_i a_j M_ij^2, here summed group by group. Of covariates only the leverage counts.
    """
    a = (u / (1 - leverage)) ** 2
    size = np.bincount(group)
    safe = np.maximum(size, 1)
    by_group = [np.bincount(group, weights=one) for one in (a, a * a, a * u, (a * u) ** 2)]
    same = ((by_group[0] ** 2 - by_group[1]) / safe**2 + 2 * (by_group[2] ** 2 - by_group[3]) / safe).sum()
    across = float(a @ u**2) ** 2 - float(a**2 @ u**4)
    own = float(((a * (1 - leverage)) ** 2).sum())
    return float((a @ (1 - leverage)) ** 2 / (own + same + across))


def _p(slope: float, error: float, freedom: float) -> float:
    if error == 0:
        return 1.0 if slope == 0 else 0.0
    return float(2 * special.stdtr(freedom, -abs(slope) / error))


def _basis(covariates: FloatArray, group: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FloatArray:
    """Orthonormal columns that span the covariates inside groups, (n, at most k)."""
    sides = []
    for covariate in covariates.T:
        side = centred(covariate, group)
        if not flat(covariate, side):
            sides.append(scaled(side)[0])
    if not sides:
        return np.zeros((len(covariates), 0))
    left, sizes, _ = np.linalg.svd(np.column_stack(sides), full_matrices=False)
    return np.asarray(left[:, sizes > 1e-10 * sizes.max()], dtype=np.float64)
