"""How far two orders of the same models agree: Kendall's tau-b, over all pairs or over those inside a group.

The interval is the jackknife's: one model left out at a time, Student's t with n - 1 degrees of freedom. Inside groups
every pair of one group weighs alike, and pairs of different groups do not count.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from zoospectra.analysis.records import FloatArray


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two orders; a number that does not exist is None, and `reason` says why."""

    n: int
    """Models in a pair that counts."""
    tau: float | None = None
    """Kendall's tau-b, -1 to 1."""
    low: float | None = None
    """Lower end of its 95 % interval, at least -1."""
    high: float | None = None
    """Upper end, at most 1."""
    swapped: int | None = None
    """Pairs that the two orders put the other way round."""
    reason: str | None = None
    """Why numbers are missing."""


def rank_agreement(x: Sequence[float], y: Sequence[float], groups: Sequence[Hashable] | None = None) -> Agreement:
    """Agreement of x and y over pairs of one group, or over all pairs without groups.

    Equivalent, without groups, to `scipy.stats.kendalltau(x, y).statistic`. Raises ValueError for different lengths.
    """
    if len(x) != len(y) or (groups is not None and len(groups) != len(x)):
        msg = f"x, y and groups must have the same length, got {len(x)}, {len(y)}, {len(groups or x)}"
        raise ValueError(msg)
    number = {group: i for i, group in enumerate(dict.fromkeys(groups or []))}
    label = np.zeros(len(x)) if groups is None else np.array([number[group] for group in groups])
    same = (label[:, None] == label[None, :]) & ~np.eye(len(x), dtype=bool)
    used = same.any(axis=1)
    n = int(used.sum())
    if n < 2:
        return Agreement(n, reason="no two models to compare")
    a, b = _signs(x) * same, _signs(y) * same
    # Sums over the pairs of one model: concordant minus discordant, pairs that x tells apart, pairs that y does.
    rows = np.stack([(a * b).sum(axis=1), np.abs(a).sum(axis=1), np.abs(b).sum(axis=1)])[:, used]
    tau = float(_tau(rows.sum(axis=1)))
    if not np.isfinite(tau):
        return Agreement(n, reason="x or y is constant")
    swapped = int(np.count_nonzero(a * b < 0)) // 2
    without = _tau(rows.sum(axis=1, keepdims=True) - 2 * rows)
    if not np.isfinite(without).all() or np.ptp(without) == 0:
        why = "the orders agree wholly" if abs(tau) == 1 else "too few models"
        return Agreement(n, tau, swapped=swapped, reason=f"{why}: no interval")
    half = -float(special.stdtrit(n - 1, 0.025)) * float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
    return Agreement(n, tau, max(-1.0, tau - half), min(1.0, tau + half), swapped)


def _signs(values: Sequence[float]) -> FloatArray:
    data = np.array(values, dtype=np.float64)
    return np.asarray(np.sign(data[:, None] - data[None, :]))


def _tau(sums: FloatArray) -> FloatArray:
    """tau-b of sums (3,) or (3, n); NaN where a side is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[0] / np.sqrt(sums[1] * sums[2]))  # of whole numbers, so that it is never beyond 1
