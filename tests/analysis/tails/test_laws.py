"""Each law: recovery of what generated the data, first-order optimality, scale, limits, degenerate tails."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

from zoospectra.analysis.tails import exponential, lognormal, power_law, stretched, truncated
from zoospectra.analysis.tails.tail import TailFit

LAWS = [power_law, truncated, exponential, stretched, lognormal]


def name(law):
    return law.LAW


@pytest.mark.parametrize("law", LAWS, ids=name)
def test_density_integrates_to_one(law, tails):
    x = tails["truncated alpha 2 Lambda 0.05"]
    tail = law.fit(x, float(x[0]))
    edges = np.geomspace(tail.xmin, 1e9 * tail.xmin, 60)
    total = sum(
        quad(lambda v: v * np.exp(law.loglikelihoods(np.exp(np.array([v])), tail)[0]) / v * np.exp(v), a, b)[0]
        for a, b in zip(np.log(edges[:-1]), np.log(edges[1:]), strict=True)
    )
    missing = (edges[-1] / tail.xmin) ** (1 - tail.parameters["alpha"]) if law is power_law else 0.0
    assert total + missing == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("law", LAWS, ids=name)
def test_loglikelihood_is_the_sum_over_values(law, tails):
    for x in tails.values():
        tail = law.fit(x, float(x[0]))
        assert law.loglikelihoods(x, tail).sum() == pytest.approx(tail.loglikelihood, rel=1e-10)


@pytest.mark.parametrize("law", LAWS, ids=name)
@pytest.mark.parametrize("power", [-60, 60])
def test_unit_of_x_only_rescales(law, power, tails):
    scale = 2.0**power
    for x in tails.values():
        here, there = law.fit(x, float(x[0])), law.fit(x * scale, float(x[0]) * scale)
        assert there.loglikelihood == pytest.approx(here.loglikelihood - len(x) * np.log(scale), rel=1e-9)
        for key, value in here.parameters.items():
            unit = {"Lambda": value / scale, "mu": value + np.log(scale)}.get(key, value)
            assert there.parameters[key] == pytest.approx(unit, rel=1e-6, abs=1e-9)


def moved(tail, key, factor):
    parameters = dict(tail.parameters)
    parameters[key] *= factor
    return TailFit(tail.law, tail.xmin, tail.n, parameters, 0.0)


@pytest.mark.parametrize("law", LAWS, ids=name)
def test_no_neighbour_has_a_higher_likelihood(law, tails):
    for x in tails.values():
        tail = law.fit(x, float(x[0]))
        if tail.limit_alpha is not None:
            continue
        for key, value in tail.parameters.items():
            for factor in (1 - 1e-4, 1 + 1e-4):
                if law is truncated and key == "alpha" and value * factor < 1.0:
                    continue
                assert law.loglikelihoods(x, moved(tail, key, factor)).sum() <= tail.loglikelihood + 1e-9


def test_truncated_power_law_recovers_its_parameters():
    rng = np.random.default_rng(5)
    x = (1.0 - rng.random(400_000)) ** -1.0
    x = np.sort(x[rng.random(len(x)) < np.exp(-0.05 * (x - 1.0))])
    tail = truncated.fit(x, 1.0)
    assert tail.parameters["alpha"] == pytest.approx(2.0, abs=0.02)
    assert tail.parameters["Lambda"] == pytest.approx(0.05, abs=0.003)


def test_lognormal_and_stretched_recover_their_parameters():
    rng = np.random.default_rng(6)
    x = np.exp(rng.normal(0.3, 0.8, 200_000))
    tail = lognormal.fit(np.sort(x[x > 1.0]), 1.0)
    assert tail.parameters["mu"] == pytest.approx(0.3, abs=0.03)
    assert tail.parameters["sigma"] == pytest.approx(0.8, abs=0.02)
    x = rng.weibull(0.5, 400_000) / 2.0
    tail = stretched.fit(np.sort(x[x > 0.5]), 0.5)
    assert tail.parameters["beta"] == pytest.approx(0.5, abs=0.03)
    assert tail.parameters["Lambda"] == pytest.approx(2.0, rel=0.2)


def test_exponential_and_power_law_are_their_closed_forms():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert power_law.fit(x, 1.0).parameters["alpha"] == pytest.approx(1 + 4 / (6 * np.log(2)))
    assert exponential.fit(x, 1.0).parameters["Lambda"] == pytest.approx(4 / 11)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 60), shape=st.floats(0.1, 20.0), bend=st.floats(0.2, 4.0))
def test_families_that_contain_the_power_law_never_fall_below_it(seed, n, shape, bend):
    u = np.random.default_rng(seed).exponential(1.0, n) ** bend / shape
    x = np.sort(np.exp(np.minimum(u, 200.0)))
    base = power_law.fit(x, 1.0)
    for law in (truncated, stretched, lognormal):
        tail = law.fit(x, 1.0)
        if base is None:
            assert tail is None
        else:
            assert tail.loglikelihood >= base.loglikelihood - 1e-7
            assert all(np.isfinite(value) for value in tail.parameters.values())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(5, 60), bend=st.floats(0.3, 3.0))
def test_no_start_of_a_general_optimiser_finds_a_higher_likelihood(seed, n, bend):
    x = np.sort(np.exp(np.random.default_rng(seed).exponential(1.0, n) ** bend))
    for law, keys, starts in [
        (truncated, ("alpha", "Lambda"), [(1.5, -1.0), (3.0, -6.0)]),
        (lognormal, ("mu", "sigma"), [(0.0, 0.0), (-3.0, 1.0), (1.0, -1.0)]),
        (stretched, ("Lambda", "beta"), [(0.0, 0.0), (2.0, -1.5), (-2.0, 0.7)]),
    ]:
        best = law.fit(x, 1.0).loglikelihood

        def cost(theta, law=law, keys=keys):
            first = theta[0] if law is not stretched else np.exp(min(theta[0], 700.0))
            second = np.exp(min(theta[1], 700.0))
            if not (first >= 1.0 if law is truncated else first > -1e3) or not 1e-9 < second < 1e9:
                return 1e12
            with np.errstate(all="ignore"):
                value = law.loglikelihoods(
                    x, TailFit(law.LAW, 1.0, n, dict(zip(keys, (first, second), strict=True)), 0.0)
                ).sum()
            return -value if np.isfinite(value) else 1e12

        for start in starts:
            assert -minimize(cost, start, method="Nelder-Mead").fun <= best + 1e-6 * max(1.0, abs(best))


@pytest.mark.parametrize("law", [truncated, stretched, lognormal], ids=name)
def test_a_tail_heavier_than_any_power_law_gives_the_power_law(law):
    x = np.exp(np.linspace(0.01, 1.0, 50) ** 3 * 9 + np.eye(50)[49] * 20)
    x = np.sort(x)
    tail, base = law.fit(x, 1.0), power_law.fit(x, 1.0)
    if law is truncated:  # alpha_PL < 2: a cut-off always helps a little
        assert base.parameters["alpha"] < 2
        assert tail.parameters["Lambda"] < 1e-6
    else:
        assert tail.limit_alpha == pytest.approx(base.parameters["alpha"])
        assert tail.loglikelihood == pytest.approx(base.loglikelihood)
        np.testing.assert_allclose(law.loglikelihoods(x, tail), power_law.loglikelihoods(x, base))


def test_truncated_law_without_cut_off_is_the_power_law():
    x = np.r_[np.exp(np.linspace(0.0, 0.6, 60)), 60.0]
    tail, base = truncated.fit(x, 1.0), power_law.fit(x, 1.0)
    assert base.parameters["alpha"] > 2
    assert tail.parameters == {"alpha": base.parameters["alpha"], "Lambda": 0.0}
    np.testing.assert_allclose(truncated.loglikelihoods(x, tail), power_law.loglikelihoods(x, base))


def test_lifting_the_bound_on_alpha_finds_the_gamma_law():
    x = np.sort(1e-6 + np.random.default_rng(2).gamma(3.0, 1.0, 20_000))
    x = x[x > 0.2]
    free = truncated.fit(x, 0.2, alpha_min=-np.inf)
    assert free.parameters["alpha"] == pytest.approx(-2.0, abs=0.1)
    assert free.parameters["Lambda"] == pytest.approx(1.0, abs=0.03)
    assert truncated.fit(x, 0.2).parameters["alpha"] == 1.0


@pytest.mark.parametrize("law", LAWS, ids=name)
@pytest.mark.parametrize("x", [[], [2.0], [1.0, 2.0], [1.0] * 9, [3.0] * 9, [2.0, 2.0, 2.0 + 1e-12]], ids=str)
def test_a_tail_without_shape_gives_none(law, x):
    assert law.fit(np.array(x), 1.0) is None


@pytest.mark.parametrize("law", LAWS, ids=name)
@pytest.mark.parametrize(
    "x",
    [
        [1.0, 1.0, 1.0, 2.0],
        [1e-300, 1e-290, 1e-280, 1e-10],
        [1.0, 1e100, 1e200, 1e300],
        [5e-324, 1e-300, 1.0, 1e300],
        [1.0, 1.0 + 1e-8, 1.0 + 2e-8, 1.0 + 5e-8],
    ],
    ids=str,
)
def test_extreme_tails_give_finite_numbers_and_no_warning(law, x):
    x = np.array(x)
    tail = law.fit(x, float(x[0]))
    assert tail is None or np.isfinite([tail.loglikelihood, *tail.parameters.values()]).all()


@pytest.mark.parametrize("law", LAWS, ids=name)
@pytest.mark.parametrize(
    ("x", "xmin"),
    [
        ([3.0, 2.0, 4.0], 1.0),
        ([0.5, 2.0, 3.0], 1.0),
        ([1.0, 2.0, np.inf], 1.0),
        ([1.0, 2.0, 3.0], 0.0),
        ([[1.0, 2.0]], 1.0),
    ],
    ids=str,
)
def test_misuse_is_refused(law, x, xmin):
    with pytest.raises(ValueError, match="expected"):
        law.fit(np.array(x), xmin)
