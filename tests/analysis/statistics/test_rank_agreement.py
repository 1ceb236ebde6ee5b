"""Agreement of orders against scipy, and its jackknife against a loop and against the truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.statistics.rank_agreement import Agreement, rank_agreement


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


@pytest.mark.parametrize("grouped", [False, True])
def test_whole_records_by_loops(grouped: bool) -> None:
    """Few values with many ties, so that intervals reach beyond 1, sides are constant, and models are alone."""
    reached = set()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(0, 9))
        x, y, groups = rng.integers(0, 4, n), rng.integers(0, 4, n), rng.integers(0, 3, n).tolist()
        pairs = [(i, j) for i, j in combinations(range(n), 2) if not grouped or groups[i] == groups[j]]
        used = sorted({i for pair in pairs for i in pair})

        def tau(without: int | None, x=x, y=y, pairs=pairs) -> float:
            kept = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in pairs if without not in (i, j)]
            size = np.sqrt(sum(a * a for a, _ in kept) * sum(b * b for _, b in kept))
            return sum(a * b for a, b in kept) / size if size else np.nan

        found = rank_agreement(x.tolist(), y.tolist(), groups if grouped else None)
        swapped = sum((x[i] - x[j]) * (y[i] - y[j]) < 0 for i, j in pairs)
        if not pairs:
            wanted = Agreement(0, reason="no two models to compare")
        elif np.isnan(tau(None)):
            wanted = Agreement(len(used), reason="x or y is constant")
        else:
            whole, left = tau(None), np.array([tau(i) for i in used])
            wanted = Agreement(len(used), pytest.approx(whole), swapped=swapped)
            if np.isnan(left).any() or np.ptp(left) == 0:
                why = "the orders agree wholly" if abs(whole) == 1 else "too few models"
                wanted = replace(wanted, reason=f"{why}: no interval")
            else:
                m = len(used)
                half = stats.t.ppf(0.975, m - 1) * np.sqrt((m - 1) / m * np.sum((left - left.mean()) ** 2))
                ends = max(-1.0, whole - half), min(1.0, whole + half)
                wanted = replace(wanted, low=pytest.approx(ends[0]), high=pytest.approx(ends[1]))
        assert found == wanted, seed
        reached |= (
            {wanted.reason} | ({"low"} if found.low == -1.0 else set()) | ({"high"} if found.high == 1.0 else set())
        )
    assert len(reached) == 7
