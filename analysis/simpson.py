"""Simpson's paradox: does the trend across all models turn around inside the groups that they come from?

Three trends are tested: the pooled line (HC3 errors), the trend between groups (a line through group means, G - 2
degrees of freedom), and the trend inside groups (an intercept each). The last must be told by a permutation test, exact
when models of one group could be exchanged, and by t: with HC3 errors, or plain ones inside handfuls of models. Each
group has a test of its own (t; beyond a handful HC3 too), adjusted over groups after Holm; leaving out one group at a
time shows whether the trend inside hangs on it. `judge` turns these into a verdict. Source of the question: Martin and
Mahoney, "Post-mortem on a deep learning contest". Not covered: why groups differ; a grouping found by the search is a
hint, not a cause.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from zoospectra.analysis.regression import Regression, regression
from zoospectra.analysis.statistics import between, interaction, leave_group, permutation, power, robust, within
from zoospectra.analysis.statistics.multiple import benjamini_hochberg, holm
from zoospectra.analysis.statistics.sample import Sample, degenerate, sample

LEVEL = 0.05
"""Chance, two-sided, of calling a trend that is not there. Every verdict needs two trends told at once."""
SMALLEST = 4
"""Models a group needs to count."""
SHUFFLES = 9999
"""Orders drawn by the permutation test of the trend inside groups."""
ROUNDING = 1e-12
"""Share of the range of y over the range of x below which a slope is rounding: lines are exact."""
HANDFUL = 8
"""Models a group (on average, for all groups together) up to which HC3 errors are too wild to help."""
# A single group's own slope takes their bolder p-value: a verdict needs two groups of opposite signs, which two false
# ones hardly are, and Holm's adjustment is on top.


class Verdict(StrEnum):
    """What the data say about a grouping."""

    REVERSAL = "reversal"
    PARTIAL = "partial reversal"
    OPPOSED = "opposite in these groups"
    NONE = "none"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Told:
    """A trend and whether the data tell its sign."""

    sign: int = 0
    """+1 or -1 where they do, else 0."""
    p: float | None = None
    """Two-sided p-value; None where there is no test."""
    slope: float | None = None
    """Unit of y over unit of x."""
    error: float | None = None
    """Standard error of the slope."""
    freedom: float = 0.0
    """Degrees of freedom of its t-test."""


@dataclass(frozen=True, slots=True)
class Trend:
    """The trend inside one group."""

    name: Hashable
    """Group."""
    line: Regression
    """Its least-squares line."""
    told: Told
    """Its sign, where the data tell; p is adjusted over groups after Holm."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on."""

    pooled: Told
    """One line through all models."""
    between: Told
    """A line through group means; p is one-sided, for only the direction against the trend inside makes a verdict."""
    within: Told
    """One slope inside all groups."""
    groups: tuple[Trend, ...]
    """Each group's own slope."""
    turned_by: Hashable | None = None
    """The group without which the slope inside groups turns around."""
    rest: Told = Told()
    """The slope inside the other groups, where there is such a group; p counts that any group could have been it."""
    differ: float | None = None
    """p-value of equal slopes in all groups (F-test), where it tells that they differ; else None."""
    shuffled_p: float | None = None
    """p-value of the permutation test of the slope inside groups."""
    lowest: float | None = None
    """Smallest slope inside groups without one group."""
    highest: float | None = None
    """Largest."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its grounds."""

    verdict: Verdict
    """The judgement."""
    reason: str
    """What it rests on, every group named."""
    p: float | None = None
    """The largest p-value that the verdict rests on; None for undetermined."""


@dataclass(frozen=True, slots=True)
class Simpson:
    """One metric, one target, one grouping."""

    verdict: Verdict
    """The judgement."""
    reason: str
    """What it rests on, every group named; of an undetermined one also what the design could have told."""
    pooled: Regression
    """One line through all models of the groups that count."""
    within: within.Within
    """One slope for all groups, an intercept each; its p assumes equal variances, the verdict does not."""
    evidence: Evidence | None = None
    """The trends and what is told of them; None where no line can be drawn."""
    interaction: interaction.Interaction | None = None
    """F-test of equal slopes in all groups."""
    p: float | None = None
    """The largest p-value that the verdict rests on; None for undetermined."""
    detectable: float | None = None
    """Smallest slope inside groups that this design tells with a power of 80 %."""
    more: int | None = None
    """Models beyond these, spread alike, that it takes to tell the observed slope inside groups; 0 when it is told."""
    left_out: int = 0
    """Models in groups that are too small, or without metric, target or group."""

    @property
    def groups(self) -> tuple[Trend, ...]:
        """Every group that counts."""
        return self.evidence.groups if self.evidence else ()


def simpson(
    x: Sequence[float | None],
    y: Sequence[float | None],
    groups: Sequence[Hashable],
    *,
    seed: int = 0,
    smallest: int = SMALLEST,
    level: float = LEVEL,
) -> Simpson:
    """Judge whether the trend of y on x turns around inside groups; a group None is no group.

    Groups of fewer than `smallest` models are left out. Raises ValueError for different lengths or NaN.
    """
    found, left_out = _large(x, y, groups, smallest)
    why = degenerate(found, smallest)
    pooled, common = regression(found.x.tolist(), found.y.tolist()), within.of_sample(found)
    if why or len(found.names) < 2 or common.slope is None:
        reason = why or ("fewer than two groups are large enough" if len(found.names) < 2 else str(common.reason))
        return Simpson(Verdict.UNDETERMINED, reason, pooled, common, left_out=left_out)
    evidence = gather(found, seed, level)
    judged = judge(evidence)
    smallest_told = power.detectable(evidence.within.error, evidence.within.freedom, level)
    more = 0 if evidence.within.sign else power.more(found.n, common.slope, smallest_told)
    reason = judged.reason
    rounding = smallest_told is not None and smallest_told * np.ptp(found.x) <= ROUNDING * np.ptp(found.y)
    if judged.verdict == Verdict.UNDETERMINED and smallest_told is not None and not rounding:
        reason += f"; {_could_have(evidence.within, smallest_told, more)}"
    return Simpson(
        judged.verdict,
        reason,
        pooled,
        common,
        evidence,
        interaction.of_sample(found),
        judged.p,
        smallest_told,
        more,
        left_out,
    )


def _could_have(inside: Told, smallest: float, more: int | None) -> str:
    """What an undetermined design could have told."""
    text = f"a slope inside groups of {smallest:.3g} would be detected with a power of {power.POWER:.0%}"
    if inside.sign or inside.slope is None:
        return text
    takes = "no number of models" if more is None else f"about {more} more models"
    return f"{text}, the observed {inside.slope:.3g} would take {takes}"


def gather(found: Sample, seed: int, level: float) -> Evidence:
    """Test every trend of a population at `level`."""
    everything = Sample(found.x, found.y, np.zeros_like(found.group), (None,), found.kept)
    overall, inside = robust.of_sample(everything), robust.of_sample(found)
    shuffled = permutation.of_sample(found, SHUFFLES, seed)
    means, without, equal = between.of_sample(found), leave_group.of_sample(found), interaction.of_sample(found)
    handfuls = found.n <= HANDFUL * len(found.names)
    common = within.of_sample(found)
    p = _larger(common.p if handfuls else inside.p, shuffled.p)
    error, freedom = (
        (common.slope_se, inside.n - len(found.names) - 1) if handfuls else (inside.slope_se, inside.freedom)
    )
    inner = _told(inside.slope, p, level, error, freedom)
    return Evidence(
        _told(overall.slope, overall.p, level, overall.slope_se, overall.freedom),
        _told(means.slope, None if means.p is None else means.p / 2, level, means.slope_se, means.groups - 2),
        inner,
        _trends(found, level),
        without.turned_by,
        _told(without.slope, without.p, level),
        equal.p if equal.p is not None and equal.p <= level else None,
        shuffled.p,
        without.low,
        without.high,
    )


def _told(slope: float | None, p: float | None, level: float, error: float | None = None, freedom: float = 0.0) -> Told:
    sign = 0 if p is None or slope is None or p > level else int(np.sign(slope))
    return Told(sign, p, slope, error, freedom)


def _larger(a: float | None, b: float | None) -> float | None:
    """The larger p-value; None when either test is missing: what cannot be tested is not told."""
    return None if a is None or b is None else max(a, b)


def _trends(found: Sample, level: float) -> tuple[Trend, ...]:
    lines, p_values = [], []
    for i in range(len(found.names)):
        mine = found.group == i
        x, y = found.x[mine].tolist(), found.y[mine].tolist()
        line = regression(x, y)
        lines.append(line)
        p = line.slope_p if line.r2 is not None else None
        p_values.append(_larger(p, robust.robust_slope(x, y).bold_p) if line.n > HANDFUL else p)
    return tuple(
        Trend(name, line, _told(line.slope, p, level, line.slope_se, line.n - 2))
        for name, line, p in zip(found.names, lines, holm(p_values), strict=True)
    )


def judge(found: Evidence) -> Judgement:
    """The rule of this module in one place; pure.

    reversal: pooled line and group means tell one sign, the slope inside groups tells the other, no group of its own
    follows the pooled trend, and the slope inside keeps its sign whichever group is left out. opposite in these groups:
    the same, but the group means tell no trend, so that other groups may be otherwise. partial reversal: some groups
    follow the pooled trend and some go against it, both told; or the slope inside goes against it, slopes are told to
    differ, and some group's estimate follows. none: the slope inside groups follows the pooled trend, nothing is told
    to go against it, and it hangs on no single group. Anything else is undetermined.
    """
    sign = found.pooled.sign
    said = _named(found)
    if sign == 0:
        return Judgement(Verdict.UNDETERMINED, f"the pooled trend is not told from none; {said}")
    follows, opposes = _best(found, sign), _best(found, -sign)
    hangs = found.turned_by is not None
    if follows is not None and opposes is not None:
        together = "" if found.within.sign else "; one slope for all groups is not told from none"
        return Judgement(Verdict.PARTIAL, said + together, _most(found.pooled.p, follows, opposes))
    if found.within.sign == 0:
        return Judgement(Verdict.UNDETERMINED, f"the trend inside groups is not told from none; {said}")
    if hangs:
        return Judgement(Verdict.UNDETERMINED, f"the trend inside groups hangs on group {found.turned_by}; {said}")
    p = _most(found.pooled.p, found.within.p)
    if found.within.sign == sign:
        return Judgement(Verdict.NONE, said, p)
    seem = ", ".join(str(trend.name) for trend in found.groups if (trend.told.slope or 0.0) * sign > 0)
    if found.differ is not None and seem:
        return Judgement(Verdict.PARTIAL, f"slopes differ, and {seem} seem to follow; {said}", _most(p, found.differ))
    if found.between.sign == sign:
        return Judgement(Verdict.REVERSAL, said, _most(p, found.between.p))
    groups = len(found.groups)
    why = "no trend" if groups > 2 else "no trend, as two never do"
    return Judgement(Verdict.OPPOSED, f"{said}; the means of {groups} groups tell {why}: others may differ", p)


def _best(found: Evidence, sign: int) -> float | None:
    """Smallest p-value by which something inside groups is told to have this sign; None when nothing is."""
    told = [found.within, found.rest, *(trend.told for trend in found.groups)]
    return min((one.p for one in told if one.sign == sign and one.p is not None), default=None)


def _most(*p_values: float | None) -> float | None:
    return max((p for p in p_values if p is not None), default=None)


def _named(found: Evidence) -> str:
    """Every group by name: which follow the pooled line, which go against it, of which nothing is told."""
    sign = found.pooled.sign or (1 if (found.pooled.slope or 0) >= 0 else -1)
    words = {sign: "follow the pooled trend", -sign: "go against it", 0: "are not told"}
    parts = []
    for one, text in words.items():
        names = [str(trend.name) for trend in found.groups if trend.told.sign == one]
        if names:
            parts.append(f"{len(names)} {text} ({', '.join(names)})")
    return f"{len(found.groups)} groups: {', '.join(parts)}"


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One pair of the search."""

    metric: str
    """Metric."""
    grouping: str
    """Grouping."""
    found: Simpson
    """The judgement of the pair, as if it were the only one."""
    adjusted: float | None
    """Its p-value after Benjamini and Hochberg over all pairs searched; None for undetermined."""
    same_as: str | None = None
    """The grouping, earlier by name, that makes the same groups: one question, counted once."""

    def verdict(self, level: float = LEVEL) -> str:
        """The verdict; marked exploratory where it does not survive that so many pairs were searched."""
        survives = self.adjusted is None or self.adjusted <= level
        return str(self.found.verdict) if survives else f"{self.found.verdict} (exploratory)"


def search(
    metrics: Mapping[str, Sequence[float | None]],
    y: Sequence[float | None],
    groupings: Mapping[str, Sequence[Hashable]],
    *,
    seed: int = 0,
    smallest: int = SMALLEST,
    level: float = LEVEL,
) -> list[Candidate]:
    """Every pair of metric and grouping, the clearest reversal first; an undetermined pair counts with p = 1.

    Groupings that make the same groups are one question: p-values are adjusted for the first of them alone.
    """
    first = _first_names(groupings, smallest)
    found = [
        (metric, grouping, simpson(x, y, labels, seed=seed, smallest=smallest, level=level))
        for metric, x in metrics.items()
        for grouping, labels in groupings.items()
    ]
    questions = [(metric, name, one) for metric, name, one in found if first[name] == name]
    q_values = benjamini_hochberg([1.0 if one.p is None else one.p for _, _, one in questions])
    adjusted = {(metric, name): q for (metric, name, _), q in zip(questions, q_values, strict=True)}
    ranked = [
        Candidate(
            metric,
            name,
            one,
            None if one.p is None else adjusted[metric, first[name]],
            None if first[name] == name else first[name],
        )
        for metric, name, one in found
    ]
    return [ranked[place] for place in order(ranked)]


def order(pairs: Sequence[Candidate]) -> list[int]:
    """Places of the pairs, the clearest reversal first."""
    verdicts = list(Verdict)

    def key(place: int) -> tuple[int, float, str, str]:
        one = pairs[place]
        p = math.inf if one.found.p is None else one.found.p
        return verdicts.index(one.found.verdict), p, one.metric, one.grouping

    return sorted(range(len(pairs)), key=key)


def _first_names(groupings: Mapping[str, Sequence[Hashable]], smallest: int) -> dict[str, str]:
    """Grouping -> the first one by name with the same large groups, whatever these are called."""
    names: dict[tuple[int | None, ...], str] = {}
    found = {}
    for name, labels in sorted(groupings.items()):
        counts = Counter(label for label in labels if label is not None)
        large = [label for label in counts if counts[label] >= smallest]  # in the order of their first model
        number: dict[Hashable, int] = {label: i for i, label in enumerate(large)}
        found[name] = names.setdefault(tuple(number.get(label) for label in labels), name)
    return found
