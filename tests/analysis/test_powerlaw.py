"""The pruned search against brute force, and the fits against known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoospectra.analysis.powerlaw import RULES, curve, fit_powerlaw
from zoospectra.analysis.records import Status
from zoospectra.analysis.rounding import FLAT

FAMILIES = (
    "pareto",
    "lognormal",
    "uniform",
    "ties",
    "integers",
    "near_constant",
    "geometric",
    "two_values",
    "bulk_and_spikes",
)


def sample(family: str, K: int, seed: int, decade: int) -> np.ndarray:
    """(K,) positive, sorted values of a family, scaled by a power of ten."""
    rng = np.random.default_rng(seed)
    x = {
        "pareto": lambda: 1 + rng.pareto(rng.uniform(0.3, 8), K),
        "lognormal": lambda: np.exp(rng.normal(size=K) * rng.uniform(0.1, 4)),
        "uniform": lambda: rng.uniform(0.1, 4, K),
        "ties": lambda: np.round(1 + rng.pareto(1.5, K), 1),
        "integers": lambda: rng.integers(1, 4, K).astype(float),
        "near_constant": lambda: 1 + 1e-9 * rng.random(K),
        "geometric": lambda: 1.01 ** np.arange(K),
        "two_values": lambda: np.where(np.arange(K) < K // 2, 1.0, 3.0),
        "bulk_and_spikes": lambda: np.append(rng.uniform(0.5, 2, K - K // 20), 3 * (1 + rng.pareto(2, K // 20))),
    }[family]()
    return np.sort(x) * 10.0**decade


def equal(a: float, b: float) -> bool:
    """Whether two values differ by rounding only."""
    return math.log1p((b - a) / a) <= FLAT


def brute(x: np.ndarray, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and distances of every index, by the definition and by powers; distance 1 where there is no
    candidate.
    """
    K = len(x)
    alphas, D = np.full(K - 1, np.nan), np.ones(K - 1)
    for i in range(K - 1):
        ratio, n = x[i:] / x[i], K - i
        S = np.sum(np.log1p((x[i:] - x[i]) / x[i]))
        small = rule == "weightwatcher" and K < 20
        tied = i > 0 and equal(x[i - 1], x[i]) and rule != "weightwatcher"
        short = (small and n < 8 and i > 0) or (rule == "corrected" and n < 8)
        if equal(x[i], x[-1]) or tied or short:
            continue
        alphas[i] = 1 + (n - int(small)) / S
        cdf = (
            1 - ratio ** (1 - alphas[i])
            if alphas[i] < 1e6
            else -np.expm1((1 - alphas[i]) * np.log1p((x[i:] - x[i]) / x[i]))
        )
        if rule == "natcomm2021":
            cdf = cdf / cdf[-1]
        D[i] = np.max(np.abs(cdf - np.arange(n) / n))
        if rule == "corrected":
            alphas[i] = 1 + (n - 2) / S
    return alphas, D


sizes = st.one_of(st.integers(1, 64), st.integers(1, 3000))


@pytest.mark.parametrize("rule", RULES)
@given(family=st.sampled_from(FAMILIES), K=sizes, seed=st.integers(0, 2**32 - 1), decade=st.integers(-200, 200))
@settings(max_examples=70, deadline=None)
def test_the_search_is_brute_force(rule, family, K, seed, decade) -> None:
    x = sample(family, K, seed, decade)
    fit = fit_powerlaw(x, rule)
    if K == 1 or (rule == "corrected" and K < 8 and not equal(x[0], x[-1])):
        assert fit.status is Status.TOO_FEW
        return
    alphas, D = brute(x, rule)
    if D.min() >= 1:
        assert fit.status is Status.DEGENERATE
        return
    assert fit.status is Status.SUCCESS
    best = int(D.argmin())
    chosen = int(np.searchsorted(x, fit.xmin)) if rule != "weightwatcher" else K - fit.n_tail
    # Another index only where the two distances differ by rounding.
    assert chosen == best or D[chosen] - D[best] < 1e-11
    assert x[chosen] == fit.xmin
    assert pytest.approx(D[chosen], abs=1e-11) == fit.D
    assert fit.alpha == pytest.approx(alphas[chosen], rel=1e-9)
    assert fit.sigma == pytest.approx((alphas[chosen] - 1) / math.sqrt(K - chosen), rel=1e-9)
    assert fit.xmax == x[-1]
    assert fit.n_tail == K - chosen


@pytest.mark.parametrize("rule", RULES)
@given(family=st.sampled_from(FAMILIES), K=sizes, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_search_takes_the_first_of_the_smallest(rule, family, K, seed) -> None:
    """To the bit: the pruned search and the full curve share their arithmetic, so ties must fall the same way."""
    x = sample(family, K, seed, 0)
    found = curve(x, rule)
    fit = fit_powerlaw(x, rule)
    if not len(found.D):
        assert fit.alpha is None
        return
    first = int(found.D.argmin())
    assert (fit.alpha, fit.xmin, fit.D, fit.n_tail) == (
        found.alpha[first],
        found.xmin[first],
        found.D[first],
        found.n_tail[first],
    )


@pytest.mark.parametrize("K", [5000, 30000])
@pytest.mark.parametrize("family", ["pareto", "lognormal", "ties"])
def test_long_tails_are_evaluated_by_blocks_with_the_same_result(family, K) -> None:
    x = sample(family, K, 7, 0)
    fit = fit_powerlaw(x)
    step = max(1, K // 300)
    some = sorted({*range(0, K - 1, step), K - fit.n_tail})
    for i in some:
        slope, n = (K - i) / np.log(x[i:] / x[i]).sum(), K - i
        D = np.abs(1 - (x[i:] / x[i]) ** -slope - np.arange(n) / n).max()
        assert fit.D <= D + 1e-12
    assert pytest.approx(fit.D, abs=1e-12) == D or i != K - fit.n_tail


def test_a_million_values_are_fitted() -> None:
    x = sample("bulk_and_spikes", 1_000_000, 11, 0)
    fit = fit_powerlaw(x)
    assert fit.status is Status.SUCCESS
    assert fit.alpha == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("rule", RULES)
def test_failures_are_data(rule) -> None:
    assert fit_powerlaw(np.zeros(0), rule).status is Status.TOO_FEW
    assert fit_powerlaw(np.ones(1), rule).status is Status.TOO_FEW
    for constant in (np.ones(9), np.full(500, 1e-300), np.full(500, 1e300), 1 + 1e-15 * np.arange(30)):
        fit = fit_powerlaw(constant, rule)
        assert fit.status is Status.DEGENERATE
        assert (fit.alpha, fit.xmin, fit.D) == (None, None, None)


@pytest.mark.parametrize("rule", RULES)
def test_extreme_ranges_stay_finite(rule) -> None:
    x = np.sort(np.concatenate([np.geomspace(5e-324, 1e308, 40), np.geomspace(1, 2, 40)]))
    fit = fit_powerlaw(x, rule)
    assert fit.status is Status.SUCCESS
    assert all(math.isfinite(value) for value in (fit.alpha, fit.D, fit.sigma, fit.xmin))


@pytest.mark.parametrize(
    "bad",
    [
        np.array([0.0, 1.0]),
        np.array([-1.0, 1.0]),
        np.array([2.0, 1.0]),
        np.array([1.0, np.inf]),
        np.array([1.0, np.nan, 2.0]),
        np.ones((2, 2)),
    ],
)
def test_misuse_is_refused(bad) -> None:
    with pytest.raises(ValueError, match="sorted vector of positive finite"):
        fit_powerlaw(bad)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match="corrected, natcomm2021, weightwatcher"):
        fit_powerlaw(np.ones(3), "nonsense")
    with pytest.raises(ValueError, match="min_tail"):
        fit_powerlaw(np.ones(3), "corrected", minimum=3)
    with pytest.raises(ValueError, match="must exceed"):
        fit_powerlaw(sample("pareto", 50, 0, 0), "corrected", min_tail=2)


def test_the_smallest_tail_has_a_fit_and_one_value_less_has_none() -> None:
    x = sample("pareto", 50, 0, 0)
    assert fit_powerlaw(x[:8], "corrected", min_tail=8).alpha is not None
    assert fit_powerlaw(x[:7], "corrected", min_tail=8).alpha is None


@pytest.mark.parametrize("K", [16, 100])
def test_the_corrected_exponent_is_free_of_bias(K) -> None:
    """Exact Pareto data as one tail: the mean over 4000 samples is alpha, where the other rules are high by n / (n
    - 2).
    """
    alpha, rng = 3.0, np.random.default_rng(2)
    found = {"corrected": [], "natcomm2021": []}
    for _ in range(4000):
        x = np.sort((1 - rng.random(K)) ** (-1 / (alpha - 1)))
        for rule, values in found.items():
            values.append(
                curve(x, rule, **({"min_tail": K} if rule == "corrected" else {})).alpha[0]
                if rule == "corrected"
                else 1 + K / np.log(x / x[0]).sum()
            )
    error = 4 * (alpha - 1) / math.sqrt((K - 3) * 4000)
    assert np.mean(found["corrected"]) == pytest.approx(alpha, abs=error)
    assert np.mean(found["natcomm2021"]) == pytest.approx(1 + (alpha - 1) * K / (K - 2), abs=error)


def test_the_corrected_rule_has_no_jump_at_twenty() -> None:
    """One value less changes alpha by its own information, not by another estimator."""
    x = np.sort(1.5 ** np.arange(20.0))
    whole, less = (curve(part, "corrected").alpha[0] for part in (x, x[:19]))
    assert abs(whole - less) / whole < 0.05


def test_the_corrected_rule_is_better_on_a_bulk_with_a_known_tail() -> None:
    """A uniform bulk below 1 and a Pareto tail with alpha 3.5 above: smaller bias and smaller error, same data."""
    rng = np.random.default_rng(0)
    found = {"weightwatcher": [], "corrected": []}
    for _ in range(300):
        x = np.sort(np.concatenate([rng.uniform(0.05, 1, 116), (1 - rng.random(28)) ** (-1 / 2.5)]))
        for rule, values in found.items():
            values.append(fit_powerlaw(x, rule).alpha - 3.5)
    bias = {rule: np.mean(values) for rule, values in found.items()}
    error = {rule: np.sqrt(np.mean(np.square(values))) for rule, values in found.items()}
    assert abs(bias["corrected"]) < 0.6 * abs(bias["weightwatcher"])
    assert error["corrected"] < 0.95 * error["weightwatcher"]


def test_alpha_does_not_depend_on_the_unit() -> None:
    x = sample("lognormal", 300, 4, 0)
    for rule in RULES:
        assert fit_powerlaw(x * 2.0**-40, rule).alpha == fit_powerlaw(x, rule).alpha
