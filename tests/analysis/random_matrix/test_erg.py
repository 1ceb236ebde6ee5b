"""The ERG condition against the sum of logarithms written out, and the specification's vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoospectra.analysis.metrics.erg import METHOD, k_erg
from zoospectra.analysis.records import Esd, Fit, Status

NO_FIT = Fit(Status.TOO_FEW)


def esd(evals: np.ndarray) -> Esd:
    return Esd(evals=evals, fitted=evals[evals > 0], slices=evals[None], N=len(evals), M=len(evals), rf=1)


def noise(K: int, seed: int = 0, N: int | None = None) -> np.ndarray:
    return np.sort(np.linalg.svd(np.random.default_rng(seed).standard_normal((N or K, K)), compute_uv=False) ** 2)


def by_hand(evals: np.ndarray) -> int:
    mean = math.fsum(evals) / len(evals)
    logs = [math.log(x / mean) for x in evals[::-1]]
    return next(k for k in range(1, len(logs) + 1) if math.fsum(logs[:k]) < 0.0)


def vector() -> np.ndarray:
    """The specification's first test case: a 120 x 80 dense layer."""
    k = np.arange(1.0, 120 * 80 + 1)
    u, v, t = (np.modf(x)[0] for x in (k * 0.6180339887498949, k**2 * 0.41421356237309515, k * 0.7320508075688772))
    z = np.sqrt(-2 * np.log(np.maximum(u, 1e-12))) * np.cos(2 * np.pi * v)
    W = (0.05 * z * (1 + 2 * t**6)).astype(np.float32).reshape(120, 80)
    return np.sort(np.linalg.svd(W.astype(np.float64), compute_uv=False) ** 2)


def test_specified_vector():
    evals = vector()
    row = METHOD.run(esd(evals), Fit(Status.SUCCESS, alpha=6.459176375, xmin=1.071352021 - 1e-9), {})
    assert row["k_ERG"] == row["detX_num"] == row["num_ERG_spikes"] == 64
    assert row["ERG_gap"] == 64 - 15
    assert row["detX_val"] == evals[80 - 64]
    assert row["detX_val_unrescaled"] == pytest.approx(evals[80 - 64] * 80 / evals.sum(), rel=1e-12)


@pytest.mark.parametrize("K", [2, 3, 10, 200, 700])
@pytest.mark.parametrize("seed", range(5))
def test_equals_the_sum_written_out(K, seed):
    for evals in (noise(K, seed), np.sort(np.random.default_rng(seed).pareto(1.5, K) + 1e-9)):
        assert k_erg(evals) == by_hand(evals)


def test_large_layers_do_not_overflow():
    """K = 4096: the product of the leading mu passes 1e308, its logarithm does not."""
    evals = np.sort(np.random.default_rng(0).chisquare(1, 4096) ** 2)
    logs = np.log(evals[::-1] / evals.mean())
    assert np.cumsum(logs).max() > 709.8
    assert k_erg(evals) == by_hand(evals)


def test_scale_does_not_matter():
    evals = noise(64)
    assert {k_erg(evals * factor) for factor in (1e-60, 1.0, 1e60)} == {k_erg(evals)}


def test_a_zero_eigenvalue_ends_the_tail():
    assert k_erg(np.array([0.0, 0.0, 3.0, 3.0])) == 3
    assert k_erg(np.array([0.0, 5.0])) == 2


@pytest.mark.parametrize("evals", [np.zeros(5), np.ones(5), np.array([2.0]), np.empty(0)])
def test_without_a_spread_there_is_none(evals):
    assert k_erg(evals) is None
    assert set(METHOD.run(esd(evals), NO_FIT, {}).values()) == {None}


def test_a_failed_fit_leaves_only_the_gap_out():
    row = METHOD.run(esd(noise(50)), NO_FIT, {})
    assert row["ERG_gap"] is None
    assert [name for name, value in row.items() if value is None] == ["ERG_gap"]


def test_a_product_of_exactly_one_is_still_in_the_tail():
    assert k_erg(np.array([0.5, 0.5, 2.0])) == 3
