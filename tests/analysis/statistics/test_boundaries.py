"""Exactly at a limit: rounding against variation, ties against steps, the least that is enough, defaults."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tests.analysis.statistics.direct import chance, interaction
from zoospectra.analysis.regression import is_constant, is_rounding, regression, scaled
from zoospectra.analysis.statistics.band import band
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.clustered import clustered
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.mutual_information import cmi_official, cmi_weighted
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.statistics.power import POWER, detectable, more
from zoospectra.analysis.statistics.rank_agreement import rank_agreement
from zoospectra.analysis.statistics.robust import robust_slope
from zoospectra.analysis.statistics.sample import sample, without_rounding
from zoospectra.analysis.statistics.shares import scale_and_shape
from zoospectra.analysis.statistics.two_samples import two_samples
from zoospectra.analysis.statistics.within import flat, varying

X, Y = np.random.default_rng(0).normal(size=(2, 30)).tolist()


def test_variation_below_a_ten_trillionth_of_the_size_is_rounding() -> None:
    one, group = np.array([1.0, 1.0]), np.array([0, 0, 1])
    for share, rounding in ((0.0, True), (1e-13, True), (1.01e-13, False)):
        assert is_rounding(share * one) == rounding
        assert flat(one, share * one) == rounding
        assert varying(np.ones(3), np.array([share, 0.0, 0.0]), group).tolist() == [not rounding, False]
        assert (without_rounding(np.array([share]), one / 2)[0] == 0.0) == rounding
    for share, rounding in ((0.9e-13, True), (1.1e-13, False)):  # no number of this kind lies exactly at the limit
        assert is_constant(np.array([1.0, 1.0 + share])) == rounding
    assert is_constant(np.zeros(2))
    assert is_constant(np.array([]))
    assert not is_constant(np.array([-1.0, 1.0]))


def test_units_of_the_largest() -> None:
    values, unit = scaled(np.array([-4.0, 2.0]))
    assert (values.tolist(), unit) == ([-1.0, 0.5], 4.0)
    values, unit = scaled(np.zeros(2))
    assert (values.tolist(), unit) == ([0.0, 0.0], 1.0)


@pytest.mark.parametrize("size", [1e160, 1e200])
def test_squares_that_leave_float64_are_none(size: float) -> None:
    found, plain = (regression(X, [unit * y for y in Y]) for unit in (size, 1.0))
    assert (found.mse, found.covariance) == (None, None)
    assert (found.rmse, found.slope_se, found.slope_p) == pytest.approx(
        (size * plain.rmse, size * plain.slope_se, plain.slope_p)
    )


@pytest.mark.parametrize("name", ["slope", "intercept", "slope_se", "intercept_se", "covariance"])
def test_a_line_without_errors_has_no_band(name: str) -> None:
    line, at = regression(X, Y), np.array([0.0, 2.0])
    assert np.array(band(line, at)) == pytest.approx(np.array(band(line, at, level=0.95)))
    assert band(dataclasses.replace(line, **{name: None}), at) is None
    if name.endswith("_se"):
        assert band(dataclasses.replace(line, **{name: 0.0}), at) is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [3, 4, 9])
def test_the_bootstrap_fits_a_line_to_every_draw(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, family = np.arange(size) - (size - 1) / 2, rng.normal(size=size), rng.integers(0, 3 + size // 3, size)
    for clusters in (np.arange(size), family):
        names = list(dict.fromkeys(clusters.tolist()))
        shares = np.full(len(names), 1 / len(names))
        slopes = []
        for drawn in np.random.default_rng(seed).multinomial(len(names), shares, size=300):
            points = np.concatenate(
                [np.repeat(np.flatnonzero(clusters == a), k) for a, k in zip(names, drawn, strict=True)]
            )
            if np.ptp(x[points]) > 0:
                slopes.append(stats.linregress(x[points], y[points]).slope)
        found = slope_interval(x.tolist(), y.tolist(), clusters=clusters.tolist(), count=300, seed=seed)
        assert (found.n, found.slope) == (size, pytest.approx(regression(x.tolist(), y.tolist()).slope))
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slopes, [0.025, 0.975])))
        far = slope_interval((1e8 + x).tolist(), (y - 1e6).tolist(), clusters=clusters.tolist(), count=300, seed=seed)
        assert (far.low, far.high) == pytest.approx((found.low, found.high), rel=1e-6)


def test_defaults() -> None:
    assert slope_interval(X, Y) == slope_interval(X, Y, count=1000, seed=0)
    assert slope_interval(X, Y) != slope_interval(X, Y, count=1001) != slope_interval(X, Y, seed=1)
    assert two_samples(X, Y) == two_samples(X, Y, shuffles=9999, seed=0)
    assert two_samples(X, Y).p != two_samples(X, Y, shuffles=9998).p
    assert two_samples(X, Y).p != two_samples(X, Y, seed=1).p
    assert detectable(1.0, 9, 0.05) == detectable(1.0, 9, 0.05, power=0.8)
    assert POWER == 0.8


def test_the_least_number_of_points() -> None:
    four, six = [0.0, 1.0, 3.0, 2.0], [0.0, 1.0, 3.0, 2.0, 5.0, 4.0]
    assert residual_normality([0.0, 1, 2, 3], four).p == pytest.approx(
        stats.shapiro(np.array(four) - np.polyval(np.polyfit(range(4), four, 1), range(4))).pvalue
    )
    assert residual_normality([0.0, 1, 2], four[:3]).reason == "fewer than 4 points"
    assert clustered([0.0, 1, 2], four[:3], [0, 1, 2]).reason == "fewer than 4 points"
    assert clustered([0.0, 1, 2, 3], four, [0, 1, 2, 2]).slope == pytest.approx(0.8)
    assert scale_and_shape(four, [0.0, 2, 1, 3], [1.0, 0, 0, 5]).r2 is not None
    assert scale_and_shape(four[:3], [0.0, 2, 1], [1.0, 0, 0]).reason == "3 models, at least 4 are needed"
    assert scale_and_shape(four[:3], [0.0, 2, 1], [1.0, 0, 0], smallest=3).r2 is not None
    assert mixed(range(3), four[:3], [0, 0, 1]).reason == "fewer than 4 points"
    assert mixed(range(6), six, [0] * 6).reason == "groups need at least two members, and there must be two of them"
    assert mixed(range(6), six, range(6)).reason == "groups need at least two members, and there must be two of them"
    pytest.importorskip("statsmodels")
    assert mixed([0, 1, 0, 1], [0.0, 1.2, 3.0, 3.9], [0, 0, 1, 1]).slope == pytest.approx(1.05)


def test_normality_of_as_many_residuals_as_its_approximation_bears() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 5001)).tolist()
    assert residual_normality(x[1:], y[1:]).p is not None
    assert residual_normality(x, y).reason == "more than 5000 points: the p-value is not accurate"


def test_how_close_to_the_observed_trend_is_a_tie() -> None:
    """The order (e, 0, 1) falls short of (0, e, 1) by e; the largest possible trend is 2 / sqrt(3) for small e."""
    for share, ties in ((0.9e-12, 4), (1.1e-12, 2)):
        e = share * 2 / np.sqrt(3)
        found = chance([-1.0, 0.0, 1.0], [0.0, e, 1.0], [0, 0, 0])
        assert (found.exact, found.p) == (True, pytest.approx(ties / 6))
    for share, ties in (
        (0.9e-12, 2),
        (1.1e-12, 1),
    ):  # of medians: 2 and {e, 1} are 1.5 - e / 2 apart, e and {1, 2} 1.5 - e
        assert two_samples([2.0], [4 * share, 1.0]).p == pytest.approx(ties / 3)


def test_random_orders_stop_when_a_hundred_did_as_well() -> None:
    """There is no trend at all, so that every order does as well; and the steepest, which none does."""
    x, groups = [-1.0, 1.0] * 10, [i // 2 for i in range(20)]
    y = [0.0, 1.0] + [0.0, -0.0625, 0.0, 0.0625] * 4 + [0.0, -1.0]
    flat_sum = chance(x, y, groups, shuffles=1000)
    assert (flat_sum.exact, flat_sum.shuffles, flat_sum.p) == (False, 100, 1.0)
    assert chance(x, y, groups, shuffles=990).shuffles == 198
    assert chance(x, y, groups, shuffles=5).shuffles == 5
    assert chance(x, y, groups, shuffles=1).shuffles == 1
    assert (chance([1.0] * 4, x[:4], [0] * 4).shuffles, chance([1.0] * 4, x[:4], [0] * 4).exact) == (0, False)
    steep = chance(list(range(12)), list(range(12)), [0] * 12, shuffles=105)
    assert (steep.shuffles, steep.p) == (105, pytest.approx(1 / 106))
    assert chance([0, 1, 2, 3], [0, 1, 2, 4], [0] * 4, shuffles=24).exact
    assert not chance([0, 1, 2, 3], [0, 1, 2, 4], [0] * 4, shuffles=23).exact


def test_only_shuffles_inside_groups_count() -> None:
    """Random orders against every order, at a p-value of a few hundredths."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=10)
    y = 10.0 * np.repeat([0, 1], 5) - 0.9 * x + rng.normal(size=10)
    groups = [0] * 5 + [1] * 5
    exact = chance(x.tolist(), y.tolist(), groups, shuffles=14400)
    drawn = chance(x.tolist(), y.tolist(), groups, shuffles=14399, seed=2)
    assert exact.exact
    assert 0.01 < exact.p < 0.2
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / drawn.shuffles))


def test_missing_covariates_and_zeros() -> None:
    """A covariate of 0 is a value, one that is missing takes its point away, a constant one takes nothing."""
    groups, zeros = [i % 3 for i in range(30)], [max(0.0, value) for value in reversed(X)]
    y, shifted = [value + 2 * group for value, group in zip(Y, groups, strict=True)], [value + 1 for value in zeros]
    for statistic in (robust_slope, mixed):
        if statistic is mixed:
            pytest.importorskip("statsmodels")
        found, other = statistic(X, y, groups, [zeros]), statistic(X, y, groups, [shifted])
        assert found.slope == pytest.approx(other.slope, rel=1e-6)
        assert statistic(X, y, groups, [zeros, [7.0] * 30]) == found
        fewer = statistic(X, y, groups, [[None, *zeros[1:]]])
        assert fewer == statistic(X[1:], y[1:], groups[1:], [zeros[1:]])
        assert fewer.n == 29
        assert statistic(X, y, groups, [[5.0] * 30]).slope == pytest.approx(statistic(X, y, groups).slope, rel=1e-9)
        far = statistic([1e8 + value for value in X], y, groups)
        assert far.slope == pytest.approx(statistic(X, y, groups).slope, rel=1e-5)


def test_p_values_at_both_ends() -> None:
    assert benjamini_hochberg([0.0, 1.0]) == [0.0, 1.0]
    for wrong in (-0.01, 1.01):
        with pytest.raises(ValueError, match="between 0 and 1"):
            benjamini_hochberg([0.5, wrong])


def test_no_contest_score_is_beyond_100() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        gap, hyper = rng.integers(0, 9, 12).tolist(), {name: rng.integers(0, 2, 12).tolist() for name in "abc"}
        for score in (cmi_official, cmi_weighted):
            found = score(gap, gap, hyper)
            assert found.score == pytest.approx(100.0)
            assert found.score <= 100.0


def test_the_smallest_told_slope_needs_an_error() -> None:
    assert detectable(2.0, 1.0, 0.05) == pytest.approx(2 * (stats.t.ppf(0.975, 1) + stats.t.ppf(0.8, 1)))
    assert detectable(2.0, 0.9, 0.05) is None
    assert more(10, -1.0, 1.5) == 13  # 12.5 more
    assert more(10, 1.0, None) is more(10, None, 1.0) is None
    assert more(100, 1.0, 99.99) == 999_701
    assert more(100, 1.0, 100.0) is None


def test_slopes_of_groups_on_lines_of_their_own() -> None:
    x, groups = [0.0, 1.0, 2.0] * 2, [0] * 3 + [1] * 3
    assert interaction(x, [0.0, 1, 2, 0, 2, 4], groups).reason == "every group lies on its own line"
    assert interaction(x, [0.0, 1, 2 + 1e-5, 0, 2, 4], groups).p == pytest.approx(0.0, abs=1e-6)


def test_agreement_without_an_interval() -> None:
    found = rank_agreement([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    assert (found.n, found.tau, found.swapped) == (3, pytest.approx(1 / 3), 1)
    assert rank_agreement([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]).reason == "the orders agree wholly: no interval"
    assert rank_agreement([1.0, 2.0], [2.0, 1.0]).swapped == 1
    assert (rank_agreement([1.0], [1.0]).n, rank_agreement([], []).n) == (0, 0)
    for groups in (None, ["a"]):
        with pytest.raises(ValueError, match="same length"):
            rank_agreement([1.0, 2.0], [1.0, 2.0] if groups else [1.0], groups)


def test_a_sample_keeps_its_places() -> None:
    found = sample([1.0, None, 3.0, 4.0], [0.0, 1.0, None, 2.0], ["b", "b", "a", "a"])
    assert (found.x.tolist(), found.y.tolist()) == ([1.0, 4.0], [0.0, 2.0])
    assert (found.group.tolist(), found.names, found.kept.tolist(), found.n) == ([0, 1], ("b", "a"), [0, 3], 2)
    for wrong in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="same length"):
            sample([1.0, 2.0], [1.0, 2.0], wrong)


def test_a_robust_line_without_error_or_covariates() -> None:
    x = [0.0, 1.0, 2.0, 5.0]
    assert (robust_slope(x, x).slope_se, robust_slope(x, x).p, robust_slope(x, x).bold_p) == (0.0, 0.0, 0.0)
    assert robust_slope([1.0, 1.0], [1.0, 2.0]).freedom == 0.0
    groups = [i % 3 for i in range(30)]
    assert robust_slope(X, Y, groups, [[5.0] * 30]) == robust_slope(X, Y, groups)
    twice = robust_slope(X, Y, groups, [[2 * value for value in X]])
    assert (twice.slope, twice.reason) == (None, "x is a combination of groups and covariates")
    assert robust_slope([], []).reason == "no group has two points"
