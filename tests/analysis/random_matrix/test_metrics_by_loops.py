"""Metrics of a spectrum by loops over their words, exactly at their bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from zoospectra.analysis.marchenko_pastur import Bulk, fit_bulk
from zoospectra.analysis.metrics import alpha_norms, e_tpl, erg, fingers, hill, norms, norms_2021, phase, randomized
from zoospectra.analysis.metrics.peak import peak
from zoospectra.analysis.records import Fit, Status
from zoospectra.analysis.tails import truncated
from zoospectra.analysis.tails.tail import log_excess

NO_FIT = Fit(Status.TOO_FEW)


@pytest.mark.parametrize(("replicas", "by_slice"), [(1, False), (2, True), (4, False)])
def test_shuffled_copies(replicas: int, by_slice: bool, esd_of) -> None:
    W = np.random.default_rng(replicas).standard_t(2, (3, 14, 9))
    esd = esd_of(W, replicas=replicas, by_slice=by_slice)
    row = randomized.METHOD.run(esd, NO_FIT, {"tail": 0.2})
    copies = [np.sort(copy, axis=None) for copy in esd.shuffled]
    bulks = [fit_bulk(copy, 14, 9, 3, 0.2) for copy in copies]
    tops, traps = [copy[-1] for copy in copies], sorted(bulk.num_spikes for bulk in bulks)
    wanted = {
        "rand_replicas": replicas,
        "max_rand_eval": np.mean(tops),
        "rand_sv_max": np.mean(np.sqrt(tops)),
        "rand_distance": np.mean([jensenshannon(esd.evals, copy) for copy in copies]),
        "ww_softrank": np.mean(tops) / esd.evals[-1],
        "ww_maxdist": esd.evals[-1] - np.mean(tops),
        "rand_sigma_mp": np.mean([np.sqrt(b.sigma2 / (np.mean(c) / 14)) for b, c in zip(bulks, copies, strict=True)]),
        "rand_bulk_min": np.mean([bulk.bulk_min for bulk in bulks]),
        "rand_bulk_max": np.mean([bulk.bulk_max for bulk in bulks]),
        "rand_mp_softrank": np.mean([bulk.bulk_max / top for bulk, top in zip(bulks, tops, strict=True)]),
        "rand_num_spikes": np.mean(traps),
        "num_traps": traps[(replicas - 1) // 2],
        "max_rand_eval_std": np.std(tops, ddof=1) if replicas > 1 else None,
        "num_traps_std": np.std(traps, ddof=1) if replicas > 1 else None,
        "slice_num_traps": None,
    }
    if by_slice:
        wanted["slice_num_traps"] = np.mean(
            [sum(fit_bulk(np.sort(one), 14, 9, 1, 0.2 / 3).num_spikes for one in copy) for copy in esd.shuffled]
        )
    assert row.keys() == wanted.keys()
    for name, value in wanted.items():
        assert row[name] == (None if value is None else pytest.approx(value)), name
    assert max(traps) > 0


def test_shuffled_copies_that_are_missing_or_zero(esd_of) -> None:
    esd = esd_of(np.random.default_rng(0).normal(size=(8, 5)), replicas=2)
    for held, copies in ((replace(esd, shuffled=()), 0), (replace(esd, shuffled=(esd.evals, 0 * esd.evals)), 2)):
        row = randomized.METHOD.run(held, NO_FIT, {})
        assert row.pop("rand_replicas") == copies
        assert set(row.values()) == {None}
    assert randomized.METHOD.run(esd, NO_FIT, {}) == randomized.METHOD.run(esd, NO_FIT, {"tail": 0.01})
    same = replace(esd, shuffled=(esd.evals, esd.evals))
    assert randomized.METHOD.run(same, NO_FIT, {})["max_rand_eval_std"] == 0.0
    assert randomized.METHOD.run(same, NO_FIT, {})["rand_distance"] == 0.0
    with pytest.raises(ValueError, match="equal lengths"):
        randomized.jensen_shannon(np.ones(2), np.ones(3))
    for p, q, distance in (([0, 0], [1, 1], None), ([1, 1], [0, 0], None), ([1, 0], [0, 5], math.sqrt(math.log(2)))):
        found = randomized.jensen_shannon(np.array(p, dtype=float), np.array(q, dtype=float))
        assert found == (None if distance is None else pytest.approx(distance))


def test_the_bounds_of_a_heavy_tail() -> None:
    fit = Fit(Status.SUCCESS, 4.0, 1.0, 9.0, 0.06, 0.1, 100)
    assert phase.is_heavy_tailed(fit, 4.0)
    assert not phase.is_heavy_tailed(replace(fit, alpha=4.01), 4.0)
    assert not phase.is_heavy_tailed(replace(fit, D=0.0601), 4.0)
    assert phase.is_heavy_tailed(replace(fit, D=0.15, n_tail=16), 4.0)
    assert not phase.is_heavy_tailed(replace(fit, D=0.1501, n_tail=16), 4.0)
    for missing in ({"alpha": None}, {"D": None}, {"n_tail": None}, {"n_tail": 0}, {"status": Status.DEGENERATE}):
        assert not phase.is_heavy_tailed(replace(fit, **missing), 4.0)


def test_the_bounds_of_every_phase() -> None:
    bulk, fit = Bulk(1.0, 0.1, 3.0, 4.0, 2, 0.07), Fit(Status.SUCCESS, 3.0, 1.0, 9.0, 0.01, 0.1, 100)
    options, limit = phase.DEFAULTS, 0.01 + 3 / 48
    for D, spikes, top, tail, label in (
        (limit, 0, 3.0, fit, "random-like"),
        (0.0726, 0, 3.0, fit, None),
        (limit, 2, 5.0, fit, "bleeding-out"),  # 1.25 times the spikes' edge
        (limit, 2, 5.01, fit, "bulk+spikes"),
        (0.0726, 2, 5.0, fit, "heavy-tailed"),
        (0.0726, 2, 5.0, NO_FIT, "bulk-decay"),
    ):
        assert phase.phase(48, top, replace(bulk, D=D, num_spikes=spikes), tail, options) == label
    assert phase.phase(48, 5.0, None, fit, options) is None


def test_the_share_of_zeros_and_the_least_number(esd_of) -> None:
    esd = esd_of(np.random.default_rng(1).normal(size=(60, 50)))
    assert phase.METHOD.run(esd, NO_FIT, {})["phase"] == "random-like"
    assert phase.METHOD.run(esd, NO_FIT, {"min_evals": 51})["phase"] is None
    for zeros, label in ((5, "rank-collapse"), (4, None)):
        evals = np.sort(np.r_[np.full(zeros, 0.9e-12), np.full(1, 1e-12), np.linspace(0.5, 1.0, 49 - zeros)])
        row = phase.METHOD.run(replace(esd, evals=evals), NO_FIT, {})
        assert row["zero_share"] == zeros / 50
        assert (row["phase"] == "rank-collapse") == (label is not None)
    none = {"phase": None, "zero_share": None}
    assert phase.METHOD.run(replace(esd, evals=np.zeros(50)), NO_FIT, {}) == none
    assert phase.METHOD.run(replace(esd, evals=np.zeros(0)), NO_FIT, {}) == none


@pytest.mark.parametrize("K", [2, 3, 7, 40])
def test_hills_estimator_down_to_what_is_resolved(K: int, esd_of) -> None:
    esd = esd_of(np.random.default_rng(K).standard_t(2, (K + 3, K)))
    for share, name in ((0.5, "alpha_hill_half"), (0.25, "alpha_hill_quarter"), (0.05, "alpha_hill_5pct")):
        k = max(1, int(share * K))
        lam, start = esd.evals, esd.evals[K - k - 1]
        width = (lam[-1] - start) / lam[-1]
        wanted = pytest.approx(1 + k / sum(math.log(one / start) for one in lam[K - k :]))
        for resolution, value in ((0.999 * width, wanted), (1.001 * width, None)):
            assert hill.METHOD.run(replace(esd, resolution=resolution), NO_FIT, {})[name] == value
    exact = replace(esd, evals=np.array([0.25, 0.5, 1.0]), resolution=0.5)
    assert hill.METHOD.run(exact, NO_FIT, {})["alpha_hill_half"] == pytest.approx(1 + 1 / math.log(2))
    one = replace(esd, evals=esd.evals[:1])
    assert set(hill.METHOD.run(one, NO_FIT, {}).values()) == {None}


@pytest.mark.parametrize("seed", range(4))
def test_tails_that_start_at_the_peak(seed: int, esd_of) -> None:
    esd = esd_of(np.random.default_rng(seed).standard_t(3, (50, 40)))
    x = esd.fitted
    counts, edges = np.histogram(np.log10(x), bins=100)
    edge = 10 ** edges[counts.argmax()]
    assert peak(x) == pytest.approx(edge)
    row, tail = e_tpl.METHOD.run(esd, NO_FIT, {}), x[x >= edge * (1 - 1e-9)]
    law = truncated.fit(tail, tail[0])
    assert row == {"E_TPL_alpha": law.parameters["alpha"], "E_TPL_Lambda": law.parameters["Lambda"],
                   "E_TPL_xmin": tail[0], "E_TPL_num": len(tail)}  # fmt: skip
    for lower, least in (("peak", 0.95 * edge), ("weightwatcher", math.log10(0.95 * edge))):
        starts = [i for i in range(len(x) - 1) if least <= x[i] <= 1.5 * edge]
        if lower == "weightwatcher":
            starts = [i for i in starts if x[i] < max(one for one in x if one <= 1.5 * edge)]
        found = []
        for i in starts:
            n, u = len(x) - i, np.log(x[i:] / x[i])
            slope = n / u.sum()
            found.append((np.abs(1 - np.exp(-slope * u) - np.arange(n) / n).max(), x[i], 1 + slope))
        D, start, alpha = min(found)
        assert fingers.at_peak(x, lower) == pytest.approx((alpha, start, D))
    assert fingers.at_peak(x) == fingers.at_peak(x, "peak")


def test_the_peak_of_a_few_values() -> None:
    assert peak(np.array([1.0])) is peak(np.array([])) is peak(np.array([2.0, 2.0])) is None
    assert peak(np.array([1.0, 10.0])) == pytest.approx(1.0)
    assert peak(np.array([1.0, 10.0, 10.0])) == pytest.approx(10**0.99)
    assert peak(np.array([1.0, 1.0 + 1e-9])) is not None
    assert peak(np.array([1.0, 1.0 + 1e-10])) is None


@pytest.mark.parametrize("seed", range(3))
def test_fingers_are_clipped_one_by_one(seed: int) -> None:
    """Two very large values: dropping from two on, the first fit whose alpha is more than the threshold lower."""
    x = np.sort(np.r_[np.random.default_rng(seed).uniform(1, 2, 60), 2.2, 2.3][: 60 + seed])
    every = [fingers.fit_powerlaw(x[: len(x) - dropped]).alpha for dropped in range(12)]
    for most, threshold in ((10, 1.0), (3, 0.1), (10, 0.01), (2, 0.0)):
        wanted = 0
        for dropped in range(2, most):
            if every[dropped] + threshold < every[0]:
                wanted = dropped
                break
            if every[dropped] <= 2.0:
                break
        clipped, raw, count = fingers.clip(x, most, threshold)
        assert (raw.alpha, clipped.alpha) == (every[0], every[wanted])
        assert count == (wanted - 1 if wanted else 0)
    assert fingers.clip(x) == fingers.clip(x, 10, 1.0)
    assert fingers.clip(np.ones(3))[2] == 0


@pytest.mark.parametrize("size", [1.0, 1e-9, 1e9])
def test_norms_of_both_conventions(size: float, esd_of) -> None:
    W = size * np.random.default_rng(0).normal(size=(3, 12, 7))
    esd = esd_of(W)
    singular = np.linalg.svd(W, compute_uv=False)
    lam, frobenius = singular**2, np.linalg.norm(W)
    top, weak = lam.max(), int((lam < 1e-6).sum())
    p = lam / lam.sum() + np.finfo(np.float64).eps
    alike = {"spectral_norm": top, "log_spectral_norm": np.log10(top), "stable_rank": lam.sum() / top}
    assert norms.METHOD.run(esd, NO_FIT, {}) == pytest.approx(alike | {
        "norm": frobenius**2, "log_norm": np.log10(frobenius**2), "lambda_max": top, "sv_max": singular.max(),
        "sv_min": singular.min(axis=1).max(), "matrix_rank": 21, "rank_loss": 0, "weak_rank_loss": weak,
        "entropy": -(p * np.log(p)).sum() / np.log(21),
    })  # fmt: skip
    squared = np.sqrt((lam**2).sum())
    assert norms_2021.METHOD.run(esd, NO_FIT, {}) == pytest.approx(alike | {
        "norm": frobenius, "log_norm": np.log10(frobenius), "normX": squared, "log_normX": np.log10(squared),
    })  # fmt: skip
    fit = Fit(Status.SUCCESS, 3.5, 1.0, 9.0, 0.1, 0.1, 9)
    for dropped in (0, 2):
        row = alpha_norms.METHOD.run(esd, fit, {"drop_smallest": dropped})
        total = math.log10(math.fsum((one / top) ** 3.5 for one in np.sort(lam, axis=None)[dropped:]))
        wanted = {"alpha_weighted": 3.5 * math.log10(top), "log_alpha_norm": 3.5 * math.log10(top) + total}
        assert row == pytest.approx(wanted)
    assert alpha_norms.METHOD.run(esd, fit, {}) == alpha_norms.METHOD.run(esd, fit, {"drop_smallest": 0})
    assert set(alpha_norms.METHOD.run(esd, NO_FIT, {}).values()) == {None}


def test_norms_of_zeros(esd_of) -> None:
    esd = esd_of(np.zeros((4, 3)))
    assert {k: v for k, v in norms.METHOD.run(esd, NO_FIT, {}).items() if v is not None} == {
        "norm": 0.0, "spectral_norm": 0.0, "lambda_max": 0.0, "sv_max": 0.0, "sv_min": 0.0, "matrix_rank": 0,
        "rank_loss": 3, "weak_rank_loss": 3,
    }  # fmt: skip
    assert {k: v for k, v in norms_2021.METHOD.run(esd, NO_FIT, {}).items() if v is not None} == {
        "norm": 0.0, "normX": 0.0, "spectral_norm": 0.0
    }  # fmt: skip
    fit = Fit(Status.SUCCESS, 3.5, 1.0, 9.0, 0.1, 0.1, 9)
    assert set(alpha_norms.METHOD.run(esd, fit, {}).values()) == {None}
    one = esd_of(np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0)))
    row = norms.METHOD.run(one, NO_FIT, {})
    assert (row["matrix_rank"], row["rank_loss"], row["entropy"]) == (1, 2, None)


@pytest.mark.parametrize("seed", range(8))
def test_the_trace_log_condition(seed: int, esd_of) -> None:
    esd = esd_of(np.random.default_rng(seed).standard_t(2, (9, 6)))
    evals = esd.evals if seed % 2 else np.r_[0.0, 0.0, esd.evals]
    K, mu = len(evals), evals[::-1] * len(evals) / evals.sum()
    k = next(k for k in range(1, K + 1) if 0.0 in mu[:k] or sum(math.log(one) for one in mu[:k]) < 0)
    row = erg.METHOD.run(replace(esd, evals=evals), replace(NO_FIT, xmin=float(evals[-2])), {})
    assert row == {"k_ERG": k, "detX_num": k, "num_ERG_spikes": k, "ERG_gap": k - 2, "detX_val": evals[-k],
                   "detX_val_unrescaled": pytest.approx(mu[k - 1])}  # fmt: skip
    assert erg.METHOD.run(esd, NO_FIT, {})["ERG_gap"] is None
    for none in ([1.0], [0.0, 0.0], [2.0, 2.0 + 1e-10]):
        assert set(erg.METHOD.run(replace(esd, evals=np.array(none)), NO_FIT, {}).values()) == {None}
    assert erg.k_erg(np.array([2.0, 2.0 + 1e-9])) == 2


def test_a_tail_that_no_law_is_fitted_to() -> None:
    span = np.array([1.0, math.exp(100), math.exp(344.9)])
    assert log_excess(span, 1.0) == pytest.approx([0.0, 100.0, 344.9])
    assert log_excess(np.array([1.0, 2.0, math.exp(345.1)]), 1.0) is None
    assert log_excess(np.array([1.0, 2.0]), 1.0) is None
    for far, fitted in ((0.9e-10, False), (1.1e-10, True)):
        assert (log_excess(np.array([1.0, 1.0, 1.0 + far]), 1.0) is not None) == fitted
        assert (log_excess(math.e * np.array([1.0, 1.0, 1.0 + far]), 1.0) is not None) == fitted
        assert (log_excess(math.exp(5) * np.array([1.0, 1.0, 1.0 + 5 * far]), 1.0) is not None) == fitted
    for x, xmin in (
        ([1.0, 2.0, 3.0], 0.0),
        ([1.0, 2.0, 3.0], math.inf),
        ([1.0, 3.0, 2.0], 1.0),
        ([1.0, 2.0, 3.0], 1.1),
    ):
        with pytest.raises(ValueError, match="expected"):
            log_excess(np.array(x), xmin)
