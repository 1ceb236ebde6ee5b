"""Robust alpha against a plain evaluation of its formula, and what it is for."""

import numpy as np
import pytest

from zoospectra.analysis.powerlaw import curve, fit_powerlaw
from zoospectra.analysis.uncertainty.robust import NOISE, robust


@pytest.mark.parametrize("seed", range(6))
def test_it_is_its_formula(seed, body_and_tail):
    x = body_and_tail(seed, 300)
    every = curve(x)
    voters = every.n_tail >= 8
    alpha, D, n, at = (values[voters] for values in (every.alpha, every.D, every.n_tail, np.log(every.xmin)))
    tau = NOISE / np.sqrt(n[D.argmin()])
    weight = np.exp(-(D - D.min()) / tau)
    weight /= weight.sum()
    found = robust(x)
    mean = weight @ alpha
    assert found.alpha == pytest.approx(mean, abs=1e-8)
    assert found.spread == pytest.approx(np.sqrt(weight @ (alpha - mean) ** 2), abs=1e-6)
    assert found.candidates == pytest.approx(1 / (weight @ weight), rel=1e-6)
    assert found.slope == pytest.approx(np.polyfit(at, alpha, 1, w=np.sqrt(weight))[0], abs=1e-5)
    near = D.min() + tau >= D
    assert (found.low, found.high) == (pytest.approx(alpha[near].min()), pytest.approx(alpha[near].max()))


def test_noise_is_the_spread_of_kolmogorovs_distribution():
    from scipy.stats import kstwobign

    assert pytest.approx(kstwobign.std(), rel=1e-6) == NOISE


def test_it_errs_less_than_the_single_best_start(body_and_tail):
    robust_error, best_error = [], []
    for seed in range(120):
        x = body_and_tail(seed, 400)
        robust_error.append(robust(x).alpha - 2.5)
        best_error.append(fit_powerlaw(x).alpha - 2.5)
    assert np.std(robust_error) < 0.95 * np.std(best_error)
    assert np.hypot(np.mean(robust_error), np.std(robust_error)) < np.hypot(np.mean(best_error), np.std(best_error))


def test_a_bent_tail_shows_in_slope_and_spread(body_and_tail):
    straight = robust(body_and_tail(3, 2000))
    bent = robust(np.sort(np.exp(np.random.default_rng(3).normal(0.0, 1.0, 2000))))
    assert bent.slope > 3 * abs(straight.slope)
    assert bent.spread > 3 * straight.spread


@pytest.mark.parametrize("x", [np.ones(50), np.arange(1.0, 5.0), np.array([])], ids=["constant", "few", "none"])
def test_nothing_to_fit_is_none(x):
    assert robust(x) is None


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="min_tail"):
        robust(np.arange(1.0, 30.0), 1)
    assert robust(np.arange(1.0, 30.0), 2) is not None  # two values have a spread
    with pytest.raises(ValueError, match="ascending"):
        robust(np.arange(30.0, 1.0, -1.0))
