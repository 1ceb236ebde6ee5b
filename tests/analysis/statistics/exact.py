"""The textbook formulas of every statistic in exact fractions, and small hostile populations to try them on.

Few whole numbers make ties, constants, groups of one, points on a line and missing values, each many times; fractions
tell exactly which of these it is, so that every field and every reason of a record must agree.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations, product
from math import lcm, sqrt

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.regression import Regression
from zoospectra.analysis.statistics.between import Between
from zoospectra.analysis.statistics.influence import Influence
from zoospectra.analysis.statistics.interaction import Interaction
from zoospectra.analysis.statistics.leave_group import LeaveGroup
from zoospectra.analysis.statistics.permutation import Chance
from zoospectra.analysis.statistics.robust import RobustSlope
from zoospectra.analysis.statistics.theil_sen import TheilSen
from zoospectra.analysis.statistics.within import Within


@dataclass(frozen=True)
class Points:
    """Points with both values, in fractions, and the input they come from."""

    given: tuple[list[int | None], list[int | None], list[str]]
    place: list[int]
    x: list[Fraction]
    y: list[Fraction]
    group: list[str]

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(self.group))

    def of(self, name: str) -> list[int]:
        return [i for i, one in enumerate(self.group) if one == name]

    def centred(self, side: list[Fraction]) -> list[Fraction]:
        means = {name: sum(side[i] for i in self.of(name)) / len(self.of(name)) for name in self.names}
        return [value - means[name] for value, name in zip(side, self.group, strict=True)]

    def without(self, gone: set[int]) -> Points:
        left = [i for i in range(len(self.x)) if i not in gone]
        sides = ([side[i] for i in left] for side in (self.place, self.x, self.y, self.group))
        return Points(self.given, *sides)


def hostile(seed: int) -> Points:
    """0 to 12 points in 1 to 4 groups, values of a few whole numbers, one in ten missing in some populations."""
    rng = np.random.default_rng(seed)
    n, kinds, values = int(rng.integers(0, 13)), int(rng.integers(1, 5)), int(rng.integers(2, 7))
    gaps = 0.1 * (seed % 3 == 0)
    x, y = ([None if rng.random() < gaps else int(rng.integers(0, values)) for _ in range(n)] for _ in range(2))
    group = [str(one) for one in rng.integers(0, kinds, n)]
    if seed % 5 == 0:  # a steep trend inside groups, so that some are told and some lie on a line
        y = [None if a is None else 3 * a + int(g) * 5 + int(rng.integers(0, 2)) for a, g in zip(x, group, strict=True)]
    place = [i for i in range(n) if x[i] is not None and y[i] is not None]
    sides = ([Fraction(side[i]) for i in place] for side in (x, y))
    return Points((x, y, group), place, *sides, [group[i] for i in place])


class OneOf(frozenset):
    """Equal to each of its members: of a tie any will do."""

    def __eq__(self, other: object) -> bool:
        return other in self

    __hash__ = frozenset.__hash__


def dot(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((one * other for one, other in zip(a, b, strict=True)), Fraction(0))


def slope_of(x: list[Fraction], y: list[Fraction]) -> Fraction | None:
    """Of centred values; None where x is constant."""
    return dot(x, y) / dot(x, x) if any(x) else None


def same(found: object, expected: object) -> None:
    """Every field, numbers to nine digits."""
    assert type(found) is type(expected)
    for field in dataclasses.fields(found):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(theirs, (float, Fraction)) and not isinstance(mine, bool):
            theirs = pytest.approx(float(theirs), rel=1e-9, abs=2e-7)
        assert mine == theirs, (field.name, found, expected)


def t_test(slope: Fraction, error: float, freedom: float) -> tuple[float, float, float]:
    """Ends of the 95 % interval and the two-sided p-value."""
    half = error * stats.t.isf(0.025, freedom)
    p = 2 * stats.t.sf(abs(float(slope)) / error, freedom) if error else float(slope == 0)
    return float(slope) - half, float(slope) + half, float(p)


def line(points: Points) -> Regression:
    n = len(points.x)
    if n < 2:
        return Regression(n, reason="fewer than two points")
    middle = (sum(points.x) / n, sum(points.y) / n)
    dx, dy = ([value - mean for value in side] for side, mean in zip((points.x, points.y), middle, strict=True))
    slope = slope_of(dx, dy)
    if slope is None:
        return Regression(n, reason="x is constant")
    if not any(dy):
        return Regression(n, 0.0, middle[1], rmse=0.0, mse=0.0, reason="y is constant")
    rest = dot(dy, dy) - slope * dot(dx, dy)
    x, y = ([float(value) for value in side] for side in (points.x, points.y))
    tau, rank = stats.kendalltau(x, y), stats.pearsonr(stats.rankdata(x), stats.rankdata(y)).statistic
    rank_t = abs(rank) * sqrt((n - 2) / (1 - rank**2)) if abs(rank) < 1 - 1e-12 else np.inf
    base = {
        "n": n, "slope": slope, "intercept": middle[1] - slope * middle[0], "r2": 1 - rest / dot(dy, dy),
        "rmse": sqrt(rest / n), "mse": rest / n, "kendall_tau": float(tau.statistic), "kendall_p": float(tau.pvalue),
        "spearman": float(rank),
    }  # fmt: skip
    if n == 2:
        return Regression(**base)
    error = sqrt(rest / (n - 2) / dot(dx, dx))
    low, high, p = t_test(slope, error, n - 2)
    at_zero = error * sqrt(dot(dx, dx) / n + middle[0] ** 2)
    more = {"slope_se": error, "slope_low": low, "slope_high": high, "slope_p": p, "intercept_se": at_zero}
    more["spearman_p"] = float(2 * stats.t.sf(rank_t, n - 2))
    return Regression(**base, **more, covariance=float(-middle[0]) * error**2)


def inside(points: Points) -> Within:
    n, counts = len(points.x), Counter(points.group)
    groups = sum(count > 1 for count in counts.values())
    dx, dy = points.centred(points.x), points.centred(points.y)
    if n == 0 or groups == 0:
        return Within(n, 0, reason="no group has two points" if n else "no points")
    if not any(dx):
        return Within(n, groups, reason="x is constant inside every group")
    if not any(dy):
        return Within(n, groups, 0.0, reason="y is constant inside every group")
    slope, freedom = slope_of(dx, dy), n - len(counts) - 1
    rest = dot(dy, dy) - slope * dot(dx, dy)
    r2 = 1 - rest / dot(dy, dy)
    if freedom < 1:
        return Within(n, groups, slope, r2=r2, reason="no degrees of freedom left for an error")
    error = sqrt(rest / freedom / dot(dx, dx))
    return Within(n, groups, slope, error, *t_test(slope, error, freedom), r2)


def robust(points: Points) -> RobustSlope:
    """By the whole hat matrix in floating point; which case it is in fractions."""
    single = {i for i, name in enumerate(points.group) if points.group.count(name) == 1}
    points = points.without(single)
    n, names = len(points.x), points.names
    if n == 0:
        return RobustSlope(0, reason="no group has two points")
    dx, dy = points.centred(points.x), points.centred(points.y)
    if not any(dx):
        return RobustSlope(n, reason="x is constant" if len(names) == 1 else "x is constant inside every group")
    slope, largest = slope_of(dx, dy), n - len(names) - 1
    if largest < 1:
        return RobustSlope(n, 0.0, slope, reason="no degrees of freedom left for an error")
    leverage = [one**2 / dot(dx, dx) + Fraction(1, len(points.of(g))) for one, g in zip(dx, points.group, strict=True)]
    if 1 in leverage:
        return RobustSlope(n, 0.0, slope, reason="one point alone carries the slope")
    rest = [b - slope * a for a, b in zip(dx, dy, strict=True)]
    error = sqrt(sum((a * r / (1 - h)) ** 2 for a, r, h in zip(dx, rest, leverage, strict=True))) / dot(dx, dx)
    design = np.array([[float(x), *(g == name for name in names)] for x, g in zip(points.x, points.group, strict=True)])
    inverse = np.linalg.inv(design.T @ design)
    left = np.eye(n) - design @ inverse @ design.T
    both = left @ np.diag((inverse @ design.T)[0] ** 2 / np.diag(left) ** 2) @ left
    freedom = min(np.trace(both) ** 2 / np.trace(both @ both), float(largest))
    ends = t_test(slope, error, freedom)
    return RobustSlope(n, freedom, slope, error, *ends, t_test(slope, error, largest)[2])


def means(points: Points) -> Between:
    names = points.names
    if len(names) < 2:
        return Between(len(names), reason="fewer than two groups")
    sides = ([sum(side[i] for i in points.of(name)) / len(points.of(name)) for name in names]
             for side in (points.x, points.y))  # fmt: skip
    found = line(Points(points.given, [], *sides, ["all"] * len(names)))
    two = "two groups leave no degrees of freedom between groups" if len(names) == 2 else None
    return Between(len(names), found.slope, found.slope_se, found.slope_p, found.reason or two)


def equal_slopes(points: Points) -> Interaction:
    dx, dy = points.centred(points.x), points.centred(points.y)
    sloped = [own for own in map(points.of, points.names) if any(dx[i] for i in own)]
    n, groups = sum(map(len, sloped)), len(sloped)
    if not points.x or groups < 2:
        return Interaction(n, groups, reason="fewer than two groups have a slope" if points.x else "no points")
    freedom = n - 2 * groups
    if freedom < 1:
        return Interaction(n, groups, reason="no degrees of freedom left for an error")
    sums = [[dot([a[i] for i in own], [b[i] for i in own]) for own in sloped] for a, b in
            ((dx, dx), (dx, dy), (dy, dy))]  # fmt: skip
    own = sum(sums[2]) - sum(xy**2 / xx for xx, xy in zip(*sums[:2], strict=True))
    if own == 0:
        return Interaction(n, groups, reason="every group lies on its own line")
    f = (sum(sums[2]) - sum(sums[1]) ** 2 / sum(sums[0]) - own) / (groups - 1) / (own / freedom)
    return Interaction(n, groups, f, float(stats.f.sf(float(f), groups - 1, freedom)))


def one_group_less(points: Points) -> LeaveGroup:
    names = points.names
    left = {name: points.without(set(points.of(name))) for name in names}
    slopes = {name: slope_of(one.centred(one.x), one.centred(one.y)) for name, one in left.items()}
    slopes = {name: slope for name, slope in slopes.items() if slope is not None}
    if len(names) < 2 or not slopes:
        return LeaveGroup(len(names))
    low, high = min(slopes.values()), max(slopes.values())
    whole = slope_of(points.centred(points.x), points.centred(points.y))
    turned = {name: slope for name, slope in slopes.items() if slope * whole < 0}
    if not turned:
        return LeaveGroup(len(names), low, high)
    worst = max(turned, key=lambda name: abs(turned[name]))
    other = robust(left[worst])
    p = None if other.p is None else min(1.0, other.p * len(names))
    return LeaveGroup(len(names), low, high, worst, other.slope, p)


def one_point_less(points: Points) -> Influence:
    n, whole = len(points.x), line(points)
    why = "fewer than 3 points" if n < 3 else whole.reason
    if why:
        return Influence(n, reason=why)
    lefts = {points.place[i]: replace(points.without({i}), group=["all"] * (n - 1)) for i in range(n)}
    slopes = {place: slope_of(left.centred(left.x), left.centred(left.y)) for place, left in lefts.items()}
    slopes = {place: slope for place, slope in slopes.items() if slope is not None}
    low, high = min(slopes.values()), max(slopes.values())
    far = {place: abs(slope - whole.slope) for place, slope in slopes.items()}
    most = OneOf(place for place, one in far.items() if one == max(far.values()))
    return Influence(n, whole.slope, low, high, most, min(low * whole.slope, high * whole.slope) < 0)


def median_of_slopes(points: Points) -> TheilSen:
    n, found = len(points.x), line(points)
    if n < 2 or found.reason == "x is constant":
        return TheilSen(n, reason=found.reason)
    if found.reason:
        return TheilSen(n, 0.0, points.y[0], 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        theirs = stats.theilslopes([float(y) for y in points.y], [float(x) for x in points.x], 0.95)
    if np.isnan(theirs.low_slope):
        return TheilSen(n, theirs.slope, theirs.intercept, reason="too many ties for an interval")
    return TheilSen(n, *(float(theirs[k]) for k in range(4)))


def every_order(points: Points) -> Chance:
    found = inside(points)
    if found.slope is None or found.reason == "y is constant inside every group":
        return Chance(found.n, reason=found.reason)
    whole = lcm(*(len(points.of(name)) for name in points.names))  # of differences from means
    dx, dy = ([int(whole * one) for one in points.centred(side)] for side in (points.x, points.y))
    sums = [
        [sum(dx[i] * dy[k] for i, k in zip(own, order, strict=True)) for order in permutations(own)]
        for own in map(points.of, points.names)
    ]
    totals = [abs(sum(each)) for each in product(*sums)]
    as_far = [one >= abs(sum(a * b for a, b in zip(dx, dy, strict=True))) for one in totals]
    return Chance(found.n, found.slope, float(np.mean(as_far)), len(totals), True)
