"""The truncated law's normaliser against mpmath, and its moments against its own derivatives."""

import mpmath
import numpy as np
import pytest

from zoospectra.analysis.tails.expint import log_expint, moments

ALPHAS = [-80.0, -5.5, -1.0, 0.0, 0.3, 0.999, 1.0, 1.0001, 1.5, 2.0, 2.7, 4.3, 8.0, 25.0, 300.0]
LAMS = [1e-14, 1e-9, 1e-4, 0.01, 0.1, 1.0, 5.0, 100.0, 1e4]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_log_expint_equals_mpmath_to_1e_13(alpha):
    with mpmath.workdps(60):
        expected = [float(mpmath.log(mpmath.expint(mpmath.mpf(alpha), mpmath.mpf(lam)))) for lam in LAMS]
    np.testing.assert_allclose(log_expint(alpha, np.array(LAMS)), expected, rtol=1e-13, atol=1e-13)


def test_it_is_the_incomplete_gamma_of_negative_first_argument():
    alpha, lam = 3.25, 0.07
    with mpmath.workdps(40):
        expected = float(mpmath.log(mpmath.gammainc(1 - alpha, lam)))
    assert float(log_expint(alpha, lam)) + (1 - alpha) * np.log(lam) == pytest.approx(expected, rel=1e-13)


def test_one_call_for_many_pairs_equals_many_calls():
    alpha, lam = np.meshgrid(ALPHAS, LAMS)
    together = log_expint(alpha, lam)
    assert together.shape == alpha.shape
    alone = [float(log_expint(a, x)) for a, x in zip(alpha.ravel(), lam.ravel(), strict=True)]
    np.testing.assert_allclose(together.ravel(), alone, rtol=1e-14)


@pytest.mark.parametrize(("alpha", "lam"), [(1.2, 0.5), (2.5, 1e-3), (3.5, 3.0), (0.0, 0.2), (-3.0, 0.01)])
def test_moments_are_derivatives_of_the_normaliser(alpha, lam):
    at = moments(alpha, lam)
    h, k = 1e-5, 1e-5 * lam
    assert float(at.u) == pytest.approx(-(log_expint(alpha + h, lam) - log_expint(alpha - h, lam)) / (2 * h), rel=1e-6)
    assert 1 + float(at.s) == pytest.approx(
        -(log_expint(alpha, lam + k) - log_expint(alpha, lam - k)) / (2 * k), rel=1e-6
    )
    up, down = moments(alpha + h, lam), moments(alpha - h, lam)
    assert float(at.uu) == pytest.approx(-float(up.u - down.u) / (2 * h), rel=1e-6)
    assert float(at.us) == pytest.approx(-float(up.s - down.s) / (2 * h), rel=1e-6)
    right, left = moments(alpha, lam + k), moments(alpha, lam - k)
    assert float(at.ss) == pytest.approx(-float(right.s - left.s) / (2 * k), rel=1e-6)


@pytest.mark.parametrize("lam", [0.0, -1.0, np.nan])
def test_a_cut_off_that_is_not_positive_is_refused(lam):
    with pytest.raises(ValueError, match="lam"):
        moments(2.0, lam)
