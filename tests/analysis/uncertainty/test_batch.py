"""The batched search against the plain one that evaluates every candidate, and against the fit of one spectrum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoospectra.analysis.powerlaw import fit_powerlaw
from zoospectra.analysis.records import Status
from zoospectra.analysis.uncertainty.batch import distances, lower_bounds, search, slopes


def plain(logs, min_tail=2):
    """(D, index, alpha) of one row by evaluating every candidate; None without a tail."""
    K, best = len(logs), None
    for i in range(K - min_tail + 1):
        n = K - i
        u = logs[i:] - logs[i]
        if (i and logs[i] == logs[i - 1]) or u.sum() <= 1e-12 * n:
            continue
        slope = n / u.sum()
        D = np.abs(1 - np.exp(-slope * u) - np.arange(n) / n).max()
        if best is None or best[0] - 1e-13 > D:
            best = (D, i, 1 + slope)
    return best


def check(logs, min_tail=2):
    found = search(logs, min_tail)
    for row, fit in enumerate(logs):
        expected = plain(fit, min_tail)
        assert found.has_tail[row] == (expected is not None)
        if expected is None:
            assert (found.D[row], found.alpha[row]) == (1.0, 1.0)
        else:
            assert found.D[row] == pytest.approx(expected[0], abs=1e-11)
            assert found.index[row] == expected[1]
            assert found.alpha[row] == pytest.approx(expected[2], rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    K=st.integers(2, 120),
    digits=st.sampled_from([1, 2, 15]),
    min_tail=st.sampled_from([2, 8, 50]),
)
def test_it_finds_what_the_full_search_finds(seed, K, digits, min_tail):
    rng = np.random.default_rng(seed)
    x = np.round(np.exp(rng.normal(0.0, 1.5, (6, K))), digits) + 0.05
    check(np.log(np.sort(x, axis=1)), min_tail)


def test_long_rows_go_through_every_stage_of_thinning():
    rng = np.random.default_rng(8)
    pareto = np.sort(rng.standard_exponential((2, 2500)), axis=1)
    check(pareto)
    mixed = np.sort(
        np.concatenate([np.log(rng.random((2, 1200))), rng.standard_exponential((2, 1300))], axis=1), axis=1
    )
    check(mixed)


def test_rows_do_not_depend_on_their_neighbours():
    rng = np.random.default_rng(9)
    logs = np.sort(rng.normal(0.0, 1.0, (400, 300)), axis=1)  # more than one block
    together = search(logs)
    for row in (0, 217, 218, 219, 399):
        alone = search(logs[row : row + 1])
        assert (together.D[row], together.index[row], together.alpha[row]) == (
            alone.D[0],
            alone.index[0],
            alone.alpha[0],
        )


@pytest.mark.parametrize("K", [20, 144, 768, 2000])
def test_it_is_the_weightwatcher_rule_for_untied_data(K):
    for seed in range(5):
        x = np.sort(np.random.default_rng(seed).lognormal(0.0, 1.2, K))
        one, many = fit_powerlaw(x), search(np.log(x)[None, :])
        assert one.status is Status.SUCCESS
        assert many.alpha[0] == pytest.approx(one.alpha, rel=1e-9)
        assert many.D[0] == pytest.approx(one.D, abs=1e-11)
        assert x[many.index[0]] == one.xmin


def test_bounds_are_below_the_distances():
    logs = np.sort(np.random.default_rng(4).normal(0.0, 1.0, (1, 400)), axis=1)
    slope, first = slopes(logs), np.arange(399)
    row = np.zeros_like(first)
    exact = distances(logs, slope, row, first)
    for m in (8, 32, 512):
        assert (lower_bounds(logs, slope, row, first, m) <= exact + 1e-12).all()
    np.testing.assert_allclose(lower_bounds(logs, slope, row, first, 512), exact, atol=1e-12)


@pytest.mark.parametrize("logs", [np.zeros((3, 40)), np.zeros((2, 2)), np.full((1, 9), 700.0)])
def test_constant_rows_have_no_tail(logs):
    found = search(logs)
    assert not found.has_tail.any()
    assert (found.D == 1.0).all()


@pytest.mark.parametrize(("logs", "min_tail"), [(np.zeros(5), 2), (np.zeros((4, 1)), 2), (np.zeros((4, 5)), 1)])
def test_misuse_is_refused(logs, min_tail):
    with pytest.raises(ValueError, match="expected"):
        search(logs, min_tail)
