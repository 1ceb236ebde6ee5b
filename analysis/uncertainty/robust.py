"""How much alpha depends on the choice of xmin, and an alpha that does not hang on one choice.

Every candidate start i has its alpha_i and its distance D_i. Distances that differ by less than the sampling noise
of a Kolmogorov-Smirnov distance say nothing about which start is right, so candidates share the vote by a softmin,
w_i ~ exp(-(D_i - D_best) / tau) with tau = 0.26 / sqrt(n_best): 0.2603 is the standard deviation of Kolmogorov's
distribution, so a candidate worse by one standard deviation counts 1/e. Not covered: correlation between
neighbouring candidates (the spread is one of the choice of xmin, not a sampling error;
analysis.uncertainty.interval has that).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zoospectra.analysis.records import FloatArray, IntArray
from zoospectra.analysis.rounding import FLAT
from zoospectra.analysis.uncertainty.batch import distances, lower_bounds, search, slopes
from zoospectra.analysis.uncertainty.goodness import log_values

NOISE = math.sqrt(math.pi**2 / 12.0 - math.pi / 2.0 * math.log(2.0) ** 2)
"""Standard deviation of Kolmogorov's distribution, 0.2603: sd of sqrt(n) D for a law that is right."""
NEGLIGIBLE = 25.0
"""Candidates beyond this many tau weigh less than e^-25 and are left out; the effect on alpha is below 1e-8."""
POSITIONS = 32
"""Positions a candidate at which its distance is bounded before it is evaluated."""
MIN_TAIL = 8
"""Shorter tails do not vote: their alpha is nearly arbitrary."""


@dataclass(frozen=True, slots=True)
class Robust:
    """Alpha over all plausible starts of the tail."""

    alpha: float
    """Weighted mean of alpha_i."""
    spread: float
    """Weighted standard deviation of alpha_i: how far the choice of xmin moves alpha."""
    low: float
    """Smallest alpha among starts within one tau of the best."""
    high: float
    """Largest alpha among starts within one tau of the best."""
    slope: float
    """Weighted least-squares slope of alpha_i against ln x_i; 0 for a tail that is one power law."""
    candidates: float
    """Effective number of starts, 1 / sum w_i^2."""


def robust(x: FloatArray, min_tail: int = MIN_TAIL) -> Robust | None:
    """Softmin over all tail starts of x (K,), ascending and positive; None where there is nothing to fit.

    Raises ValueError for min_tail < 2.
    """
    if min_tail < 2:
        raise ValueError(f"min_tail: expected at least 2, got {min_tail}; one value has no spread")
    logs = log_values(x)
    if logs is None:
        return None
    slope = slopes(logs[None, :], min_tail)
    fit = search(logs[None, :], min_tail)
    if not fit.has_tail[0]:
        return None
    tau = NOISE / math.sqrt(len(logs) - int(fit.index[0]))
    first = np.flatnonzero(slope[0] > 0.0)
    first = first[_bounds(logs, slope, first) <= float(fit.D[0]) + NEGLIGIBLE * tau]
    return _vote(
        distances(logs[None, :], slope, np.zeros_like(first), first) - fit.D[0], tau, slope[0, first], logs[first]
    )


def _bounds(logs: FloatArray, slope: FloatArray, first: IntArray) -> FloatArray:
    return lower_bounds(logs[None, :], slope, np.zeros_like(first), first, POSITIONS)


def _vote(excess: FloatArray, tau: float, slope: FloatArray, at: FloatArray) -> Robust:
    """Weigh the candidates (C,) by how far their distance exceeds the best one's."""
    weight = np.exp(-excess / tau)
    weight /= weight.sum()
    alpha = 1.0 + slope
    mean, centre = float(weight @ alpha), float(weight @ at)
    across = float(weight @ (at - centre) ** 2)
    near = alpha[excess <= tau]
    return Robust(
        alpha=mean,
        spread=math.sqrt(float(weight @ (alpha - mean) ** 2)),
        low=float(near.min()),
        high=float(near.max()),
        slope=float(weight @ ((alpha - mean) * (at - centre))) / across if across > FLAT**2 else 0.0,
        candidates=1.0 / float(weight @ weight),
    )
