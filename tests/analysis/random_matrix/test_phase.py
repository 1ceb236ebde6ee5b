"""Synthetic matrices of every phase get its label."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.metrics.phase import METHOD
from zoospectra.analysis.records import Fit, Status


def noise(rng, N, M):
    return rng.standard_normal((N, M))


def signals(rank, strength):
    def make(rng, N, M):
        u, v = (np.linalg.qr(rng.standard_normal((side, rank)))[0] for side in (N, M))
        return rng.standard_normal((N, M)) + strength * (N * M) ** 0.25 * u @ v.T

    return make


def pareto_entries(mu):
    def make(rng, N, M):
        return (1 - rng.random((N, M))) ** (-1 / mu) * rng.choice([-1, 1], (N, M))

    return make


def column_scales(power):
    """Columns of variance i^(-2 power): a covariance that decays, weakly enough to leave no power law."""

    def make(rng, N, M):
        return rng.standard_normal((N, M)) * np.arange(1.0, M + 1) ** -power

    return make


def lognormal_scales(width):
    def make(rng, N, M):
        return rng.standard_normal((N, M)) * np.exp(width * rng.standard_normal(M))

    return make


def low_rank(share):
    def make(rng, N, M):
        rank = int(share * M)
        return (rng.standard_normal((N, rank)) @ rng.standard_normal((rank, M))).astype(np.float32)

    return make


CASES = [
    ("random-like", noise),
    ("random-like", lambda rng, N, M: rng.uniform(-1, 1, (N, M))),
    ("random-like", lambda rng, N, M: rng.standard_t(8, (N, M))),
    ("random-like", signals(3, 0.5)),
    ("bulk+spikes", signals(1, 2.5)),
    ("bulk+spikes", signals(5, 2.0)),
    ("bulk+spikes", signals(12, 4.0)),
    ("heavy-tailed", pareto_entries(1.0)),
    ("heavy-tailed", pareto_entries(1.5)),
    ("heavy-tailed", pareto_entries(2.0)),
    ("heavy-tailed", column_scales(0.5)),
    ("bulk-decay", column_scales(0.2)),
    ("bulk-decay", lognormal_scales(0.3)),
    ("rank-collapse", low_rank(0.5)),
    ("rank-collapse", low_rank(0.85)),
    ("rank-collapse", lambda rng, N, M: np.outer(rng.standard_normal(N), rng.standard_normal(M))),
]


@pytest.mark.parametrize(("N", "M"), [(300, 300), (600, 300)])
@pytest.mark.parametrize(("label", "make"), CASES, ids=[f"{label}-{i}" for i, (label, _) in enumerate(CASES)])
def test_every_phase_is_recognised(label, make, N, M, esd_of, fit_of):
    found = []
    for seed in range(4):
        esd = esd_of(make(np.random.default_rng([seed, N]), N, M))
        found.append(METHOD.run(esd, fit_of(esd.evals), {})["phase"])
    # A tail of a few dozen points is sometimes taken for the neighbouring phase: three of four seeds must agree.
    assert found.count(label) >= 3, found


@pytest.mark.parametrize("strength", [1.3, 1.35])
def test_a_signal_just_above_the_threshold_bleeds_out(strength, esd_of, fit_of):
    found = []
    for seed in range(12):
        esd = esd_of(signals(3, strength)(np.random.default_rng(seed), 500, 300))
        found.append(METHOD.run(esd, fit_of(esd.evals), {})["phase"])
    assert found.count("bleeding-out") >= 9, found


def test_phases_follow_the_strength_of_one_signal(esd_of, fit_of):
    def at(strength):
        esd = esd_of(signals(2, strength)(np.random.default_rng(0), 500, 300))
        return METHOD.run(esd, fit_of(esd.evals), {})["phase"]

    assert [at(s) for s in (0.0, 1.35, 3.0)] == ["random-like", "bleeding-out", "bulk+spikes"]


def test_zero_share_counts_the_missing_rank(esd_of):
    W = np.random.default_rng(1).standard_normal((200, 60)) @ np.random.default_rng(2).standard_normal((60, 80))
    row = METHOD.run(esd_of(W), Fit(Status.TOO_FEW), {})
    assert row["zero_share"] == pytest.approx(20 / 80)
    assert row["phase"] == "rank-collapse"


def test_one_lost_direction_is_no_collapse(esd_of):
    W = np.random.default_rng(1).standard_normal((200, 80))
    centred = W - W.mean(axis=1, keepdims=True)
    row = METHOD.run(esd_of(centred), Fit(Status.TOO_FEW), {})
    assert row["zero_share"] == pytest.approx(1 / 80)
    assert row["phase"] == "random-like"


def test_orthogonal_weights_have_no_phase(esd_of):
    W = np.linalg.qr(np.random.default_rng(0).standard_normal((200, 100)))[0]
    assert METHOD.run(esd_of(W), Fit(Status.DEGENERATE), {})["phase"] is None


def test_small_layers_have_no_phase_unless_asked(esd_of):
    esd = esd_of(np.random.default_rng(0).standard_normal((60, 40)))
    assert METHOD.run(esd, Fit(Status.TOO_FEW), {})["phase"] is None
    assert METHOD.run(esd, Fit(Status.TOO_FEW), {"min_evals": 20})["phase"] == "random-like"


def test_without_a_fit_nothing_is_heavy_tailed(esd_of):
    esd = esd_of(pareto_entries(1.5)(np.random.default_rng(0), 300, 300))
    assert METHOD.run(esd, Fit(Status.TOO_FEW), {})["phase"] == "bulk-decay"


def test_the_bound_on_alpha_is_an_option(esd_of, fit_of):
    esd = esd_of(pareto_entries(1.5)(np.random.default_rng(0), 300, 300))
    fit = fit_of(esd.evals)
    assert METHOD.run(esd, fit, {})["phase"] == "heavy-tailed"
    assert METHOD.run(esd, fit, {"heavy_alpha": fit.alpha - 0.01})["phase"] == "bulk-decay"


@pytest.mark.parametrize(("rank", "collapsed"), [(72, True), (73, False)])
def test_a_tenth_of_the_rank_is_the_bound(rank, collapsed, esd_of):
    W = np.random.default_rng(1).standard_normal((200, rank)) @ np.random.default_rng(2).standard_normal((rank, 80))
    assert (METHOD.run(esd_of(W), Fit(Status.TOO_FEW), {})["phase"] == "rank-collapse") == collapsed
