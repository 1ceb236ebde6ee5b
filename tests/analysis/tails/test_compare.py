"""The test between two laws and the choice among five, on data of known origin."""

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.tails import compare
from zoospectra.analysis.tails.compare import contest
from zoospectra.analysis.tails.vuong import Comparison, ratio


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


@pytest.mark.parametrize("n", [1, 2, 30])
def test_the_ratio_by_its_formula(n: int) -> None:
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=(2, n))
    d = first - second
    for nested in (False, True):
        found = ratio(first, second, nested)
        if n == 1:
            assert (found.R, found.p) == (0.0, 1.0)
            continue
        assert pytest.approx(d.sum() / (np.sqrt(n) * d.std())) == found.R
        assert found.p == pytest.approx(
            stats.chi2.sf(2 * abs(d.sum()), 1) if nested else 2 * stats.norm.sf(abs(found.R))
        )
    for empty in (np.zeros(0), np.ones(3)):
        assert ratio(empty, empty, nested=True) == ratio(empty, empty, nested=False)
    opposite = ratio(np.array([1.0, -1.0]), np.array([-1.0, 1.0]), nested=False)
    assert (opposite.R, opposite.p) == (0.0, 1.0)
    with pytest.raises(ValueError, match="two vectors"):
        ratio(np.zeros((2, 2)), np.zeros((2, 2)), nested=False)


@pytest.mark.parametrize("seed", range(30))
def test_the_best_law_by_its_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [1 + rng.exponential(2.0, 40), np.exp(rng.normal(1, 0.7, 40)), 1 + rng.random(40), rng.pareto(2, 40) + 1]
    x = np.sort(kinds[seed % 4])
    found = contest(x, float(x[0]))
    free = {"truncated_power_law": 2, "exponential": 1, "stretched_exponential": 2, "lognormal": 2}
    better = [name for name in free if found.against[name].R < 0 and found.against[name].p <= 0.05]
    aic = {name: 2 * free[name] - 2 * found.fits[name].loglikelihood for name in better}
    assert found.best == (min(aic, key=aic.get) if aic else "power_law")
    assert {name: found.fits[name].law for name in free} == {name: name for name in free}


def test_a_preference_counts_up_to_its_level() -> None:
    fits = contest(np.sort(1 + np.random.default_rng(0).random(40)), 1.0).fits
    for p, best in ((0.05, "exponential"), (0.0501, "power_law")):
        against = {name: Comparison(-2.0 if name == "exponential" else 2.0, p) for name in fits}
        assert compare.best_of(fits, against) == best
    assert compare.best_of(fits, {name: Comparison(0.0, 0.01) for name in fits}) == "power_law"
