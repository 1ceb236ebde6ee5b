"""Every statistic against scipy or statsmodels: 1e-10, ties included."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from tests.analysis.statistics.direct import between, chance, interaction, leave_group, within
from zoospectra.analysis.regression import regression
from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.influence import influence
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.statistics.multiple import benjamini_hochberg, holm
from zoospectra.analysis.statistics.normality import residual_normality
from zoospectra.analysis.statistics.power import detectable, more
from zoospectra.analysis.statistics.robust import robust_slope
from zoospectra.analysis.statistics.theil_sen import theil_sen

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
    robust = robust_slope(drawn.x, drawn.y, drawn.groups)
    fit3 = sm.OLS(drawn.y, np.column_stack([drawn.x, dummies])).fit(cov_type="HC3", use_t=True)
    assert robust.bold_p == near(fit3.pvalues[0])
    assert (robust.slope, robust.slope_se) == (near(fit3.params[0]), near(fit3.bse[0]))
    low, high = fit.conf_int()[0]
    assert (found.slope, found.slope_se, found.p) == (near(fit.params[0]), near(fit.bse[0]), near(fit.pvalues[0]))
    assert (found.low, found.high) == (near(low), near(high))


def test_partial_slopes(drawn) -> None:
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(7)
    sides = [rng.normal(size=40).tolist(), (np.array(drawn.x) + rng.normal(size=40)).tolist()]
    dummies = np.equal.outer(drawn.groups, np.unique(drawn.groups)).astype(float)
    fit = sm.OLS(drawn.y, np.column_stack([drawn.x, dummies, *sides])).fit(cov_type="HC3")
    found = robust_slope(drawn.x, drawn.y, drawn.groups, sides)
    assert (found.slope, found.slope_se) == (near(fit.params[0]), near(fit.bse[0]))
    alone = sm.OLS(drawn.y, sm.add_constant(np.column_stack([drawn.x, *sides]))).fit(cov_type="HC3")
    pooled = robust_slope(drawn.x, drawn.y, covariates=sides)
    assert (pooled.slope, pooled.slope_se) == (near(alone.params[1]), near(alone.bse[1]))
    constant = [0.1] * 40  # its mean is not 0.1: what rounding leaves is no covariate
    assert robust_slope(drawn.x, drawn.y, drawn.groups, [*sides, constant]) == found
    with_t = sm.OLS(drawn.y, np.column_stack([drawn.x, dummies, *sides])).fit(cov_type="HC3", use_t=True)
    assert found.bold_p == near(with_t.pvalues[0])


def test_degrees_of_freedom_of_the_robust_error(drawn) -> None:
    """2 E[V]^2 / Var[V] from the whole hat matrix."""
    dummies = np.equal.outer(drawn.groups, np.unique(drawn.groups)).astype(float)
    design = np.column_stack([drawn.x, dummies])
    inverse = np.linalg.inv(design.T @ design)
    rest = np.eye(40) - design @ inverse @ design.T
    share = (inverse @ design.T)[0] ** 2 / np.diag(rest) ** 2
    both = rest @ np.diag(share) @ rest
    freedom = np.trace(both) ** 2 / np.trace(both @ both)
    found = robust_slope(drawn.x, drawn.y, drawn.groups)
    assert found.freedom == pytest.approx(min(freedom, 40 - 4 - 1), rel=1e-9)
    assert found.p == near(2 * stats.t.sf(abs(found.slope / found.slope_se), found.freedom))
    half = found.slope_se * stats.t.isf(0.025, found.freedom)
    assert (found.low, found.high) == (near(found.slope - half), near(found.slope + half))


def test_between_groups(drawn) -> None:
    x, y, labels = (np.array(side) for side in (drawn.x, drawn.y, drawn.groups))
    means = [[side[labels == one].mean() for one in np.unique(labels)] for side in (x, y)]
    line = stats.linregress(*means)
    found = between(drawn.x, drawn.y, drawn.groups)
    assert (found.slope, found.slope_se, found.p) == (near(line.slope), near(line.stderr), near(line.pvalue))
    assert found.groups == 4
    two = between([0, 1, 2, 3], [0, 1, 5, 6], [0, 0, 1, 1])
    assert (two.slope, two.p) == (2.5, None)


def test_interaction(drawn) -> None:
    ols = pytest.importorskip("statsmodels.api").OLS
    dummies = np.equal.outer(drawn.groups, np.unique(drawn.groups)).astype(float)
    one = ols(drawn.y, np.column_stack([dummies, drawn.x])).fit()
    own = ols(drawn.y, np.column_stack([dummies, dummies * np.array(drawn.x)[:, None]])).fit()
    f, p, _ = own.compare_f_test(one)
    found = interaction(drawn.x, drawn.y, drawn.groups)
    assert (found.f, found.p) == (near(f), near(p))


def test_slopes_of_groups_are_compared_from_one_degree_of_freedom_on() -> None:
    none = interaction([0, 1, 2, 3], [0, 1, 0, 5], [0, 0, 1, 1])
    assert (none.f, none.reason) == (None, "no degrees of freedom left for an error")
    one = interaction([0, 1, 2, 2, 3], [0, 1, 3, 0, 5], [0, 0, 0, 1, 1])
    x = np.array([-1, 0, 1, -0.5, 0.5])
    y = np.array([-4 / 3, -1 / 3, 5 / 3, -2.5, 2.5])
    own = np.sum((y[:3] - 1.5 * x[:3]) ** 2)
    whole = np.sum((y - (x @ y / (x @ x)) * x) ** 2)
    assert one.f == near((whole - own) / own)


def test_a_group_of_one_is_no_group_to_a_robust_slope() -> None:
    x, y = [0.0, 1.0, 2.5, 4.0, 9.0], [0.0, 1.2, 2.0, 4.5, 7.0]
    assert robust_slope(x, y, [0, 0, 0, 0, 1]) == robust_slope(x[:4], y[:4], [0] * 4)


def test_leaving_out_groups(drawn) -> None:
    x, y, labels = (np.array(side) for side in (drawn.x, drawn.y, drawn.groups))
    slopes = {}
    for gone in range(4):
        kept = labels != gone
        slopes[gone] = within(x[kept].tolist(), y[kept].tolist(), labels[kept].tolist()).slope
    found, whole = leave_group(drawn.x, drawn.y, drawn.groups), within(drawn.x, drawn.y, drawn.groups).slope
    assert (found.low, found.high) == (near(min(slopes.values())), near(max(slopes.values())))
    turned = {gone: slope for gone, slope in slopes.items() if slope * whole < 0}
    assert found.turned_by == (min(turned, key=lambda one: turned[one] * np.sign(whole)) if turned else None)


def test_a_group_that_turns_the_trend() -> None:
    x, y, labels = [0, 1, 2, 0, 1, 2, 0, 10, 20], [0, 1, 2.1, 0, 1.1, 2, 0, -10, -20.5], [0, 0, 0, 1, 1, 1, 2, 2, 2]
    found = leave_group(x, y, labels)
    others = robust_slope(x[:6], y[:6], labels[:6])
    assert (found.turned_by, found.slope, found.p) == (2, near(others.slope), near(3 * others.p))
    assert leave_group(x[:6], y[:6], labels[:6]).turned_by is None


def test_what_could_have_been_told() -> None:
    """The power of a t-test by its noncentral distribution; the approximation is good to 2 %."""
    for freedom in (4, 10, 40):
        smallest = detectable(1.0, freedom, 0.05)
        limit = stats.t.isf(0.025, freedom)
        power = stats.nct.sf(limit, freedom, smallest) + stats.nct.cdf(-limit, freedom, smallest)
        assert power == pytest.approx(0.8, abs=0.02)
    assert detectable(None, 4, 0.05) is None
    assert more(10, 1.0, 2.0) == 30  # half the error takes four times as many
    assert more(10, 3.0, 2.0) == 0
    assert more(10, 0.0, 2.0) is None
    assert more(10, 1e-9, 2.0) is None


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
    assert found.residual_sd == pytest.approx(fit.scale**0.5, rel=1e-3)
    assert found.p == pytest.approx(fit.pvalues[1], rel=1e-2)
    side = np.random.default_rng(8).normal(size=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.MixedLM(np.array(drawn.y), np.column_stack([design, side]), groups=np.array(drawn.groups)).fit()
    held = mixed(drawn.x, drawn.y, drawn.groups, [side.tolist()])
    assert held.slope == pytest.approx(fit.fe_params[1], abs=1e-4)


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
    assert drawn.p == pytest.approx(exact.p, abs=0.09)  # four standard errors of a share of 500, the first stage
    small = chance([*range(12)], [*range(10), 11, 10], [0] * 12, shuffles=999)
    assert (small.p, small.shuffles) == (0.001, 999)  # few do as well: all are drawn


def test_false_discoveries() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 30):
        p = np.round(rng.random(size) ** 3, 2)
        assert benjamini_hochberg(p.tolist()) == near(stats.false_discovery_control(p).tolist())
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    assert holm(p.tolist()) == near(multipletests(p, method="holm")[1].tolist())
    assert holm([None, 0.02, None, 0.03]) == [None, 0.04, None, 0.04]
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
