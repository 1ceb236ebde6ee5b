"""The Marchenko-Pastur law, its fit and its columns: noise has no spikes, planted ones are counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom

from zoospectra.analysis.marchenko_pastur import Bulk, cdf, density, edges, fit_bulk, median, sigma2_of_entries
from zoospectra.analysis.metrics.marchenko_pastur import METHOD
from zoospectra.analysis.records import Fit, Status
from zoospectra.analysis.tracy_widom import upper_edge

NO_FIT = Fit(Status.TOO_FEW)


def evals_of(W: np.ndarray) -> np.ndarray:
    return np.sort(np.linalg.svd(W, compute_uv=False) ** 2, axis=None)


def spiked(rng: np.random.Generator, N: int, M: int, rank: int, strength: float) -> np.ndarray:
    """Unit noise plus `rank` orthogonal rank-one signals, `strength` times the detection threshold (NM)^(1/4)."""
    u = np.linalg.qr(rng.standard_normal((N, rank)))[0] if rank else np.zeros((N, 0))
    v = np.linalg.qr(rng.standard_normal((M, rank)))[0] if rank else np.zeros((M, 0))
    return rng.standard_normal((N, M)) + strength * (N * M) ** 0.25 * u @ v.T


@pytest.mark.parametrize("y", [1.0, 0.999, 0.5, 0.01])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_cdf_is_the_integral_of_the_density(y, share):
    a, b = edges(y)

    def integrand(t):  # x = a + (b - a) sin^2 t takes the square-root ends away
        x = a + (b - a) * np.sin(t) ** 2
        return (b - a) ** 2 * 2 * (np.sin(t) * np.cos(t)) ** 2 / (2 * np.pi * y * x)

    expected = quad(integrand, 0.0, np.arcsin(np.sqrt(share)), epsabs=1e-13)[0] if share else 0.0
    assert float(cdf(np.asarray(a + (b - a) * share), y)) == pytest.approx(expected, abs=1e-9)


def test_cdf_is_flat_outside_the_bulk_and_halves_at_the_median():
    assert cdf(np.array([-1.0, 0.0, 1e3]), 0.5).tolist() == [0.0, 0.0, 1.0]
    assert float(cdf(np.asarray(median(0.37)), 0.37)) == pytest.approx(0.5, abs=1e-12)
    with pytest.raises(ValueError, match="aspect"):
        cdf(np.ones(2), 1.5)


@pytest.mark.parametrize(("N", "M", "S"), [(40, 20, 1), (60, 60, 1), (120, 30, 1), (30, 20, 9)])
def test_noise_shows_spikes_at_the_stated_rate(N, M, S):
    """400 seeds each: at a stated 5 % the number of alarms is what a rate of 2 to 7 % can give (99.9 %)."""
    alarms = 0
    for seed in range(400):
        evals = evals_of(np.random.default_rng([seed, N, M]).standard_normal((S, N, M)))
        alarms += fit_bulk(evals, N, M, S, tail=0.05).num_spikes > 0
    assert binom.ppf(0.0005, 400, 0.02) <= alarms <= binom.ppf(0.9995, 400, 0.07)


@pytest.mark.parametrize(("N", "M"), [(100, 60), (100, 100), (200, 50)])
@pytest.mark.parametrize("rank", [1, 3, 6])
def test_signals_above_the_threshold_are_counted(N, M, rank):
    counts = [
        fit_bulk(evals_of(spiked(np.random.default_rng([seed, N, rank]), N, M, rank, 2.5)), N, M).num_spikes
        for seed in range(60)
    ]
    # One false alarm in a hundred is the stated rate; three of sixty is beyond it at 97 %.
    assert sum(count != rank for count in counts) <= 3


@pytest.mark.parametrize("rank", [1, 6])
def test_signals_below_the_threshold_are_not_seen(rank):
    """Baik, Ben Arous and Peche: below strength 1 a signal leaves no outlier, however it is looked for."""
    counts = [
        fit_bulk(evals_of(spiked(np.random.default_rng([seed, rank]), 100, 60, rank, 0.6)), 100, 60).num_spikes
        for seed in range(200)
    ]
    assert sum(count > 0 for count in counts) <= 14


@pytest.mark.parametrize("rank", [0, 5, 20])
def test_noise_level_is_recovered_under_spikes(rank):
    rng = np.random.default_rng(rank)
    W = 0.05 * spiked(rng, 600, 300, rank, 4.0)
    bulk = fit_bulk(evals_of(W), 600, 300)
    assert bulk.num_spikes == rank
    # sqrt(2 / (N M)) is the standard error of a variance of N M entries: 0.3 %; the edge follows.
    assert bulk.sigma2 == pytest.approx(0.05**2, rel=0.015)
    assert bulk.bulk_max == pytest.approx(0.05**2 * 600 * (1 + np.sqrt(0.5)) ** 2, rel=0.015)
    assert bulk.bulk_min == pytest.approx(0.05**2 * 600 * (1 - np.sqrt(0.5)) ** 2, rel=0.015)
    assert bulk.bulk_min < bulk.bulk_max < bulk.spike_edge
    assert bulk.D < 4 / 300
    if rank:
        assert sigma2_of_entries(evals_of(W), 600) > 1.1 * bulk.sigma2


def test_entries_and_eigenvalues_give_one_sigma(esd_of):
    W = np.random.default_rng(0).uniform(-1.0, 1.0, (9, 40, 24))
    row = METHOD.run(esd_of(W), NO_FIT, {})
    assert row["sigma_entries"] == pytest.approx(np.sqrt(np.mean(W**2)), rel=1e-12)


def test_scaling_changes_units_and_nothing_else(esd_of):
    W = spiked(np.random.default_rng(3), 90, 60, 2, 3.0)
    base, scaled = METHOD.run(esd_of(W), NO_FIT, {}), METHOD.run(esd_of(0.125 * W), NO_FIT, {})
    for name in ("num_spikes", "slice_num_spikes"):
        assert base[name] == scaled[name] == 2
    for name in ("sigma_mp", "mp_softrank", "mp_D"):
        assert scaled[name] == pytest.approx(base[name], rel=1e-9)
    assert scaled["sigma_entries"] == pytest.approx(0.125 * base["sigma_entries"], rel=1e-12)
    for name in ("bulk_min", "bulk_max", "spike_edge"):
        assert scaled[name] == pytest.approx(0.125**2 * base[name], rel=1e-9)


def test_softrank_is_the_edge_over_the_largest(esd_of):
    esd = esd_of(spiked(np.random.default_rng(4), 90, 60, 1, 5.0))
    row = METHOD.run(esd, NO_FIT, {})
    assert row["mp_softrank"] == pytest.approx(row["bulk_max"] / esd.evals[-1], rel=1e-14)
    assert row["mp_softrank"] < 0.3


def test_slices_of_unequal_variance_are_spikes_only_when_pooled(esd_of):
    """Pure noise, one slice of nine three times as wide: pooled, its eigenvalues stick out; by slice nothing does."""
    W = np.random.default_rng(5).standard_normal((9, 64, 32)) * np.array([1, 1, 1, 1, 3, 1, 1, 1, 1])[:, None, None]
    row = METHOD.run(esd_of(W), NO_FIT, {})
    assert row["num_spikes"] > 10
    assert row["slice_num_spikes"] == 0


def test_a_planted_signal_in_one_slice_is_counted_by_slice(esd_of):
    rng = np.random.default_rng(6)
    W = rng.standard_normal((9, 64, 32))
    W[4] = spiked(rng, 64, 32, 2, 4.0)
    row = METHOD.run(esd_of(W), NO_FIT, {})
    assert row["slice_num_spikes"] == row["num_spikes"] == 2


def test_a_looser_rate_finds_no_fewer_spikes(esd_of):
    esd = esd_of(spiked(np.random.default_rng(8), 120, 80, 8, 1.4))
    counts = [METHOD.run(esd, NO_FIT, {"tail": tail})["num_spikes"] for tail in (1e-6, 1e-3, 0.05, 0.5)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize("y", [0.05, 0.5, 1.0])
def test_density_integrates_to_the_distribution_function(y: float) -> None:
    a, b = edges(y)
    for share in (0.1, 0.5, 0.9):
        x = a + share * (b - a)
        area, _ = quad(lambda t: float(density(np.asarray(t), y)), a, x, limit=200)
        assert area == pytest.approx(float(cdf(np.asarray(x), y)), abs=1e-7)
    assert density(np.array([0.0, a * 0.9, b * 1.1]), y).tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="aspect"):
        density(np.ones(1), 2.0)


def bulk_by_loops(evals: np.ndarray, N: int, M: int, S: int, tail: float) -> Bulk:
    """The words of `fit_bulk` one by one, without sums kept and in the units given."""
    lam, edge = sorted(evals.tolist()), upper_edge(N, M, tail / S)

    def variance(k: int) -> float:
        return sum(lam[: len(lam) - k]) / ((N - k / S) * (len(lam) - k))

    def count(sigma2: float) -> int:
        return min(sum(one > sigma2 * edge for one in lam), len(lam) - 1)

    k = count(float(np.median(lam)) / (N * median(M / N)))
    while count(variance(k)) > k:
        k = count(variance(k))
    while k and lam[-k] <= variance(k - 1) * edge:
        k -= 1
    sigma2, root = variance(k), np.sqrt(M / N)
    law = cdf(np.array(lam[: len(lam) - k]) / (sigma2 * (N - k / S)), min(1.0, (M - k / S) / (N - k / S)))
    steps = len(law)
    D = max(max(abs((i + 1) / steps - one), abs(one - i / steps)) for i, one in enumerate(law))
    return Bulk(sigma2, sigma2 * N * (1 - root) ** 2, sigma2 * N * (1 + root) ** 2, sigma2 * edge, k, D)


@pytest.mark.parametrize("seed", range(40))
def test_every_field_by_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    M, S = int(rng.integers(2, 20)), int(rng.integers(1, 4))
    N, tail = M + int(rng.integers(0, 20)), (0.01, 0.3)[seed % 2]
    W = 10.0 ** rng.integers(-9, 9) * rng.standard_t((2, 5, 99)[seed % 3], (S, N, M))
    evals = evals_of(W + (seed % 4 == 0) * W.std() * 3)
    found, wanted = fit_bulk(evals, N, M, S, tail), bulk_by_loops(evals, N, M, S, tail)
    for field in dataclasses.fields(Bulk):
        assert getattr(found, field.name) == pytest.approx(getattr(wanted, field.name), rel=1e-9), field.name
    assert fit_bulk(evals, N, M) == fit_bulk(evals, N, M, 1, 0.01)


def test_too_little_for_a_bulk() -> None:
    assert fit_bulk(np.zeros(0), 3, 2) is None
    assert fit_bulk(np.array([1.0]), 3, 2) is None
    assert fit_bulk(np.zeros(2), 3, 2) is None
    assert fit_bulk(np.array([0.0] * 19 + [1.0]), 20, 20) is None  # a median of zero
    assert fit_bulk(np.array([0.5, 1.0]), 3, 2) is not None
    for law in (cdf, density):
        for aspect in (0.0, -0.5, 1.01):
            with pytest.raises(ValueError, match="aspect"):
                law(np.ones(1), aspect)
    assert sigma2_of_entries(np.array([2.0, 4.0]), 6) == 0.5
    assert edges(0.25) == (0.25, 2.25)
