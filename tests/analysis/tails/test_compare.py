"""The test between two laws and the choice among five, on data of known origin."""

import numpy as np
import pytest

from zoospectra.analysis.tails.compare import contest
from zoospectra.analysis.tails.vuong import ratio


def test_the_law_that_made_the_data_is_chosen(tails):
    chosen = {name: contest(x, float(x[0])).best for name, x in tails.items()}
    assert chosen["pareto alpha 3"] == chosen["pareto alpha 1.5"] == chosen["pareto alpha 6"] == "power_law"
    assert chosen["exponential"] == "exponential"
    assert chosen["truncated alpha 2 Lambda 0.05"] == "truncated_power_law"
    assert chosen["uniform"] == "stretched_exponential"  # none is right; the steepest edge is the nearest


def test_power_law_is_seldom_rejected_when_it_is_true():
    rejected = 0
    for seed in range(200):
        x = np.sort((1.0 - np.random.default_rng(seed).random(150)) ** (-1 / 2.0))
        rejected += contest(x, 1.0).best != "power_law"
    assert 2 <= rejected <= 40


def test_exchanging_the_laws_changes_only_the_sign():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=40), rng.normal(size=40)
    there, back = ratio(first, second, nested=False), ratio(second, first, nested=False)
    assert pytest.approx(-there.R) == back.R
    assert back.p == pytest.approx(there.p)


def test_identical_laws_are_not_told_apart():
    same = np.linspace(-3.0, -1.0, 20)
    for nested in (False, True):
        result = ratio(same, same + 1e-16, nested)
        assert (result.R, result.p) == (0.0, 1.0)


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="same tail"):
        ratio(np.zeros(3), np.zeros(4), nested=False)


def test_no_tail_no_contest():
    assert contest(np.ones(30), 1.0) is None
    assert contest(np.array([1.0, 2.0]), 1.0) is None
