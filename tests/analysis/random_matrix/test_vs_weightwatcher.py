"""Oracle: WeightWatcher 0.7.7 on the columns that both have.

Tolerances: detX columns are exact while WeightWatcher's product does not overflow; randomised columns agree in
distribution (it draws unseeded copies); the bulk fit, a kernel-density fit there, agrees within 3 % on noise, within
5 % under a few spikes, and is not compared where the bulk is not Marchenko-Pastur.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from scipy.stats import ks_2samp

from zoospectra.analysis.distance import frobenius, layer_distance
from zoospectra.analysis.metrics import erg, marchenko_pastur, randomized
from zoospectra.analysis.records import Fit, Status
from zoospectra.analysis.unfold import slices

pytestmark = pytest.mark.oracle
NO_FIT = Fit(Status.TOO_FEW)


@pytest.fixture(scope="module")
def ww():
    weightwatcher = pytest.importorskip("weightwatcher")
    logging.getLogger("weightwatcher").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield weightwatcher


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def watcher(ww, state):
    return ww.WeightWatcher(model=state, log_level=logging.CRITICAL)


def spiked(N: int, M: int, rank: int, strength: float) -> np.ndarray:
    rng = np.random.default_rng([N, M, rank])
    u, v = (np.linalg.qr(rng.standard_normal((side, max(rank, 1))))[0][:, :rank] for side in (N, M))
    return (0.05 * (rng.standard_normal((N, M)) + strength * (N * M) ** 0.25 * u @ v.T)).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("N", "M"), [(60, 8), (100, 50), (200, 200)])
def test_erg_is_detx(ww, esd_of, seed, N, M):
    from weightwatcher.RMT_Util import detX_constraint, rescale_eigenvalues

    rng = np.random.default_rng(seed)
    esd = esd_of(rng.standard_t(3, (N, M)))
    num, index = detX_constraint(esd.evals)
    row = erg.METHOD.run(esd, NO_FIT, {})
    assert row["detX_num"] == num
    if num < M:
        assert row["detX_val"] == pytest.approx(esd.evals[index], rel=1e-12)
        assert row["detX_val_unrescaled"] == pytest.approx(rescale_eigenvalues(esd.evals)[0][index], rel=1e-12)


def test_detx_overflows_where_logarithms_do_not(ww):
    from weightwatcher.RMT_Util import detX_constraint

    evals = np.sort(np.random.default_rng(0).chisquare(1, 4096) ** 2)
    assert detX_constraint(evals)[0] != erg.k_erg(evals)


@pytest.mark.parametrize(("N", "M", "rank"), [(400, 200, 0), (400, 200, 3), (300, 100, 2), (300, 300, 0)])
def test_bulk_fit_agrees_on_noise_and_spikes(ww, esd_of, N, M, rank):
    import torch

    W = spiked(N, M, rank, 3.0)
    theirs = watcher(ww, {"layer.weight": torch.tensor(W)}).analyze(mp_fit=True, detX=True).iloc[0]
    esd = esd_of(W.astype(np.float64))
    ours = marchenko_pastur.METHOD.run(esd, NO_FIT, {})
    assert ours["num_spikes"] == theirs["num_spikes"] == rank
    for name in ("sigma_mp", "mp_softrank", "bulk_max"):
        assert ours[name] == pytest.approx(theirs[name], rel=0.05 if rank else 0.03), name
    assert ours["bulk_min"] == pytest.approx(theirs["bulk_min"], rel=0.05, abs=1e-9)
    scale = theirs["W_scale"]  # sqrt(K / sum lam): its sigma_mp is in units of the root mean square entry, as ours
    assert scale == pytest.approx(1.0 / (ours["sigma_entries"] * np.sqrt(N)), rel=1e-5)
    erg_row = erg.METHOD.run(esd, NO_FIT, {})
    assert erg_row["detX_num"] == theirs["detX_num"]
    assert erg_row["detX_val"] == pytest.approx(theirs["detX_val"], rel=1e-4)
    assert erg_row["detX_val_unrescaled"] == pytest.approx(theirs["detX_val_unrescaled"], rel=1e-4)


def test_randomised_columns_agree_in_distribution(ww, esd_of):
    """200 copies on each side of one correlated layer: both samples could come from one law (two-sample KS, 0.1 %)."""
    from weightwatcher.constants import DEFAULT_PARAMS
    from weightwatcher.RMT_Util import jensen_shannon_distance

    W = spiked(60, 40, 2, 3.0).astype(np.float64)
    W[0, 0] = 1.0
    np.random.seed(0)
    watch = watcher(ww, {})
    theirs = [watch.random_eigenvalues([W], 40, 1, DEFAULT_PARAMS.copy()) for _ in range(200)]
    esd = esd_of(W, replicas=200)
    ours = list(esd.shuffled)
    assert ks_2samp([copy[-1] for copy in ours], [copy[-1] for copy in theirs]).pvalue > 1e-3
    distances = [jensen_shannon_distance(esd.evals, copy) for copy in theirs]
    mine = [randomized.jensen_shannon(esd.evals, copy) for copy in ours]
    assert ks_2samp(mine, distances).pvalue > 1e-3
    row = randomized.METHOD.run(esd, NO_FIT, {})
    standard_error = np.sqrt(2 / 200)
    for name, sample in (
        ("max_rand_eval", [copy[-1] for copy in theirs]),
        ("rand_distance", distances),
        ("ww_softrank", [copy[-1] / esd.evals[-1] for copy in theirs]),
        ("ww_maxdist", [esd.evals[-1] - copy[-1] for copy in theirs]),
    ):
        assert row[name] == pytest.approx(np.mean(sample), abs=5 * standard_error * np.std(sample)), name


def test_jensen_shannon_is_theirs_on_a_shuffled_layer(ww, esd_of):
    from weightwatcher.RMT_Util import jensen_shannon_distance

    esd = esd_of(spiked(60, 40, 2, 3.0).astype(np.float64), replicas=3)
    for copy in esd.shuffled:
        assert randomized.jensen_shannon(esd.evals, copy) == pytest.approx(
            jensen_shannon_distance(esd.evals, copy), rel=1e-9
        )


@pytest.mark.parametrize(("method", "measure"), [("raw", None), ("euclidean", "frobenius"), ("cka", "overlap")])
def test_distances_are_theirs(ww, method, measure):
    import torch

    rng = np.random.default_rng(0)
    base = {"dense.weight": rng.standard_normal((60, 40)), "conv.weight": rng.standard_normal((64, 32, 3, 3))}
    fine = {name: W + 0.1 * rng.standard_normal(W.shape) for name, W in base.items()}
    states = [{name: torch.tensor(W.astype(np.float32)) for name, W in state.items()} for state in (fine, base)]
    watch = watcher(ww, states[0])
    _, _, table = watch.distances(*states, method=method)
    theirs = dict(zip(table["longname"], table["delta_W"], strict=True))
    assert len(theirs) == 2
    for name, layer_type in (("dense.weight", "dense"), ("conv.weight", "conv2d")):
        one, other = (state[name].numpy() for state in states)
        if measure is None:
            ours = frobenius(one, other)
        else:
            ours = layer_distance(slices.unfold(one, layer_type), slices.unfold(other, layer_type), measure)
        assert ours == pytest.approx(theirs[name.removesuffix(".weight")], rel=1e-5), name


def test_the_fft_option_of_weightwatcher_is_another_thing(ww):
    """It decomposes the real part over the frequency axes: 79.0 where the largest singular value is 26.4 / sqrt(2)."""
    import torch

    from zoospectra.analysis.unfold import fft

    W = np.random.default_rng(0).standard_normal((24, 16, 3, 3)).astype(np.float32)
    theirs = watcher(ww, {"c.weight": torch.tensor(W)}).analyze(conv2d_fft=True, min_evals=2).iloc[0]
    transfer = np.fft.fft2(W, [32, 32])
    assert theirs["sv_max"] == pytest.approx(
        np.sqrt(0.5) * np.linalg.svd(transfer.real, compute_uv=False).max(), rel=1e-4
    )
    exact = np.sqrt(0.5) * np.linalg.svd(fft.unfold(W, "conv2d", n=32), compute_uv=False).max()
    assert exact < 0.3 * theirs["sv_max"]
