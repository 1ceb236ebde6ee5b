"""Planted reversals are found, partial ones told apart, and nothing is claimed where the data cannot tell."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from zoospectra.analysis.simpson import Verdict, judge, scale_and_shape, search, simpson

TRIALS = 200
SLOPES = {"reversal": (-1, -1), "partial": (1, -1), "none": (1, 1)}


def population(seed: int, kind: str, noise: float = 0.5, groups: int = 5, size: int = 12):
    """Groups on a rising line; inside each the slope is that of its kind, even groups first."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(groups), size)
    inner = rng.normal(size=groups * size)
    slope = np.array(SLOPES[kind])[label % 2]
    x = 2.0 * label + inner
    y = 3.0 * label + slope * inner + noise * rng.normal(size=groups * size)
    return x.tolist(), y.tolist(), label.tolist()


def verdicts(populations) -> Counter:
    return Counter(simpson(*one, count=500).verdict for one in populations)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("reversal", Verdict.REVERSAL), ("partial", Verdict.PARTIAL), ("none", Verdict.NONE)],
)
def test_planted(kind: str, verdict: Verdict) -> None:
    found = verdicts(population(seed, kind) for seed in range(TRIALS))
    assert found[verdict] >= 0.95 * TRIALS, found


def noise(seed: int):
    rng = np.random.default_rng(seed)
    return rng.normal(size=40).tolist(), rng.normal(size=40).tolist(), [0, 1, 2, 3, 4] * 8


def test_pure_noise_is_undetermined() -> None:
    found = verdicts(noise(seed) for seed in range(TRIALS))
    assert found[Verdict.UNDETERMINED] >= 0.95 * TRIALS, found


@pytest.mark.parametrize("kind", ["reversal", "none"])
def test_a_trend_drowned_in_noise_is_undetermined(kind: str) -> None:
    found = verdicts(population(seed, kind, noise=60.0) for seed in range(TRIALS))
    assert found[Verdict.UNDETERMINED] >= 0.95 * TRIALS, found


def test_a_clear_pooled_trend_with_unknown_inner_ones_is_undetermined() -> None:
    def flat(seed: int):
        rng = np.random.default_rng(seed)
        label = np.repeat(np.arange(5), 6)
        y = 3.0 * label + rng.normal(size=30)
        return (2.0 * label + rng.normal(size=30)).tolist(), y.tolist(), label.tolist()

    found = verdicts(flat(seed) for seed in range(TRIALS))
    assert found[Verdict.UNDETERMINED] >= 0.95 * TRIALS, found


@pytest.mark.parametrize(
    ("overall", "inside", "groups", "verdict"),
    [
        (1, -1, [-1, -1, 0], Verdict.REVERSAL),
        (1, -1, [0, 0, 0], Verdict.REVERSAL),
        (-1, 1, [1, 1], Verdict.REVERSAL),
        (1, -1, [-1, 1], Verdict.PARTIAL),
        (1, 1, [1, 1, -1], Verdict.PARTIAL),
        (1, 0, [-1, 0], Verdict.PARTIAL),
        (1, 1, [1, 0], Verdict.NONE),
        (1, 0, [1, 0], Verdict.UNDETERMINED),
        (0, 1, [1, 1], Verdict.UNDETERMINED),
        (0, -1, [-1, 0], Verdict.UNDETERMINED),
    ],
)
def test_the_rule(overall: int, inside: int, groups: list[int], verdict: Verdict) -> None:
    assert judge(overall, inside, groups)[0] == verdict


def test_groups_that_are_too_small_or_missing_are_left_out() -> None:
    x, y, label = population(0, "reversal")
    found = simpson([*x, 1.0, 2.0, None], [*y, 1.0, 2.0, 3.0], [*label, "small", None, 0])
    assert found.left_out == 3
    assert [trend.name for trend in found.groups] == [0, 1, 2, 3, 4]
    assert found.verdict == Verdict.REVERSAL
    assert found.opposite == 1.0


@pytest.mark.parametrize(
    ("x", "y", "groups", "reason"),
    [
        ([], [], [], "fewer than 4 points"),
        ([1.0] * 8, list(range(8)), [0] * 4 + [1] * 4, "x is constant"),
        (list(range(8)), [1.0] * 8, [0] * 4 + [1] * 4, "y is constant"),
        (list(range(8)), list(range(8)), [0] * 8, "fewer than two groups are large enough"),
        (list(range(8)), list(range(8)), range(8), "fewer than 4 points"),
    ],
)
def test_what_cannot_be_judged_says_why(x, y, groups, reason) -> None:
    found = simpson(x, y, groups)
    assert (found.verdict, found.reason) == (Verdict.UNDETERMINED, reason)


def test_the_same_population_has_the_same_verdict() -> None:
    one = population(1, "partial", noise=2.0)
    assert simpson(*one, seed=3) == simpson(*one, seed=3)


def test_units_do_not_matter() -> None:
    x, y, label = population(2, "reversal", noise=1.5)
    other = simpson([1e6 * a - 7 for a in x], [-1e-3 * b for b in y], label)
    same = simpson(x, y, label)
    assert other.verdict == same.verdict
    assert other.opposite == pytest.approx(same.opposite)
    assert other.within.slope == pytest.approx(-1e-9 * same.within.slope)


def test_the_search_puts_the_planted_pair_first() -> None:
    x, y, label = population(3, "reversal")
    rng = np.random.default_rng(0)
    metrics = {"noise": rng.normal(size=60).tolist(), "planted": x}
    shuffled = rng.permutation(label).tolist()
    found = search(metrics, y, {"random": shuffled, "depth": label}, count=300)
    assert (found[0].metric, found[0].grouping, found[0].found.verdict) == ("planted", "depth", Verdict.REVERSAL)
    assert len(found) == 4
    assert found[0].adjusted < 1e-6
    assert found[0].adjusted >= found[0].p


def test_scale_and_shape() -> None:
    rng = np.random.default_rng(5)
    scale, shape = rng.normal(size=50), rng.normal(size=50)
    found = scale_and_shape((3 * scale + shape).tolist(), scale.tolist(), shape.tolist())
    assert found.r2 == pytest.approx(1.0)
    assert found.scale + found.shape == pytest.approx(found.r2)
    assert found.scale > 0.8
    only = scale_and_shape(scale.tolist(), scale.tolist(), shape.tolist())
    assert (only.scale_alone, only.r2) == (pytest.approx(1.0), pytest.approx(1.0))
    assert scale_and_shape([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]).reason == "2 models, at least 4 are needed"
    assert "one and the same" in scale_and_shape(scale.tolist(), shape.tolist(), shape.tolist()).reason


@pytest.mark.oracle
def test_the_joint_share_is_that_of_a_multiple_regression() -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(6)
    scale = rng.normal(size=30)
    shape = 0.7 * scale + rng.normal(size=30)
    target = scale - 2 * shape + rng.normal(size=30)
    found = scale_and_shape(target.tolist(), scale.tolist(), shape.tolist())
    fit = sm.OLS(target, sm.add_constant(np.column_stack([scale, shape]))).fit()
    assert found.r2 == pytest.approx(fit.rsquared, abs=1e-10)


def test_misuse() -> None:
    with pytest.raises(ValueError, match="at least 100"):
        simpson([1.0], [1.0], [0], count=10)
    with pytest.raises(ValueError, match="same length"):
        simpson([1.0, 2.0], [1.0], [0])
