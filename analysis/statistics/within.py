"""The trend inside groups: one slope for all, an intercept for each (fixed effects, 'least squares with dummies')."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import CONSTANT, scaled
from zoospectra.analysis.statistics.sample import Sample

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Within:
    """y = intercept[group] + slope * x."""

    n: int
    """Points."""
    groups: int
    """Groups with at least two points; a single point says nothing about a slope."""
    slope: float | None = None
    """Common slope, unit of y over unit of x."""
    slope_se: float | None = None
    """Its standard error with n - groups - 1 degrees of freedom; None when there are none left."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Two-sided p-value of slope = 0."""
    r2: float | None = None
    """Share of y's variance inside groups that the slope explains."""
    reason: str | None = None
    """Why numbers are missing."""


def centred(values: FloatArray, group: np.ndarray[tuple[int], np.dtype[np.intp]]) -> FloatArray:
    """Values minus the mean of their group."""
    counts = np.bincount(group)
    means = np.bincount(group, weights=values) / np.maximum(counts, 1)
    return np.asarray(values - means[group], dtype=np.float64)


def varying(values: FloatArray, differences: FloatArray, group: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Flags:
    """For every group whether the values vary inside it, beyond rounding."""
    largest = np.zeros(int(group.max()) + 1)
    np.maximum.at(largest, group, np.abs(differences))
    return np.asarray(largest > CONSTANT * np.abs(values).max())


def of_sample(found: Sample) -> Within:
    """Fixed-effects slope. Equivalent to `statsmodels` OLS of y on x and a dummy for every group."""
    if found.n == 0:
        return Within(0, 0, reason="no points")
    counts = np.bincount(found.group)
    groups, n = int((counts > 1).sum()), found.n
    dx, dy = centred(found.x, found.group), centred(found.y, found.group)
    if groups == 0:
        return Within(n, 0, reason="no group has two points")
    if flat(found.x, dx):
        return Within(n, groups, reason="x is constant inside every group")
    if flat(found.y, dy):
        return Within(n, groups, 0.0, reason="y is constant inside every group")
    (dx, unit_x), (dy, unit_y) = scaled(dx), scaled(dy)
    slope = float(dx @ dy / (dx @ dx))
    rest = dy - slope * dx
    r2 = max(0.0, 1.0 - float(rest @ rest / (dy @ dy)))
    scale = unit_y / unit_x
    freedom = n - len(found.names) - 1
    if freedom < 1:
        return Within(n, groups, scale * slope, r2=r2, reason="no degrees of freedom left for an error")
    error = float(np.sqrt(rest @ rest / freedom / (dx @ dx)))
    half = error * float(stats.t.isf(0.025, freedom))
    p = float(2 * stats.t.sf(abs(slope) / error, freedom)) if error > 0 else 0.0
    ends = (scale * (slope - half), scale * (slope + half))
    return Within(n, groups, scale * slope, scale * error, *ends, p, r2)


def flat(values: FloatArray, differences: FloatArray) -> bool:
    """Whether differences from group means are rounding."""
    return bool(np.abs(differences).max() <= CONSTANT * np.abs(values).max())
