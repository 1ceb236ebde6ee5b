"""Every statistic against scipy or statsmodels: 1e-10, ties included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.multiple import benjamini_hochberg
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.statistics.permutation import chance
from zoospectra.analysis.statistics.theil_sen import theil_sen
from zoospectra.analysis.statistics.within import within

pytestmark = pytest.mark.oracle


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-10, abs=1e-10)


def test_the_line_and_its_interval(drawn) -> None:
    sm = pytest.importorskip("statsmodels.api")
    found = regression(drawn.x, drawn.y)
    fit = sm.OLS(drawn.y, sm.add_constant(np.array(drawn.x))).fit()
    low, high = fit.conf_int()[1]
    assert (found.slope, found.intercept, found.slope_se) == (
        near(fit.params[1]),
        near(fit.params[0]),
        near(fit.bse[1]),
    )
    assert (found.slope_low, found.slope_high, found.slope_p) == (near(low), near(high), near(fit.pvalues[1]))
    assert (found.r2, found.mse) == (near(fit.rsquared), near(fit.ssr / 40))
    assert found.rmse == near((fit.ssr / 40) ** 0.5)
    tau, rank = stats.kendalltau(drawn.x, drawn.y), stats.spearmanr(drawn.x, drawn.y)
    assert (found.kendall_tau, found.kendall_p) == (near(tau.statistic), near(tau.pvalue))
    assert (found.spearman, found.spearman_p) == (near(rank.statistic), near(rank.pvalue))


def test_theil_sen(drawn) -> None:
    found, line = theil_sen(drawn.x, drawn.y), stats.theilslopes(drawn.y, drawn.x)
    assert (found.slope, found.intercept) == (near(line.slope), near(line.intercept))
    assert (found.low, found.high) == (near(line.low_slope), near(line.high_slope))


def test_normality_of_residuals(drawn) -> None:
    line = stats.linregress(drawn.x, drawn.y)
    test = stats.shapiro(np.array(drawn.y) - line.slope * np.array(drawn.x) - line.intercept)
    found = residual_normality(drawn.x, drawn.y)
    assert (found.w, found.p) == (near(test.statistic), near(test.pvalue))


def test_leave_one_out(drawn) -> None:
    slopes = [stats.linregress(np.delete(drawn.x, i), np.delete(drawn.y, i)).slope for i in range(len(drawn.x))]
    found = influence(drawn.x, drawn.y)
    assert (found.low, found.high) == (near(min(slopes)), near(max(slopes)))
    assert slopes[found.most] == near(max(slopes, key=lambda one: abs(one - found.slope)))


def test_within_groups(drawn) -> None:
    sm = pytest.importorskip("statsmodels.api")
    dummies = np.equal.outer(drawn.groups, np.unique(drawn.groups)).astype(float)
    fit = sm.OLS(drawn.y, np.column_stack([drawn.x, dummies])).fit()
    found = within(drawn.x, drawn.y, drawn.groups)
    low, high = fit.conf_int()[0]
    assert (found.slope, found.slope_se, found.p) == (near(fit.params[0]), near(fit.bse[0]), near(fit.pvalues[0]))
    assert (found.low, found.high) == (near(low), near(high))


def test_mixed_model(drawn) -> None:
    """Restricted maximum likelihood of statsmodels on raw data; both search for the maximum, so 1e-4."""
    model = pytest.importorskip("statsmodels.regression.mixed_linear_model")
    found = mixed(drawn.x, drawn.y, drawn.groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design = np.column_stack([np.ones(40), drawn.x])
        fit = model.MixedLM(np.array(drawn.y), design, groups=np.array(drawn.groups)).fit(reml=True)
    assert found.slope == pytest.approx(fit.fe_params[1], abs=1e-4)
    assert found.slope_se == pytest.approx(fit.bse_fe[1], abs=1e-4)
    assert found.group_sd == pytest.approx(fit.cov_re[0, 0] ** 0.5, rel=1e-2)


def test_exact_permutations() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        x, y = rng.normal(size=6), np.round(rng.normal(size=6), 1)

        def steepness(order, y=y):
            return np.sum((order - order.mean()) * (y - y.mean()))

        oracle = stats.permutation_test((x,), steepness, permutation_type="pairings", n_resamples=np.inf)
        found = chance(x.tolist(), y.tolist(), [0] * 6)
        both = np.mean(np.abs(oracle.null_distribution) >= abs(oracle.statistic) - 1e-12)
        assert found.exact
        assert found.shuffles == 720
        assert found.p == near(both)


def test_random_permutations_come_near_the_exact_ones() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=7).tolist(), rng.normal(size=7).tolist()
    exact = chance(x, y, [0] * 7, shuffles=5040)
    drawn = chance(x, y, [0] * 7, shuffles=5000, seed=1)
    assert exact.exact
    assert not drawn.exact
    assert drawn.p == pytest.approx(exact.p, abs=0.03)  # four standard errors of a share of 5000


def test_false_discoveries() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 30):
        p = np.round(rng.random(size) ** 3, 2)
        assert benjamini_hochberg(p.tolist()) == near(stats.false_discovery_control(p).tolist())
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    assert benjamini_hochberg(p.tolist()) == near(multipletests(p, method="fdr_bh")[1].tolist())


def test_bootstrap_interval(drawn) -> None:
    """The same distribution as scipy's, other draws: within a tenth of the interval's width."""
    found = slope_interval(drawn.x, drawn.y, count=4000, seed=1)
    x, y = np.array(drawn.x), np.array(drawn.y)

    def slope(x, y, axis):
        dx, dy = x - x.mean(axis, keepdims=True), y - y.mean(axis, keepdims=True)
        return (dx * dy).sum(axis) / (dx * dx).sum(axis)

    oracle = stats.bootstrap(
        (x, y), slope, paired=True, vectorized=True, method="percentile", n_resamples=4000, rng=2
    ).confidence_interval
    width = oracle.high - oracle.low
    assert (found.low, found.high) == (
        pytest.approx(oracle.low, abs=0.1 * width),
        pytest.approx(oracle.high, abs=0.1 * width),
    )
