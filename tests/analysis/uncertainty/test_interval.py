"""Coverage of the intervals on tails of known exponent."""

import math

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.uncertainty.batch import search
from zoospectra.analysis.uncertainty.interval import known, searched

ALPHA = 2.5


@pytest.mark.parametrize(("n", "level"), [(5, 0.95), (40, 0.95), (40, 0.8), (400, 0.95)])
def test_the_interval_for_a_known_start_covers_as_stated(n, level):
    rng = np.random.default_rng(n)
    held = 0
    for _ in range(3000):
        found = known(np.sort((1.0 - rng.random(n)) ** (-1 / (ALPHA - 1)) * 0.2), 0.2, level)
        held += found.low <= ALPHA <= found.high
    assert held / 3000 == pytest.approx(level, abs=0.02)


def coverage(sampler, K, share, samples, replicates):
    alpha, start = 0, 0
    for seed in range(samples):
        found = searched(sampler(seed, K, share), replicates, seed)
        alpha += found.alpha.low <= ALPHA <= found.alpha.high
        start += found.xmin.low <= 1.0 <= found.xmin.high
    return alpha / samples, start / samples


def test_the_bootstrap_covers_when_xmin_is_searched(body_and_tail):
    alpha, start = coverage(body_and_tail, 400, 0.3, 120, 100)
    assert 0.90 <= alpha <= 1.0
    assert 0.88 <= start <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("K", "share"), [(500, 0.3), (300, 0.5)])
def test_the_bootstrap_covers_when_xmin_is_searched_at_length(K, share, body_and_tail):
    alpha, start = coverage(body_and_tail, K, share, 600, 300)
    assert 0.93 <= alpha <= 0.99
    assert 0.93 <= start <= 1.0


def test_interval_holds_the_estimate_and_narrows_with_the_sample(body_and_tail):
    wide, narrow = searched(body_and_tail(1, 300), 300, 0), searched(body_and_tail(1, 4800), 300, 0)
    assert narrow.alpha.high - narrow.alpha.low < 0.5 * (wide.alpha.high - wide.alpha.low)
    assert narrow.xmin.high - narrow.xmin.low < wide.xmin.high - wide.xmin.low


def test_ends_of_xmin_are_data_and_the_seed_decides(body_and_tail):
    x = body_and_tail(7, 250)
    found = searched(x, 150, 3)
    assert found.xmin.low in x
    assert found.xmin.high in x
    assert found == searched(x, 150, 3)
    assert found != searched(x, 150, 4)


def test_every_value_is_drawn():
    x = np.sort((1.0 - np.random.default_rng(0).random(12)) ** (-1 / 1.5))
    found = searched(x, 1000, 0, level=0.99)  # a law from the first value on: most resamples start there
    assert found.xmin.low == x[0]
    assert found.replicates <= 1000


@pytest.mark.parametrize("x", [np.ones(50), np.arange(1.0, 5.0), np.array([])], ids=["constant", "few", "none"])
def test_nothing_to_fit_is_none(x):
    assert searched(x, 10, 0) is None
    assert known(np.ones(9), 1.0) is None


def test_misuse_is_refused():
    x = np.arange(1.0, 50.0)
    with pytest.raises(ValueError, match="replicates"):
        searched(x, 0, 0)
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="level"):
            searched(x, 10, 0, level)
        with pytest.raises(ValueError, match="level"):
            known(x, 1.0, level)


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_resamples_one_by_one(level, body_and_tail):
    """The draws that the seed stands for; percentiles of alpha, and values of x for xmin."""
    x = body_and_tail(3, 30)
    chosen = np.sort(np.random.default_rng((2, 11)).integers(0, 30, (80, 30)), axis=1)
    fits = [search(np.log(x[row])[None]) for row in chosen]
    alphas = [fit.alpha[0] for fit in fits]
    starts = [x[row[fit.index[0]]] for row, fit in zip(chosen, fits, strict=True)]
    found, side = searched(x, 80, 11, level), (1 - level) / 2
    assert (found.alpha.low, found.alpha.high) == pytest.approx(tuple(np.quantile(alphas, [side, 1 - side])))
    ordered = sorted(starts)
    ends = [ordered[math.ceil(80 * share) - 1] for share in (side, 1 - side)]
    assert [found.xmin.low, found.xmin.high] == ends
    assert found.replicates == 80
    assert searched(x, 5, 0) == searched(x, 5, 0, 0.95)


def test_the_exact_interval_is_that_of_a_gamma_law():
    x = np.sort(np.random.default_rng(1).pareto(1.5, 12) + 1) * 0.3
    S = np.log(x / 0.3).sum()
    for level in (0.95, 0.6):
        low, high = (1 + stats.gamma.ppf(share, 12) / S for share in ((1 - level) / 2, (1 + level) / 2))
        assert (known(x, 0.3, level).low, known(x, 0.3, level).high) == pytest.approx((low, high))
    assert known(x, 0.3) == known(x, 0.3, 0.95)
    assert searched(x, 1, 0).replicates == 1
