"""Agreement of orders against scipy, and its jackknife against a loop and against the truth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.statistics.rank_agreement import rank_agreement


def test_tau_and_interval_by_scipy_and_a_loop() -> None:
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=15), 1)
    y = np.round(x + rng.normal(size=15), 1)
    found = rank_agreement(x.tolist(), y.tolist())
    assert found.tau == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-14)
    left = np.array([stats.kendalltau(np.delete(x, i), np.delete(y, i)).statistic for i in range(15)])
    half = stats.t.ppf(0.975, 14) * np.sqrt(14 / 15 * np.sum((left - left.mean()) ** 2))
    assert (found.low, found.high) == (pytest.approx(found.tau - half), pytest.approx(min(1.0, found.tau + half)))
    assert found.swapped == sum((x[i] - x[j]) * (y[i] - y[j]) < 0 for i, j in combinations(range(15), 2))


def test_within_groups_only_pairs_of_one_group_count() -> None:
    rng = np.random.default_rng(1)
    groups = [i % 3 for i in range(18)] + ["alone"]
    x = rng.normal(size=19) + 10 * np.array([*(i % 3 for i in range(18)), 5])
    y = x + 0.5 * rng.normal(size=19)
    pairs = [(i, j) for i, j in combinations(range(19), 2) if groups[i] == groups[j]]
    found = rank_agreement(x.tolist(), y.tolist(), groups)
    assert found.tau == pytest.approx(np.mean([np.sign((x[i] - x[j]) * (y[i] - y[j])) for i, j in pairs]))
    assert found.n == 18
    assert found.tau < rank_agreement(x.tolist(), y.tolist()).tau


def test_the_interval_covers_the_truth() -> None:
    """tau of a bivariate normal is 2 / pi asin(rho); 300 samples of 15, 95 % nominal."""
    rng, covered = np.random.default_rng(2), 0
    for _ in range(300):
        x = rng.normal(size=15)
        y = 0.6 * x + 0.8 * rng.normal(size=15)
        found = rank_agreement(x.tolist(), y.tolist())
        covered += found.low is not None and found.low <= 2 / np.pi * np.arcsin(0.6) <= found.high
    assert 0.91 <= covered / 300 <= 0.99


def test_what_cannot_be_told_says_why() -> None:
    assert rank_agreement([1.0, 2, 3], [1.0, 1, 1]).reason == "x or y is constant"
    whole = rank_agreement([1.0, 2, 3, 4], [2.0, 3, 5, 9])
    assert (whole.tau, whole.low, whole.reason) == (1.0, None, "the orders agree wholly: no interval")
    assert rank_agreement([1.0, 2], [1.0, 2], ["a", "b"]).reason == "no two models to compare"
    with pytest.raises(ValueError, match="same length"):
        rank_agreement([1.0], [1.0, 2.0])
