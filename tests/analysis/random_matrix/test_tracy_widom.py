"""The Tracy-Widom law against published constants and simulated noise."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.tracy_widom import centre_and_width, quantile, survival, upper_edge


@pytest.mark.parametrize(
    ("tail", "published"),
    [(0.05, 0.9793), (0.01, 2.0234), (0.10, 0.4501), (0.5, -1.2686), (0.95, -3.1804)],
)
def test_quantiles_are_the_published_ones(tail, published):
    assert quantile(tail) == pytest.approx(published, abs=5e-5)


def test_mean_and_variance_are_the_published_ones():
    # Bornemann 2010, table 10: mean -1.2065335745820, variance 1.607781034581. Trapezoidal on a smooth integrand.
    s = np.linspace(-9.0, 12.0, 601)
    tail = np.array([survival(x) for x in s])
    mean = -9.0 + np.trapezoid(tail, s)
    variance = 81.0 + np.trapezoid(2.0 * s * tail, s) - mean**2
    assert mean == pytest.approx(-1.2065335745820, abs=1e-4)
    assert variance == pytest.approx(1.607781034581, abs=1e-3)


def test_survival_falls_from_one_to_the_known_far_tail():
    values = [survival(s) for s in np.linspace(-9.0, 20.0, 200)]
    assert np.all(np.diff(values) <= 1e-15)
    assert values[0] == pytest.approx(1.0, abs=1e-13)
    # Leading term of the far tail: exp(-2/3 s^1.5) / (4 sqrt(pi) s^(3/2)), relative error O(s^-1.5).
    s = 20.0
    assert survival(s) == pytest.approx(np.exp(-2 / 3 * s**1.5) / (4 * np.sqrt(np.pi) * s**1.5), rel=0.03)


@pytest.mark.parametrize("tail", [1e-14, 1e-6, 0.3, 0.999])
def test_quantile_inverts_survival(tail):
    assert survival(quantile(tail)) == pytest.approx(tail, rel=1e-7)


@pytest.mark.parametrize("tail", [0.0, 1.0, -1.0, float("nan"), 1e-15])
def test_a_tail_that_is_no_probability_is_refused(tail):
    with pytest.raises(ValueError, match="tail probability"):
        quantile(tail)


@pytest.mark.parametrize(("N", "M"), [(40, 20), (80, 80), (200, 30)])
def test_the_edge_is_exceeded_at_the_stated_rate(N, M):
    rng = np.random.default_rng(7)
    top = np.array([np.linalg.svd(rng.standard_normal((N, M)), compute_uv=False)[0] ** 2 for _ in range(1500)])
    for tail in (0.5, 0.1, 0.05):
        # Five standard errors of a binomial share.
        assert np.mean(top > upper_edge(N, M, tail)) == pytest.approx(tail, abs=5 * np.sqrt(tail * (1 - tail) / 1500))


def test_centre_tends_to_the_marchenko_pastur_edge():
    centre, width = centre_and_width(100_000, 25_000)
    assert centre == pytest.approx((np.sqrt(100_000) + np.sqrt(25_000)) ** 2, rel=1e-4)
    assert 0 < width < 1e-2 * centre
