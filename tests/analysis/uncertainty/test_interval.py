"""Coverage of the intervals on tails of known exponent."""

import numpy as np
import pytest

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
