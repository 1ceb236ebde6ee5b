"""What spectra say to other tools, against each formula in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from zoospectra.analysis import allocation as given


@pytest.mark.parametrize("seed", range(5))
def test_formulas_of_spectra(seed: int) -> None:
    rng = np.random.default_rng(seed)
    N, M = 60, 40
    values = np.linalg.svd(rng.standard_t(2, (N, M)), compute_uv=False)
    evals = values[::-1] ** 2
    low, high = np.quantile(values, [0.25, 0.75])
    edge = (high - low) / 1.349 * (1 + math.sqrt(M / N))
    expected = sum(v for v in values if v > edge) / sum(v for v in values if v <= edge) / max(values)
    assert given.signal_to_noise(evals, N, M) == pytest.approx(expected)
    tail = sorted(evals)[len(evals) // 2 :]
    assert given.hill_alpha(evals) == pytest.approx(1 + len(tail) / sum(math.log(v / tail[0]) for v in tail))
    assert given.hill_alpha(np.r_[np.zeros(7), evals, -1.0]) == pytest.approx(given.hill_alpha(evals))
    for share in (0.1, 0.5, 0.9, 0.99):
        held = next(r for r in range(1, M + 1) if sum(sorted(evals)[-r:]) >= share**2 * sum(evals))
        assert given.energy_rank(evals, share) == max(1, min(held, M - 1))


def test_spectra_without_signal_noise_or_tail() -> None:
    assert given.signal_to_noise(np.zeros(4), 8, 4) == 0.0
    assert given.signal_to_noise(np.ones(4), 8, 4) == math.inf  # no spread: all above
    assert given.signal_to_noise(np.array([0.0, 1.0, 4.0, 9.0]), 4, 4) == pytest.approx(3 / 3 / 3)  # 3 above 2.22
    assert given.hill_alpha(np.ones(4)) is None
    assert given.hill_alpha(np.array([1.0, 2.0])) is None  # one in the upper half
    assert given.hill_alpha(np.array([1.0, 1.0, math.e])) == pytest.approx(1 + 2 / 1)
    assert given.energy_rank(np.zeros(3), 0.9) == 1
    assert given.energy_rank(np.array([0.0, 0.0, 1.0]), 0.9) == 1
    assert given.energy_rank(np.ones(4), 1.0) == 3  # never all
    assert given.energy_rank(np.ones(4), 0.5) == 1  # exactly a quarter is enough
    assert given.energy_rank(np.array([5.0]), 0.9) == 1


@pytest.mark.parametrize("seed", range(3))
def test_scores_mapped_to_a_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, params = rng.normal(4, 1, 7).tolist(), rng.integers(1, 99, 7).tolist()
    expected = np.interp(scores, [min(scores), max(scores)], [0.5, 1.5])
    assert given.linear_map(scores, 0.5, 1.5) == pytest.approx(expected)
    assert given.linear_map([2.0, 2.0], 0.5, 2.5) == (1.5, 1.5)
    ratios = np.array(given.pruning_ratios(scores, params, 0.7, 0.3))
    assert ratios @ params == pytest.approx(0.7 * sum(params))
    shape = np.interp(scores, [min(scores), max(scores)], [0.7, 1.3])
    assert ratios / ratios[0] == pytest.approx(shape / shape[0])


@pytest.mark.parametrize("mean", [0.3, 1.0, 9.0])
def test_bits_are_those_of_reverse_water_filling(mean: float) -> None:
    rng = np.random.default_rng(0)
    variances, params = (10 ** rng.uniform(-4, 4, 9)).tolist(), rng.integers(1, 50, 9).tolist()

    def bits(level: float) -> np.ndarray:
        return np.maximum(0.5 * np.log2(np.array(variances)) - level, 0.0)

    level = optimize.brentq(lambda one: bits(one) @ params - mean * sum(params), -50, 50, xtol=1e-12)
    widths = given.bit_widths(variances, params, mean)
    assert widths == pytest.approx(bits(level), abs=1e-9)
    assert (min(widths) == 0.0) is (mean < 2)
