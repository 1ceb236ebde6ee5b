"""Two samples without a partner for each value: how far one lies from the other, and whether chance explains it.

Permutation test of the difference of medians (all divisions where there are few, else seeded random ones),
Kolmogorov-Smirnov, and the shift of Hodges and Lehmann (1963) with its interval, which holds for a handful too, where
a bootstrap does not. Not covered: pairs.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from scipy import special, stats

from zoospectra.analysis.records import FloatArray

TIES = 1e-12
"""Differences this close to the observed one, relative to the largest value, count as being as large."""


@dataclass(frozen=True, slots=True)
class TwoSamples:
    """What sets a sample apart from another; differences are the first minus the second."""

    shift: float
    """Difference of the medians, unit of the values."""
    p: float
    """Two-sided p-value of the shift: share of divisions whose medians lie at least as far apart."""
    exact: bool
    """Whether all divisions were looked at."""
    hodges_lehmann: float
    """Median of all differences between a value of the first and one of the second."""
    low: float | None
    """Lower end of its 95 % interval; None where so few values have none."""
    high: float | None
    """Upper end."""
    ks: float
    """Largest distance of the two distribution functions, 0 to 1."""
    ks_p: float
    """Its two-sided p-value."""


def two_samples(a: Sequence[float], b: Sequence[float], *, shuffles: int = 9999, seed: int = 0) -> TwoSamples:
    """Compare a with b; the order inside each says nothing.

    Equivalent to `scipy.stats.permutation_test` of the absolute difference of medians and `scipy.stats.ks_2samp`; the
    interval inverts `scipy.stats.mannwhitneyu` without its continuity correction. Raises ValueError when either is
    empty and for shuffles < 1.
    """
    if not len(a) or not len(b) or shuffles < 1:
        msg = f"expected two samples and at least one shuffle, got {len(a)} and {len(b)} values, {shuffles} shuffles"
        raise ValueError(msg)
    first, second = np.array(a, dtype=np.float64), np.array(b, dtype=np.float64)
    both = np.concatenate([first, second])
    shift = float(np.median(first) - np.median(second))
    exact = comb(len(both), len(first)) <= shuffles
    apart = _every(both, len(first)) if exact else _some(both, len(first), shuffles, seed)
    as_far = int(np.count_nonzero(np.abs(apart) >= abs(shift) - TIES * float(np.abs(both).max())))
    p = as_far / len(apart) if exact else (1 + as_far) / (1 + shuffles)
    differences = np.sort(np.subtract.outer(first, second), axis=None)
    least = _rank(len(first), len(second))
    with (
        warnings.catch_warnings()
    ):  # of ties whose exact p-value rounding leaves outside 0 to 1; then the limit's counts
        warnings.simplefilter("ignore", RuntimeWarning)
        distance = stats.ks_2samp(first, second)
    return TwoSamples(
        shift=shift,
        p=p,
        exact=exact,
        hodges_lehmann=float(np.median(differences)),
        low=float(differences[least - 1]) if least else None,
        high=float(differences[-least]) if least else None,
        ks=float(distance.statistic),
        ks_p=float(distance.pvalue),
    )


def _every(both: FloatArray, n: int) -> FloatArray:
    """Differences of medians of every division into n and the rest."""
    places = np.array(list(combinations(range(len(both)), n)))
    mask = np.zeros((len(places), len(both)), dtype=bool)
    mask[np.arange(len(places))[:, None], places] = True
    tiled = np.broadcast_to(both, mask.shape)
    inside, outside = tiled[mask].reshape(len(places), n), tiled[~mask].reshape(len(places), -1)
    return np.asarray(np.median(inside, axis=1) - np.median(outside, axis=1))


def _some(both: FloatArray, n: int, shuffles: int, seed: int) -> FloatArray:
    """The same of random divisions, a few hundred at a time."""
    rng, made = np.random.default_rng(seed), []
    for start in range(0, shuffles, 500):
        drawn = rng.permuted(np.tile(both, (min(500, shuffles - start), 1)), axis=1)
        made.append(np.median(drawn[:, :n], axis=1) - np.median(drawn[:, n:], axis=1))
    return np.concatenate(made)


def _rank(n: int, m: int) -> int:
    """Which smallest and largest differences bound the 95 % interval; 0 for none (normal approximation, floored)."""
    width = -float(special.ndtri(0.025)) * float(np.sqrt(n * m * (n + m + 1) / 12))
    return max(0, int(np.floor(n * m / 2 - width)))
