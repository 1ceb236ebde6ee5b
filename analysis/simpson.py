"""Simpson's paradox: does the trend across all models turn around inside the groups that they come from?

Verdicts with uncertainty, by bootstrap over models inside groups: reversal (every group that shows a trend shows the
opposite of the pooled one), partial reversal (some do), none, undetermined. Also a search over metrics and groupings,
and scale against shape. Source of the question: Martin and Mahoney, "Post-mortem on a deep learning contest".
Not covered: why groups differ; a grouping found by the search is a hint, not a cause.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from zoospectra.analysis.records import FloatArray
from zoospectra.analysis.regression import Regression, regression
from zoospectra.analysis.statistics.bootstrap import positive_share, replicates
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.sample import Sample, degenerate, sample
from zoospectra.analysis.statistics.within import Within, of_sample

LEVEL = 0.02
"""Chance, two-sided, of calling a trend that is not there; divided by the number of groups for each of them. The
verdict needs two trends at once, so that noise gives one in fewer than 5 % of trials."""
SMALLEST = 4
"""Models a group needs to count."""


class Verdict(StrEnum):
    """What the data say about a grouping."""

    REVERSAL = "reversal"
    PARTIAL = "partial reversal"
    NONE = "none"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Trend:
    """The trend inside one group."""

    name: Hashable
    """Group."""
    line: Regression
    """Its least-squares line."""
    positive: float | None
    """Share of bootstrap replicates with a positive slope."""
    sign: int
    """+1 or -1 where the data tell, else 0."""


@dataclass(frozen=True, slots=True)
class Simpson:
    """One metric, one target, one grouping."""

    verdict: Verdict
    """The judgement."""
    reason: str
    """What it rests on."""
    pooled: Regression
    """One line through all models of the groups that count."""
    within: Within
    """One slope for all groups, an intercept each."""
    groups: tuple[Trend, ...]
    """Every group that counts."""
    opposite: float | None = None
    """Share of replicates in which pooled and common slope have opposite signs."""
    left_out: int = 0
    """Models in groups that are too small, or without metric, target or group."""


def simpson(
    x: Sequence[float | None],
    y: Sequence[float | None],
    groups: Sequence[Hashable],
    *,
    count: int = 1000,
    seed: int = 0,
    smallest: int = SMALLEST,
    level: float = LEVEL,
) -> Simpson:
    """Judge whether the trend of y on x turns around inside groups; a group None is no group.

    A sign counts as told when both the share of `count` replicates and Student's t agree at `level`: for a handful of
    models either alone is too sure. Raises ValueError for different lengths, NaN, or count < 100.
    """
    if count < 100:
        msg = f"count must be at least 100 replicates, got {count}"
        raise ValueError(msg)
    found, left_out = _large(x, y, groups, smallest)
    why = degenerate(found, smallest)
    pooled, common = regression(found.x.tolist(), found.y.tolist()), of_sample(found)
    if why or len(found.names) < 2 or common.slope is None:
        reason = why or ("fewer than two groups are large enough" if len(found.names) < 2 else str(common.reason))
        return Simpson(Verdict.UNDETERMINED, reason, pooled, common, (), None, left_out)
    drawn = replicates(found, count, seed)
    each = tuple(_trend(found, i, drawn.groups[:, i], level / len(found.names)) for i in range(len(found.names)))
    overall = _sign(positive_share(drawn.pooled), pooled.slope_p, pooled.slope, level)
    inside = _sign(positive_share(drawn.common), common.p, common.slope, level)
    verdict, reason = judge(overall, inside, [trend.sign for trend in each])
    opposite = float(np.mean(drawn.pooled * drawn.common < 0))
    return Simpson(verdict, reason, pooled, common, each, opposite, left_out)


def judge(overall: int, inside: int, groups: Sequence[int]) -> tuple[Verdict, str]:
    """Verdict and reason from the signs of the pooled slope, of the common slope inside groups, and of each group's.

    0 is a sign that the data do not tell. Pure; the rule of this module in one place.
    """
    with_it, against = groups.count(overall), groups.count(-overall)
    said = f"{len(groups)} groups: {with_it} follow the pooled trend, {against} go against it"
    if overall == 0:
        return Verdict.UNDETERMINED, "the pooled trend is not told from none"
    if inside == -overall and with_it == 0:
        return Verdict.REVERSAL, said
    if against:
        return Verdict.PARTIAL, said
    if inside == overall:
        return Verdict.NONE, said
    return Verdict.UNDETERMINED, f"{said}; the trend inside groups is not told"


def _large(
    x: Sequence[float | None], y: Sequence[float | None], groups: Sequence[Hashable], smallest: int
) -> tuple[Sample, int]:
    """Points of groups with at least `smallest` of them, and how many are left out."""
    first = sample(x, y, groups)
    counts = np.bincount(first.group, minlength=len(first.names))
    keep = [
        int(i)
        for i, g in zip(first.kept, first.group, strict=True)
        if first.names[g] is not None and counts[g] >= smallest
    ]
    found = sample([x[i] for i in keep], [y[i] for i in keep], [groups[i] for i in keep])
    return found, len(x) - len(keep)


def _trend(found: Sample, group: int, drawn: FloatArray, level: float) -> Trend:
    mine = found.group == group
    line = regression(found.x[mine].tolist(), found.y[mine].tolist())
    if line.slope is None or line.r2 is None:
        return Trend(found.names[group], line, None, 0)
    positive = positive_share(drawn)
    return Trend(found.names[group], line, positive, _sign(positive, line.slope_p, line.slope, level))


def _sign(positive: float, p: float | None, slope: float | None, level: float) -> int:
    """Sign that bootstrap and t-test agree on at this level, two-sided; else 0."""
    if p is None or slope is None or p > level or slope == 0:
        return 0
    told = positive >= 1 - level / 2 if slope > 0 else positive <= level / 2
    return (1 if slope > 0 else -1) if told else 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pair of the search."""

    metric: str
    """Metric."""
    grouping: str
    """Grouping."""
    found: Simpson
    """The judgement of the pair."""
    p: float | None
    """How unlikely the weaker of the two opposite trends is by chance; None when they do not oppose each other."""
    adjusted: float | None
    """The same after Benjamini and Hochberg over all pairs searched."""


def search(
    metrics: Mapping[str, Sequence[float | None]],
    y: Sequence[float | None],
    groupings: Mapping[str, Sequence[Hashable]],
    *,
    count: int = 1000,
    seed: int = 0,
    smallest: int = SMALLEST,
) -> list[Candidate]:
    """Every pair of metric and grouping, the clearest reversal first.

    A pair's p-value is the larger of those of the pooled and the common slope when these are opposite, 1 otherwise.
    """
    found = [
        (metric, grouping, simpson(x, y, labels, count=count, seed=seed, smallest=smallest))
        for metric, x in metrics.items()
        for grouping, labels in groupings.items()
    ]
    p_values = [_opposed(one) for _, _, one in found]
    adjusted = benjamini_hochberg([1.0 if p is None else p for p in p_values])
    ranked = [
        Candidate(metric, grouping, one, p, None if p is None else q)
        for (metric, grouping, one), p, q in zip(found, p_values, adjusted, strict=True)
    ]
    order = list(Verdict)
    return sorted(
        ranked, key=lambda c: (order.index(c.found.verdict), 1.0 if c.p is None else c.p, c.metric, c.grouping)
    )


def _opposed(found: Simpson) -> float | None:
    """Larger p-value of two opposite slopes."""
    a, b = found.pooled, found.within
    if a.slope is None or b.slope is None or a.slope_p is None or b.p is None or a.slope * b.slope >= 0:
        return None
    return max(a.slope_p, b.p)


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of a quantity comes from scale and how much from shape."""

    n: int
    """Models."""
    r2: float | None = None
    """Share of its variance that both explain together."""
    scale: float | None = None
    """Part of r2 that is scale's: its gain averaged over both orders of entering (Lindeman, Merenda and Gold 1980)."""
    shape: float | None = None
    """Part of r2 that is shape's; scale + shape = r2."""
    scale_alone: float | None = None
    """R2 of scale alone."""
    shape_alone: float | None = None
    """R2 of shape alone."""
    reason: str | None = None
    """Why numbers are missing."""


def scale_and_shape(
    target: Sequence[float | None],
    scale: Sequence[float | None],
    shape: Sequence[float | None],
    smallest: int = SMALLEST,
) -> Shares:
    """Split the variance of a target (alpha_weighted, a reported metric) between mean log lambda_max and mean alpha."""
    rows = [row for row in zip(target, scale, shape, strict=True) if None not in row]
    data = np.array(rows, dtype=np.float64).reshape(-1, 3)
    if len(data) < smallest:
        return Shares(len(data), reason=f"{len(data)} models, at least {smallest} are needed")
    a, b = (regression(data[:, i].tolist(), data[:, 0].tolist()) for i in (1, 2))
    if a.r2 is None or b.r2 is None:
        return Shares(len(data), reason=f"scale: {a.reason or 'varies'}, shape: {b.reason or 'varies'}")
    r = float(stats.pearsonr(data[:, 1], data[:, 2]).statistic)
    if 1 - r * r < 1e-10:
        return Shares(len(data), scale_alone=a.r2, shape_alone=b.r2, reason="scale and shape are one and the same")
    ra, rb = (float(stats.pearsonr(data[:, 0], data[:, i]).statistic) for i in (1, 2))
    both = min(1.0, (ra * ra + rb * rb - 2 * r * ra * rb) / (1 - r * r))
    mine = (a.r2 + both - b.r2) / 2
    return Shares(len(data), both, mine, both - mine, a.r2, b.r2)
