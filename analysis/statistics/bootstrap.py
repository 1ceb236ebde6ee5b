"""Slopes of resampled populations: models drawn anew inside each group, pooled, common and group slopes together.

Seeded, so that the same population always gives the same replicates. A replicate in which x does not vary has no slope
(NaN inside this file only). Not covered: resampling of groups.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.sample import Sample, degenerate, sample

LEAST = 1e-12
"""Share of x's variance below which a resampled x counts as constant."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Bootstrap interval of a slope."""

    n: int
    """Points."""
    slope: float | None = None
    """Of the points themselves."""
    low: float | None = None
    """Percentile 2.5 of the replicates."""
    high: float | None = None
    """Percentile 97.5."""
    positive: float | None = None
    """Share of replicates with a positive slope."""
    reason: str | None = None
    """Why numbers are missing."""


@dataclass(frozen=True, slots=True)
class Replicates:
    """Slopes of R replicates, each of the same population; NaN where a replicate has none."""

    pooled: FloatArray
    """(R,): one line through everything."""
    common: FloatArray
    """(R,): fixed effects."""
    groups: FloatArray
    """(R, G): every group's own."""


def replicates(found: Sample, count: int, seed: int) -> Replicates:
    """Slopes of `count` stratified resamples: every group keeps its number of points."""
    rng = np.random.default_rng(seed)
    x = (found.x - found.x.mean()) / (np.abs(found.x - found.x.mean()).max() or 1.0)
    y = (found.y - found.y.mean()) / (np.abs(found.y - found.y.mean()).max() or 1.0)
    unit = (np.abs(found.y - found.y.mean()).max() or 1.0) / (np.abs(found.x - found.x.mean()).max() or 1.0)
    sums = np.zeros((len(found.names), 5, count))  # of 1, x, y, xx, xy in every group and replicate
    for i in range(len(found.names)):
        mine = found.group == i
        n = int(mine.sum())
        weights = rng.multinomial(n, np.full(n, 1.0 / n), size=count).astype(np.float64)
        a, b = x[mine], y[mine]
        sums[i] = (weights @ np.column_stack([np.ones(n), a, b, a * a, a * b])).T
    total = sums.sum(axis=0)
    sxx, sxy = _centred(sums)
    pooled = _ratio(*_centred(total[None]))
    return Replicates(unit * pooled[0], unit * _ratio(sxx.sum(axis=0), sxy.sum(axis=0)), unit * _ratio(sxx, sxy).T)


def _centred(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centred sums of squares and products, (G, R) each, from raw sums (G, 5, R)."""
    n, x, y, xx, xy = (sums[:, i] for i in range(5))
    sxx, sxy = xx - x * x / n, xy - x * y / n
    return np.where(sxx > LEAST * (xx + LEAST), sxx, 0.0), sxy


def _ratio(sxx: FloatArray, sxy: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(sxx > 0, sxy / np.where(sxx > 0, sxx, 1.0), np.nan), dtype=np.float64)


def positive_share(slopes: FloatArray) -> float:
    """Share of the replicates with a positive slope; those without one, and zeros, count half."""
    known = slopes[np.isfinite(slopes)]
    missing = len(slopes) - len(known)
    return float((np.sum(known > 0) + 0.5 * np.sum(known == 0) + 0.5 * missing) / max(len(slopes), 1))


def slope_interval(
    x: Sequence[float | None],
    y: Sequence[float | None],
    groups: Sequence[Hashable] | None = None,
    *,
    count: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the pooled slope, resampling inside groups when they are given.

    Equivalent to `scipy.stats.bootstrap(paired=True, method='percentile')` for one group.
    """
    found = sample(x, y, groups)
    if why := degenerate(found, 3):
        return Interval(found.n, reason=why)
    slopes = replicates(found, count, seed).pooled
    low, high = np.nanquantile(slopes, [0.025, 0.975])
    line = regression(found.x.tolist(), found.y.tolist())
    return Interval(found.n, line.slope, float(low), float(high), positive_share(slopes))
