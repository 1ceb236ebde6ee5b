"""Intervals of alpha and xmin.

With xmin known, S = sum ln(x / xmin) of n exact Pareto values is Gamma(n) / (alpha - 1), so the interval of alpha
is exact. With xmin searched, whole samples are drawn from the data with replacement and fitted from scratch; the
interval holds the middle of the refitted values (Efron's percentile interval). Not covered: bias correction,
intervals of D.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.tails.tail import log_excess
from zoospectra.analysis.uncertainty.batch import search
from zoospectra.analysis.uncertainty.goodness import BLOCK, log_values

STREAM = 2
"""Second word of the seed; see analysis.uncertainty.goodness."""
LEVEL = 0.95
"""Share of intervals that should hold the true value."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A range for one number."""

    low: float
    """Lower end."""
    high: float
    """Upper end."""


@dataclass(frozen=True, slots=True)
class Searched:
    """Intervals when xmin is part of what is estimated."""

    alpha: Interval
    """Exponent."""
    xmin: Interval
    """Start of the tail, unit of x."""
    replicates: int
    """Number of resamples that had a tail to fit."""


def known(x: FloatArray, xmin: float, level: float = LEVEL) -> Interval | None:
    """Exact interval of alpha from the tail x (n,), ascending, >= xmin, if the law holds from a known xmin on.

    None where there is no tail to fit. Raises ValueError for a level outside (0, 1).
    """
    side = _side(level)
    u = log_excess(x, xmin)
    if u is None:
        return None
    low, high = gammaincinv(len(u), [side, 1.0 - side]) / float(u.sum())
    return Interval(1.0 + float(low), 1.0 + float(high))


def searched(x: FloatArray, replicates: int, seed: int, level: float = LEVEL) -> Searched | None:
    """Bootstrap intervals of alpha and xmin on x (K,), ascending and positive; None where there is nothing to fit.

    Raises ValueError for replicates < 1 or a level outside (0, 1). Equivalent to bootstrap of R's poweRlaw.
    """
    side = _side(level)
    if replicates < 1:
        raise ValueError(f"replicates: expected at least 1, got {replicates}; a few hundred give two digits")
    logs = log_values(x)
    if logs is None:
        return None
    rng = np.random.default_rng((STREAM, seed))
    step = max(1, BLOCK // len(logs))
    alpha, start = [], []
    for done in range(0, replicates, step):
        chosen = rng.integers(0, len(logs), (min(step, replicates - done), len(logs)))
        chosen.sort(axis=1)
        fits = search(logs[chosen])
        alpha.append(fits.alpha[fits.has_tail])
        start.append(np.take_along_axis(chosen, fits.index[:, None], axis=1)[fits.has_tail, 0])
    alphas, starts = np.concatenate(alpha), np.concatenate(start)
    if len(alphas) == 0:
        return None
    xmins = np.quantile(x[starts], [side, 1.0 - side], method="inverted_cdf")
    ends = np.quantile(alphas, [side, 1.0 - side])
    return Searched(Interval(float(ends[0]), float(ends[1])), Interval(float(xmins[0]), float(xmins[1])), len(alphas))


def _side(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level: expected a share in (0, 1), got {level}; 0.95 is usual")
    return 0.5 * (1.0 - level)
