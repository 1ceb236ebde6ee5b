"""Bootstrap interval of a slope: models drawn anew, the line fitted again.

Seeded, so that the same population always gives the same replicates. It needs a dozen models or more: of a handful it
is degenerate, and no verdict rests on it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import CONSTANT, regression, scaled
from zoospectra.analysis.statistics.sample import Sample, degenerate, sample


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
    reason: str | None = None
    """Why numbers are missing."""


def slope_interval(
    x: Sequence[float | None],
    y: Sequence[float | None],
    *,
    clusters: Sequence[Hashable] | None = None,
    count: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the slope. Equivalent to `scipy.stats.bootstrap(paired=True, method='percentile')`.

    clusters: points of a cluster are drawn together, so that nothing is said about how they depend on each other.
    """
    found = sample(x, y, list(range(len(x))) if clusters is None else clusters)
    if why := degenerate(found, 3):
        return Interval(found.n, reason=why)
    slopes = _resampled(found, count, seed)
    low, high = np.nanquantile(slopes, [0.025, 0.975])
    line = regression(found.x.tolist(), found.y.tolist())
    return Interval(found.n, line.slope, float(low), float(high))


def _resampled(found: Sample, count: int, seed: int) -> FloatArray:
    """(count,) slopes; NaN where a resampled x does not vary."""
    dx, dy = found.x - found.x.mean(), found.y - found.y.mean()
    (a, unit_x), (b, unit_y) = scaled(dx), scaled(dy)
    clusters = len(found.names)
    drawn = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1.0 / clusters), size=count)
    sums = np.zeros((clusters, 5))
    np.add.at(sums, found.group, np.column_stack([np.ones(found.n), a, b, a * a, a * b]))
    points, *moments = (drawn @ sums).T
    x, y, xx, xy = (moment / points for moment in moments)
    sxx = xx - x * x
    varies = sxx > CONSTANT * xx
    slopes = np.full(count, np.nan)
    slopes[varies] = unit_y / unit_x * (xy - x * y)[varies] / sxx[varies]
    return slopes
