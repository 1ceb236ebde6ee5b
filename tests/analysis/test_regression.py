"""Regressions against scipy and statsmodels, and in the degenerate cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zoospectra.analysis.regression import Regression, regression


def test_a_known_line() -> None:
    found = regression([0, 1, 2, 3], [1, 3, 5, 7])
    assert (found.slope, found.intercept, found.r2, found.rmse) == pytest.approx((2, 1, 1, 0))
    assert (found.kendall_tau, found.spearman, found.slope_p, found.n, found.reason) == (
        1,
        pytest.approx(1),
        0,
        4,
        None,
    )


numbers = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=40)


@given(numbers, st.integers(-60, 60))
def test_agrees_with_scipy(pairs, decade) -> None:
    x, y = (np.array(side, dtype=float) * 10.0**decade for side in zip(*pairs, strict=True))
    found = regression(list(x), list(y))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert found.reason == ("x is constant" if np.ptp(x) == 0 else "y is constant")
        assert (found.r2, found.kendall_tau, found.spearman) == (None, None, None)
        return
    line = stats.linregress(x, y)
    scale = np.abs(y).max()
    assert found.slope == pytest.approx(line.slope, rel=1e-9, abs=1e-9)
    assert found.intercept == pytest.approx(line.intercept, rel=1e-9, abs=1e-9 * scale)
    assert found.r2 == pytest.approx(line.rvalue**2, abs=1e-9)
    assert found.rmse == pytest.approx(
        math.sqrt(np.mean((y - line.intercept - line.slope * x) ** 2)), rel=1e-6, abs=1e-9 * scale
    )
    assert found.kendall_tau == pytest.approx(stats.kendalltau(x, y).statistic, nan_ok=True)
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert found.slope_p == pytest.approx(line.pvalue, abs=1e-6)


def test_direction_matters() -> None:
    x, y = [1, 2, 3, 4], [1, 3, 2, 5]
    assert regression(x, y).slope * regression(y, x).slope == pytest.approx(regression(x, y).r2)


@pytest.mark.oracle
def test_agrees_with_statsmodels() -> None:
    ols = pytest.importorskip("statsmodels.api").OLS
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    model = ols(y, np.column_stack([np.ones(30), x])).fit()
    found = regression(list(x), list(y))
    assert (found.intercept, found.slope) == pytest.approx(tuple(model.params))
    assert (found.r2, found.slope_p) == pytest.approx((model.rsquared, model.pvalues[1]))
    assert found.rmse == pytest.approx(math.sqrt(model.ssr / 30))
    covariance = model.cov_params()
    assert (found.intercept_se, found.covariance) == pytest.approx((covariance[0, 0] ** 0.5, covariance[0, 1]))


def test_missing_values_leave_their_pair_out() -> None:
    assert regression([1, None, 2, 3], [1, 5, 2, None]) == regression([1, 2], [1, 2])


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [([], [], "fewer than two points"), ([1], [2], "fewer than two points"), ([1, 1, 1], [1, 2, 3], "x is constant")],
)
def test_what_cannot_be_fitted_says_why(x, y, reason) -> None:
    assert regression(x, y) == Regression(n=len(x), reason=reason)


def test_a_constant_y_has_a_flat_line() -> None:
    found = regression([1, 2, 3], [0.1, 0.1, 0.1])
    assert (found.slope, found.rmse, found.r2, found.kendall_tau, found.reason) == (0, 0, None, None, "y is constant")
    assert found.intercept == pytest.approx(0.1)


def test_misuse() -> None:
    with pytest.raises(ValueError, match="same length"):
        regression([1], [1, 2])
    with pytest.raises(ValueError, match="finite"):
        regression([1, math.nan], [1, 2])


def test_three_points_have_one_degree_of_freedom() -> None:
    x, y = [1.0, 2.0, 4.0], [1.0, 3.0, 2.0]
    line, other = regression(x, y), stats.linregress(x, y)
    assert (line.slope_se, line.slope_p) == pytest.approx((other.stderr, other.pvalue))
    assert regression(x[:2], y[:2]).slope_se is None
