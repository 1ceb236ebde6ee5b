"""Hill's estimator: exact on exact Pareto data, equal to the sum written out, blind to scale."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.metrics.hill import METHOD, hill, hill_plot
from zoospectra.analysis.records import Esd, Fit, Status

NO_FIT = Fit(Status.TOO_FEW)


def pareto(alpha: float, K: int, seed: int = 0) -> np.ndarray:
    return np.sort((1 - np.random.default_rng(seed).random(K)) ** (-1 / (alpha - 1)))


def esd(evals: np.ndarray) -> Esd:
    return Esd(evals=evals, fitted=evals, slices=evals[None], N=2 * len(evals), M=len(evals), rf=1)


@pytest.mark.parametrize("alpha", [1.5, 2.0, 3.0, 6.0])
def test_exponent_of_pareto_data_is_recovered(alpha):
    evals = pareto(alpha, 20_000)
    for k in (1000, 5000, 10_000):
        # The standard error is (alpha - 1)/sqrt(k); five of them.
        assert hill(evals, k) == pytest.approx(alpha, abs=5 * (alpha - 1) / np.sqrt(k))


def test_columns_are_the_formula_at_three_fractions():
    evals = pareto(2.5, 101)
    row = METHOD.run(esd(evals), NO_FIT, {})
    for name, k in (("alpha_hill_half", 50), ("alpha_hill_quarter", 25), ("alpha_hill_5pct", 5)):
        total = sum(np.log(evals[100 - i] / evals[100 - k]) for i in range(k))
        assert row[name] == pytest.approx(1 + k / total, rel=1e-12)


def test_plot_is_the_estimator_at_every_k():
    evals = pareto(2.2, 60)
    k, alpha = hill_plot(evals)
    assert k.tolist() == list(range(1, 60))
    np.testing.assert_allclose(alpha, [hill(evals, int(i)) for i in k], rtol=1e-9)


def test_plot_leaves_zeros_and_ties_out():
    k, alpha = hill_plot(np.array([0.0, 0.0, 1.0, 2.0, 2.0, 2.0]))
    assert k.tolist() == [3]
    assert alpha[0] == pytest.approx(1 + 1 / np.log(2))
    assert hill_plot(np.zeros(5))[0].size == 0


def test_scale_does_not_matter():
    evals = pareto(2.2, 200)
    base = METHOD.run(esd(evals), NO_FIT, {})
    for factor in (1e-60, 1e60):
        assert METHOD.run(esd(evals * factor), NO_FIT, {}) == pytest.approx(base, rel=1e-12)


@pytest.mark.parametrize("k", [0, 10, -1])
def test_a_tail_that_does_not_fit_is_refused(k):
    with pytest.raises(ValueError, match="k must lie"):
        hill(np.arange(1.0, 11.0), k)
