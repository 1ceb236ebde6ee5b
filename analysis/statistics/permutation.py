"""How often chance does as well: the target shuffled inside groups, the trend measured again."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod

import numpy as np

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.statistics.sample import sample
from zoospectra.analysis.statistics.within import centred, of_sample

TIES = 1e-12
"""Shuffles this close to the observed trend, relative to the largest possible one, count as doing as well."""


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


def chance(
    x: Sequence[float | None],
    y: Sequence[float | None],
    groups: Sequence[Hashable],
    *,
    shuffles: int = 9999,
    seed: int = 0,
) -> Chance:
    """Permutation test of the fixed-effects slope; all orders when there are at most `shuffles` of them, else random.

    Equivalent, for one group, to `scipy.stats.permutation_test(permutation_type='pairings')` of the slope. Raises
    ValueError for shuffles < 1.
    """
    if shuffles < 1:
        msg = f"shuffles must be at least 1, got {shuffles}"
        raise ValueError(msg)
    found = sample(x, y, groups)
    line = of_sample(found)
    if line.slope is None or line.reason == "y is constant inside every group":
        return Chance(found.n, reason=line.reason)
    dx, dy = centred(found.x, found.group), centred(found.y, found.group)
    dx, dy = dx / np.abs(dx).max(), dy / np.abs(dy).max()
    members = [np.flatnonzero(found.group == i) for i in range(len(found.names))]
    observed = abs(float(dx @ dy)) - TIES * float(np.sqrt((dx @ dx) * (dy @ dy)))
    orders = prod(factorial(len(one)) for one in members)
    if orders <= shuffles:
        parts = [_every(dx[one], dy[one]) for one in members]
        sums = np.array([sum(choice) for choice in product(*parts)])
        return Chance(found.n, line.slope, float(np.mean(np.abs(sums) >= observed)), orders, exact=True)
    rng = np.random.default_rng(seed)
    sums = np.zeros(shuffles)
    for one in members:
        sums += rng.permuted(np.tile(dy[one], (shuffles, 1)), axis=1) @ dx[one]
    as_good = int((np.abs(sums) >= observed).sum())
    return Chance(found.n, line.slope, (1 + as_good) / (1 + shuffles), shuffles)


def _every(dx: FloatArray, dy: FloatArray) -> list[float]:
    """Sum of products for every order of dy."""
    return [float(dx @ np.array(order)) for order in permutations(dy)]
