"""Shuffled copies and what is measured against them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from zoospectra.analysis.metrics.randomized import METHOD, jensen_shannon
from zoospectra.analysis.records import Esd, Fit, Status
from zoospectra.analysis.unfold import shuffled, slices

NO_FIT = Fit(Status.TOO_FEW)
PINNED = "7c73d9caeebeccc6"


def test_a_copy_holds_the_same_entries_of_every_slice():
    W = np.random.default_rng(0).standard_normal((24, 16, 3, 3)).astype(np.float32)
    base, copy = slices.unfold(W, "conv2d"), shuffled.unfold(W, "conv2d", seed=5)
    assert copy.shape == base.shape == (9, 24, 16)
    assert copy.dtype == np.float32
    assert not np.array_equal(copy, base)
    for one, other in zip(base, copy, strict=True):
        assert np.array_equal(np.sort(one, axis=None), np.sort(other, axis=None))


def test_scope_layer_mixes_the_slices():
    W = np.arange(4 * 6 * 5.0).reshape(4, 6, 5)
    copy = shuffled.shuffle(W, seed=1, scope="layer")
    assert np.array_equal(np.sort(copy, axis=None), W.ravel())
    assert not np.array_equal(np.sort(copy[0], axis=None), W[0].ravel())


def test_the_layer_itself_is_left_alone():
    W = np.arange(24.0).reshape(1, 6, 4)
    shuffled.shuffle(W, seed=1)
    assert np.array_equal(W, np.arange(24.0).reshape(1, 6, 4))


def test_a_copy_is_a_function_of_seed_and_replica_alone():
    W = np.arange(60.0).reshape(1, 10, 6)
    again = shuffled.shuffle(W.copy(), seed=2**63 + 1, replica=3)
    np.random.seed(0)  # the global state must not matter
    assert np.array_equal(again, shuffled.shuffle(W, seed=2**63 + 1, replica=3))
    copies = {shuffled.shuffle(W, seed, replica).tobytes() for seed in range(5) for replica in range(5)}
    assert len(copies) == 25


def test_the_stream_is_pinned():
    """Other bytes would make reruns of old scans disagree: change the code version if numpy ever changes this."""
    copy = shuffled.shuffle(np.arange(1000, dtype=np.int16).reshape(2, 25, 20), seed=123, replica=1)
    assert hashlib.sha256(copy.tobytes()).hexdigest()[:16] == PINNED


def test_every_position_is_as_likely():
    """Mean position of the largest entry over 400 copies of a vector of 100: 49.5 +- 5 standard errors."""
    W = np.zeros((1, 10, 10))
    W[0, 0, 0] = 1.0
    where = [int(np.argmax(shuffled.shuffle(W, seed))) for seed in range(400)]
    assert np.mean(where) == pytest.approx(49.5, abs=5 * 28.9 / 20)


@pytest.mark.parametrize("bad", [{"seed": -1}, {"seed": 0, "replica": -1}, {"seed": 0, "scope": "row"}])
def test_misuse_is_refused(bad):
    with pytest.raises(ValueError, match=r"seed|scope"):
        shuffled.shuffle(np.ones((1, 2, 2)), **bad)


@pytest.mark.parametrize("seed", range(5))
def test_jensen_shannon_is_scipys(seed):
    rng = np.random.default_rng(seed)
    p, q = rng.random(50) * 7, rng.random(50)
    p[:seed] = 0.0
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q), rel=1e-12)
    assert jensen_shannon(p, 1e300 * p) == pytest.approx(0.0, abs=1e-7)


def test_jensen_shannon_without_mass_is_none():
    assert jensen_shannon(np.zeros(3), np.ones(3)) is None
    with pytest.raises(ValueError, match="equal lengths"):
        jensen_shannon(np.ones(2), np.ones(3))


def test_noise_equals_its_copies(esd_of):
    row = METHOD.run(esd_of(np.random.default_rng(0).standard_normal((300, 200)), replicas=5), NO_FIT, {})
    assert row["rand_replicas"] == 5
    assert row["num_traps"] == 0
    assert row["ww_softrank"] == pytest.approx(1.0, abs=0.05)
    assert row["rand_sigma_mp"] == pytest.approx(1.0, abs=0.01)
    assert row["rand_distance"] < 0.02
    assert 0 < row["max_rand_eval_std"] < 0.05 * row["max_rand_eval"]


def test_correlation_is_destroyed_and_seen(esd_of):
    rng = np.random.default_rng(1)
    W = rng.standard_normal((300, 200)) + 0.3 * np.outer(rng.standard_normal(300), rng.standard_normal(200))
    esd = esd_of(W, replicas=5)
    row = METHOD.run(esd, NO_FIT, {})
    assert row["num_traps"] == 0
    assert row["ww_softrank"] < 0.3
    assert row["ww_maxdist"] == pytest.approx(esd.evals[-1] - row["max_rand_eval"], rel=1e-12)
    assert row["rand_distance"] > 0.05
    assert row["rand_sv_max"] ** 2 == pytest.approx(row["max_rand_eval"], rel=1e-3)


@pytest.mark.parametrize("large", [1, 3])
def test_large_entries_are_traps(large, esd_of):
    """A lone entry of size b has eigenvalue about b^2, wherever it is moved: one trap each, in every copy."""
    W = np.random.default_rng(2).standard_normal((300, 200))
    W[range(large), range(large)] = 60.0
    row = METHOD.run(esd_of(W, replicas=5), NO_FIT, {})
    assert row["num_traps"] == large
    assert row["rand_num_spikes"] == pytest.approx(large, abs=0.4)
    assert row["num_traps_std"] < 0.6
    assert row["max_rand_eval"] > 3000


def test_false_traps_come_at_the_stated_rate(esd_of):
    """200 layers, one copy each: the expected number at 1 % is 2; 8 or more has a chance of 0.1 %."""
    traps = 0
    for seed in range(200):
        W = np.random.default_rng(seed).standard_normal((60, 40))
        traps += METHOD.run(esd_of(W, replicas=1, seed=seed), NO_FIT, {})["num_traps"] > 0
    assert traps < 8


def test_slices_of_unequal_variance_are_traps_only_when_pooled(esd_of):
    W = np.random.default_rng(5).standard_normal((9, 64, 32)) * np.array([1, 1, 1, 1, 3, 1, 1, 1, 1])[:, None, None]
    pooled = METHOD.run(esd_of(W, replicas=2), NO_FIT, {})
    assert pooled["num_traps"] > 10
    assert pooled["slice_num_traps"] is None
    by_slice = METHOD.run(esd_of(W, replicas=2, by_slice=True), NO_FIT, {})
    assert by_slice["slice_num_traps"] <= 0.5
    assert {k: v for k, v in by_slice.items() if k != "slice_num_traps"} == {
        k: v for k, v in pooled.items() if k != "slice_num_traps"
    }


def test_one_copy_has_no_spread(esd_of):
    row = METHOD.run(esd_of(np.random.default_rng(0).standard_normal((60, 40)), replicas=1), NO_FIT, {})
    assert row["max_rand_eval_std"] is None
    assert row["num_traps_std"] is None
    assert row["max_rand_eval"] > 0


def test_without_copies_there_is_nothing_to_say(esd_of):
    esd: Esd = esd_of(np.random.default_rng(0).standard_normal((60, 40)))
    row = METHOD.run(esd, NO_FIT, {})
    assert row["rand_replicas"] == 0
    assert {value for name, value in row.items() if name != "rand_replicas"} == {None}


def test_the_number_of_traps_is_the_median_of_the_copies(esd_of):
    esd = esd_of(np.random.default_rng(0).standard_normal((60, 40)), replicas=4)
    counts = (0, 1, 2, 2)
    copies = tuple(
        np.sort(np.concatenate([copy[:-count], np.full(count, 1e4)])) if count else copy
        for copy, count in zip(esd.shuffled, counts, strict=True)
    )
    row = METHOD.run(replace(esd, shuffled=copies), NO_FIT, {})
    assert row["num_traps"] == 1
    assert row["rand_num_spikes"] == pytest.approx(np.mean(counts))
    assert row["num_traps_std"] == pytest.approx(np.std(counts, ddof=1))
