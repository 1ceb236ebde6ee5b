"""How often chance does as well: the target shuffled inside groups, the trend measured again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import permutations
from math import factorial, prod

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import scaled
from zoospectra.analysis.statistics import within
from zoospectra.analysis.statistics.sample import Sample
from zoospectra.analysis.statistics.within import centred

TIES = 1e-12
"""Shuffles this close to the observed trend, relative to the largest possible one, count as doing as well."""
ENOUGH = 100
"""Shuffles that do as well, after which no more are drawn: the p-value is then known to a tenth of itself."""


@dataclass(frozen=True, slots=True)
class Chance:
    """Null of the slope inside groups."""

    n: int
    """Points."""
    slope: float | None = None
    """Observed slope inside groups."""
    p: float | None = None
    """Share of shuffles whose slope is at least as steep, either way; the observed order counts as one of them."""
    shuffles: int = 0
    """Shuffles behind it."""
    exact: bool = False
    """Whether they were all there are."""
    reason: str | None = None
    """Why numbers are missing."""


def of_sample(found: Sample, shuffles: int, seed: int) -> Chance:
    """Permutation test of the fixed-effects slope; all orders when there are at most `shuffles` of them, else random.

    Of random orders a tenth is drawn first, and the others only where few of these do as well: a large p-value needs no
    precision.

    Equivalent, for one group, to `scipy.stats.permutation_test(permutation_type='pairings')` of the slope. Raises
    ValueError for shuffles < 1.
    """
    if shuffles < 1:
        msg = f"shuffles must be at least 1, got {shuffles}"
        raise ValueError(msg)
    line = within.of_sample(found)
    if line.slope is None or line.reason == "y is constant inside every group":
        return Chance(found.n, reason=line.reason)
    dx, dy = centred(found.x, found.group), centred(found.y, found.group)
    (dx, _), (dy, _) = scaled(dx), scaled(dy)
    members = [np.flatnonzero(found.group == i) for i in range(len(found.names))]
    observed = abs(float(dx @ dy)) - TIES * float(np.sqrt((dx @ dx) * (dy @ dy)))
    orders = prod(factorial(len(one)) for one in members)
    if orders <= shuffles:
        sums = reduce(np.add.outer, [_every(dx[one], dy[one]) for one in members])
        return Chance(found.n, line.slope, float(np.mean(np.abs(sums) >= observed)), orders, exact=True)
    rng = np.random.default_rng(seed)
    drawn = as_good = 0
    while drawn < shuffles and as_good < ENOUGH:
        count = min(shuffles - drawn, max(1, shuffles // 10))
        sums = np.zeros(count)
        for one in members:
            sums += rng.permuted(np.tile(dy[one], (count, 1)), axis=1) @ dx[one]
        as_good += int((np.abs(sums) >= observed).sum())
        drawn += count
    return Chance(found.n, line.slope, (1 + as_good) / (1 + drawn), drawn)


def _every(dx: FloatArray, dy: FloatArray) -> FloatArray:
    """Sum of products for every order of dy."""
    return np.array(list(permutations(dy))) @ dx
