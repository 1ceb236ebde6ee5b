"""Whole judgements: every trend by the formulas in exact fractions, every combination of signs by the rule in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from scipy import stats

from tests.analysis.statistics import exact
from tests.analysis.statistics.direct import chance
from zoospectra.analysis.regression import Regression
from zoospectra.analysis.simpson import (
    Candidate,
    Evidence,
    Simpson,
    Told,
    Trend,
    Verdict,
    judge,
    order,
    search,
    simpson,
)
from zoospectra.analysis.statistics.multiple import benjamini_hochberg


def zoo(seed: int) -> exact.Points:
    """4 to 40 models in 1 to 5 groups of very different sizes, whole numbers; some missing, some without a group."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, (6, 9, 12)[seed % 3], int(rng.integers(1, 6)))
    label = np.repeat(np.arange(len(sizes)), sizes)
    inner, noise = rng.integers(-4, 5, len(label)), rng.integers(-1, 2, len(label)) * int(rng.integers(0, 4))
    slope = np.array([(-1, -1, -1), (1, -1, 1), (1, 1, 1), (0, 0, 0), (-2, -1, 2)][seed % 5])[label % 3]
    means = 9 * label if seed % 4 else rng.integers(-9, 10, len(sizes))[label]
    x, y = (9 * label + inner).tolist(), (means + slope * inner + noise).tolist()
    group: list[str | None] = [f"g{one}" for one in label]
    for gone in np.flatnonzero(rng.random(len(label)) < 0.05 * (seed % 2)):
        (x, y, group)[gone % 3][gone] = None
    place = [i for i in range(len(x)) if x[i] is not None and y[i] is not None]
    return exact.Points((x, y, group), place, *([exact.Fraction(side[i]) for i in place] for side in (x, y)),
                        [group[i] for i in place])  # fmt: skip


def told(slope, p, level: float, error=None, freedom: float = 0.0) -> Told:
    steep = slope is not None and p is not None and p <= level
    return Told(int(np.sign(float(slope))) if steep else 0, p, slope, error, freedom)


def both(*p_values: float | None) -> float | None:
    return None if None in p_values else max(p_values)


def adjusted(p_values: list[float | None]) -> list[float | None]:
    """After Holm: the k-th smallest of m times m - k + 1, never smaller than one before it."""
    known = sorted(p for p in p_values if p is not None)
    steps = [min(1.0, max((len(known) - k) * known[k] for k in range(i + 1))) for i in range(len(known))]
    return [None if p is None else steps[known.index(p)] for p in p_values]


def trends(points: exact.Points, level: float) -> Iterator[Trend]:
    own = [points.without(set(range(len(points.x))) - set(points.of(name))) for name in points.names]
    lines = [exact.line(one) for one in own]
    p_values = [
        None if line.r2 is None else both(line.slope_p, exact.robust(one).bold_p) if line.n > 8 else line.slope_p
        for line, one in zip(lines, own, strict=True)
    ]
    for name, line, p in zip(points.names, lines, adjusted(p_values), strict=True):
        yield Trend(name, line, told(line.slope, p, level, line.slope_se, line.n - 2))


def evidence(points: exact.Points, level: float, seed: int) -> Evidence:
    everything = exact.robust(exact.replace(points, group=["all"] * len(points.x)))
    inside, common = exact.robust(points), exact.inside(points)
    numbers = ([float(one) for one in side] for side in (points.x, points.y))
    shuffled = chance(*numbers, points.group, shuffles=9999, seed=seed).p
    means, equal, left = exact.means(points), exact.equal_slopes(points), exact.one_group_less(points)
    handfuls = len(points.x) <= 8 * len(points.names)
    p = both(common.p if handfuls else inside.p, shuffled)
    error = common.slope_se if handfuls else inside.slope_se
    freedom = inside.n - len(points.names) - 1 if handfuls else inside.freedom
    return Evidence(
        pooled=told(everything.slope, everything.p, level, everything.slope_se, everything.freedom),
        between=told(means.slope, None if means.p is None else means.p / 2, level, means.slope_se, means.groups - 2),
        within=told(inside.slope, p, level, error, freedom),
        groups=tuple(trends(points, level)),
        turned_by=left.turned_by,
        rest=told(left.slope, left.p, level),
        differ=equal.p if equal.p is not None and equal.p <= level else None,
        shuffled_p=shuffled,
        lowest=left.low,
        highest=left.high,
    )


def named(found: Evidence) -> str:
    slope = found.pooled.slope
    up = found.pooled.sign or (-1 if slope is not None and slope < 0 else 1)
    text = []
    for sign, words in ((up, "follow the pooled trend"), (-up, "go against it"), (0, "are not told")):
        names = [one.name for one in found.groups if one.told.sign == sign]
        text += [f"{len(names)} {words} ({', '.join(names)})"] if names else []
    return f"{len(found.groups)} groups: {', '.join(text)}"


def rule(found: Evidence) -> tuple[Verdict, float | None, str]:
    """The rule of `judge`'s docstring: verdict, largest p-value, a part of the reason."""
    up, inside = found.pooled.sign, [found.within, found.rest, *(one.told for one in found.groups)]
    follow, against = ([one.p for one in inside if one.sign == sign] for sign in (up, -up))
    if up == 0:
        return Verdict.UNDETERMINED, None, "the pooled trend is not told from none; "
    if follow and against:
        together = "" if found.within.sign else "; one slope for all groups is not told from none"
        return Verdict.PARTIAL, max(found.pooled.p, min(follow), min(against)), together
    if not found.within.sign:
        return Verdict.UNDETERMINED, None, "the trend inside groups is not told from none; "
    if found.turned_by is not None:
        return Verdict.UNDETERMINED, None, f"the trend inside groups hangs on group {found.turned_by}; "
    p = max(found.pooled.p, found.within.p)
    if found.within.sign == up:
        return Verdict.NONE, p, ""
    seem = [one.name for one in found.groups if one.told.slope is not None and up * one.told.slope > 0]
    if found.differ is not None and seem:
        return Verdict.PARTIAL, max(p, found.differ), f"slopes differ, and {', '.join(seem)} seem to follow; "
    if found.between.sign == up:
        return Verdict.REVERSAL, max(p, found.between.p), ""
    return Verdict.OPPOSED, p, ": others may differ"


MORE = [(None, 0, None, 0.0), (None, 0, 0.04, 0.0), ("g1", 0, None, 0.0), ("g1", 1, None, 0.0), ("g0", -1, 0.04, 2.0),
        (None, 0, 0.04, -2.0)]  # fmt: skip


def test_every_combination_of_signs() -> None:
    """Signs of the three trends and of two groups, one of them perhaps with a slope that is not told, and the rest."""
    seen = set()
    for pooled, between, within, a, b in product((-1, 0, 1), repeat=5):
        for turned_by, rest, differ, c in MORE:
            one = Evidence(
                Told(pooled, 0.01 if pooled else 0.5, 3.0 * pooled),
                Told(between, 0.015 if between else 0.5, float(between)),
                Told(within, 0.02 if within else 0.5, float(within)),
                (
                    Trend("g0", Regression(4), Told(a, 0.03 if a else 0.5, a or c or None)),
                    Trend("g1", Regression(4), Told(b, 0.025 if b else None, float(b))),
                ),
                turned_by,
                Told(rest, 0.035 if rest else 0.5, float(rest)),
                differ,
            )
            verdict, p, words = rule(one)
            found = judge(one)
            assert (found.verdict, found.p) == (verdict, p), one
            assert words in found.reason
            assert named(one) in found.reason
            seen.add(verdict)
    assert seen == set(Verdict)


def test_the_means_of_two_groups_never_tell() -> None:
    trends = tuple(Trend(f"g{i}", Regression(4), Told(-1, 0.01, -1.0)) for i in range(3))
    one = Evidence(Told(1, 0.01, 1.0), Told(0, 0.5, 1.0), Told(-1, 0.01, -1.0), trends)
    assert "; the means of 3 groups tell no trend: others may differ" in judge(one).reason
    two = exact.replace(one, groups=trends[:2])
    assert "; the means of 2 groups tell no trend, as two never do: others may differ" in judge(two).reason


def expected(points: exact.Points, smallest: int, level: float, seed: int) -> Simpson:
    group = points.group
    small = {i for i, name in enumerate(group) if name is None or group.count(name) < smallest}
    kept, left_out = points.without(small), len(points.given[0]) - len(points.x) + len(small)
    pooled = exact.line(exact.replace(kept, group=["all"] * len(kept.x)))
    common, reason = exact.inside(kept), f"fewer than {smallest} points" if len(kept.x) < smallest else pooled.reason
    if reason is None and len(kept.names) < 2:
        reason = "fewer than two groups are large enough"
    if reason is None and common.slope is None:
        reason = common.reason
    if reason is not None:
        return Simpson(Verdict.UNDETERMINED, reason, pooled, common, left_out=left_out)
    found = evidence(kept, level, seed)
    verdict, p, words = rule(found)
    inside, smallest_told, more = found.within, None, None
    if inside.error is not None and inside.freedom >= 1:
        smallest_told = inside.error * (stats.t.isf(level / 2, inside.freedom) + stats.t.isf(0.2, inside.freedom))
    if inside.sign:
        more = 0
    elif smallest_told is not None and common.slope:
        times = (smallest_told / float(common.slope)) ** 2
        more = None if times * len(kept.x) >= 1e6 else max(0, math.ceil(len(kept.x) * (times - 1)))
    reason = words + named(found) if not words.startswith(";") else named(found) + words
    if verdict == Verdict.OPPOSED:
        reason = named(found)
        two = ", as two never do" if len(kept.names) == 2 else ""
        reason += f"; the means of {len(kept.names)} groups tell no trend{two}: others may differ"
    across = [float(max(values) - min(values)) for values in (kept.x, kept.y)]
    exact_lines = smallest_told is not None and smallest_told * across[0] <= 1e-12 * across[1]
    if verdict == Verdict.UNDETERMINED and smallest_told is not None and not exact_lines:
        reason += f"; a slope inside groups of {smallest_told:.3g} would be detected with a power of 80%"
        if not inside.sign:
            takes = "no number of models" if more is None else f"about {more} more models"
            reason += f", the observed {float(inside.slope):.3g} would take {takes}"
    equal = exact.equal_slopes(kept)
    return Simpson(verdict, reason, pooled, common, found, equal, p, smallest_told, more, left_out)


def alike(found: object, wanted: object, what: str = "") -> None:
    """Records within records, numbers to nine digits."""
    if exact.dataclasses.is_dataclass(wanted):
        assert type(found) is type(wanted), what
        for field in exact.dataclasses.fields(wanted):
            alike(getattr(found, field.name), getattr(wanted, field.name), f"{what}.{field.name}")
    elif isinstance(wanted, tuple):
        assert len(found) == len(wanted), what
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            alike(a, b, f"{what}[{i}]")
    elif isinstance(wanted, (float, exact.Fraction)):
        assert found == pytest.approx(float(wanted), rel=1e-7, abs=2e-7), what
    elif isinstance(wanted, str):
        assert re.sub(r"[\d.]+e-1[4-9]", "0", found) == re.sub(r"[\d.]+e-1[4-9]", "0", wanted), what
    else:
        assert found == wanted, what


@pytest.mark.parametrize(("smallest", "level"), [(4, 0.05), (3, 0.2), (2, 0.01)])
def test_the_whole_judgement(smallest: int, level: float) -> None:
    verdicts = set()
    for seed in range(60):
        points = zoo(seed)
        wanted = expected(points, smallest, level, seed)
        alike(simpson(*points.given, seed=seed, smallest=smallest, level=level), wanted, str(seed))
        verdicts.add(wanted.verdict)
    assert verdicts >= {Verdict.REVERSAL, Verdict.PARTIAL, Verdict.NONE, Verdict.UNDETERMINED}


def test_the_whole_search() -> None:
    """Defaults, p-values adjusted over all pairs of the first grouping of its kind, and the order."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(4), 8)
    inner = rng.normal(size=32)
    y = (3.0 * label - inner + rng.normal(size=32)).tolist()
    metrics = {
        "b": (2.0 * label + inner).tolist(),
        "a": (2.0 * label + inner).tolist(),
        "noise": rng.normal(size=32).tolist(),
        "with": (-2.0 * label + inner).tolist(),
    }
    groupings = {"letter": ["dcba"[one] for one in label], "depth": label.tolist(), "shuffled": rng.permutation(label)}
    found = search(metrics, y, {name: list(labels) for name, labels in groupings.items()})
    alone = {(m, g): simpson(x, y, list(labels)) for m, x in metrics.items() for g, labels in groupings.items()}
    pairs = [(m, g) for m, g in alone if g != "letter"]
    raw = [1.0 if alone[pair].p is None else alone[pair].p for pair in pairs]
    q = dict(zip(pairs, benjamini_hochberg(raw), strict=True))
    assert len(found) == 12
    for one in found:
        judged = alone[one.metric, one.grouping]
        assert one.found == judged
        assert one.same_as == ("depth" if one.grouping == "letter" else None)
        grouping = "depth" if one.grouping == "letter" else one.grouping
        assert one.adjusted == (None if judged.p is None else q[one.metric, grouping])
    ranks = [(list(Verdict).index(one.found.verdict), 1.0 if one.found.p is None else one.found.p, one.metric,
              one.grouping) for one in found]  # fmt: skip
    assert ranks == sorted(ranks)
    assert [(one.metric, one.grouping) for one in found[:2]] == [("a", "depth"), ("a", "letter")]
    assert search({"a": metrics["a"]}, y, {"depth": groupings["depth"]}, seed=5)[0].found == simpson(
        metrics["a"], y, groupings["depth"], seed=5
    )


def test_exploratory_is_what_does_not_survive_the_level() -> None:
    one = exact.replace(simpson([], [], []), verdict=Verdict.NONE)
    assert one.groups == ()
    assert [Candidate("m", "g", one, p).verdict() for p in (0.05, 0.06, None)] == ["none", "none (exploratory)", "none"]
    assert Candidate("m", "g", one, 0.06).verdict(0.06) == "none"


def test_the_order_puts_the_undetermined_last() -> None:
    one, p_values = simpson([], [], []), (None, 0.01, 0.01, 0.04, 0.02)
    pairs = [
        Candidate("m", "g", exact.replace(one, verdict=verdict, p=p), None)
        for verdict, p in zip(reversed(Verdict), p_values, strict=True)
    ]
    assert order(pairs) == [4, 3, 2, 1, 0]
    assert [str(pairs[place].found.verdict) for place in order(pairs)] == [
        "reversal", "partial reversal", "opposite in these groups", "none", "undetermined"
    ]  # fmt: skip
    same = [Candidate("m", "g", exact.replace(one, verdict=Verdict.NONE, p=p), None) for p in (0.04, 0.02)]
    assert order(same) == [1, 0]


def test_defaults() -> None:
    x, y, groups = zoo(4).given
    assert simpson(x, y, groups) == simpson(x, y, groups, seed=0, smallest=4, level=0.05)
    assert Told() == Told(0, None, None, None, 0.0)
    assert Simpson(Verdict.NONE, "", simpson(x, y, groups).pooled, simpson(x, y, groups).within).left_out == 0
    found = search({"x": x}, y, {"groups": groups})[0]
    assert found.found == simpson(x, y, groups)
    assert found == search({"x": x}, y, {"groups": groups}, seed=0, smallest=4, level=0.05)[0]


def test_two_groups_without_a_slope_say_so() -> None:
    x, groups = [0.0] * 4 + [1.0] * 4, [0] * 4 + [1] * 4
    found = simpson(x, [0.0, 1, 2, 3, 1, 2, 3, 4], groups)
    assert (found.reason, found.left_out) == ("x is constant inside every group", 0)


def test_a_p_value_exactly_at_the_level_tells() -> None:
    points = zoo(8)
    found = simpson(*points.given)
    levels = [found.evidence.pooled.p, found.evidence.within.p, found.interaction.p]
    for level in levels:
        wanted = expected(points, 4, level, 0)
        at = simpson(*points.given, level=level)
        signs = [one.sign for one in (at.evidence.pooled, at.evidence.within, *(one.told for one in at.groups))]
        assert signs == [
            one.sign for one in (wanted.evidence.pooled, wanted.evidence.within, *(one.told for one in wanted.groups))
        ]
    assert simpson(*points.given, level=levels[0]).evidence.pooled.sign != 0
    assert simpson(*points.given, level=levels[1]).evidence.within.sign != 0
    assert simpson(*points.given, level=levels[2]).evidence.differ == levels[2]


@pytest.mark.parametrize("size", [8, 9, 10])
def test_one_model_that_carries_a_slope_tells_nothing(size: int) -> None:
    """Beyond a handful the robust test is needed too, and there is none for a slope that rests on one model."""
    rng = np.random.default_rng(size)
    x, y, group = [], [], []
    for name, carried in (("a", True), ("b", size == 9)):
        x += [9 * (name == "b") + int(value) for value in (np.eye(size)[0] if carried else rng.integers(0, 5, size))]
        y += rng.integers(0, 9, size).tolist()
        group += [name] * size
    points = exact.Points((x, y, group), list(range(2 * size)), *([exact.Fraction(one) for one in s] for s in (x, y)),
                          group)  # fmt: skip
    alike(simpson(x, y, group), expected(points, 4, 0.05, 0))


def test_models_without_a_group_are_none() -> None:
    """However many they are: two groupings that differ in them alone make the same groups."""
    x, y = np.random.default_rng(1).normal(size=(2, 12)).tolist()
    large = [0] * 4 + [1] * 4
    found = search({"m": x}, y, {"a": large + [None] * 4, "b": [*large, 6, 7, 8, 9], "c": large + [2] * 4})
    assert {one.grouping: one.same_as for one in found} == {"a": None, "b": "a", "c": None}
    assert {one.grouping: one.found.left_out for one in found} == {"a": 4, "b": 4, "c": 0}
