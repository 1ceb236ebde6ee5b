"""p-values: uniform where the law is true, small where it is not, the same on every run."""

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.uncertainty.goodness import goodness


def test_p_is_uniform_under_the_law_when_xmin_is_searched(body_and_tail):
    p = [goodness(body_and_tail(seed, 500), 99, seed).p for seed in range(150)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.1) == pytest.approx(0.1, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("K", "share", "largest"), [(500, 0.3, 0.13), (300, 0.5, 0.13), (150, 1.0, 0.12)], ids=["0.3", "0.5", "all tail"]
)
def test_p_is_not_too_small_under_the_law(K, share, largest, body_and_tail):
    """Conservative where body and tail are alike: the replicates' bodies then fit worse than the data's."""
    p = np.array([goodness(body_and_tail(seed, K, share), 299, seed).p for seed in range(1000)])
    assert np.mean(p <= 0.1) <= largest
    assert np.mean(p <= 0.05) <= largest / 2 + 0.02
    assert p.mean() < 0.65


def test_the_spectrum_of_noise_is_rejected_although_xmin_is_searched():
    rejected = []
    for seed in range(12):
        W = np.random.default_rng(seed).normal(size=(600, 300))
        rejected.append(goodness(np.linalg.eigvalsh(W.T @ W), 99, seed, min_tail=50).p <= 0.1)
    assert np.mean(rejected) >= 0.9


def test_the_seed_decides_everything(body_and_tail):
    x = body_and_tail(1, 200)
    first, again, other = goodness(x, 99, 5), goodness(x, 99, 5), goodness(x, 99, 6)
    assert first == again
    assert first.p != other.p
    assert (first.D, first.xmin) == (other.D, other.xmin)


def test_more_replicates_only_sharpen_p(body_and_tail):
    x = body_and_tail(2, 200)
    few, many = goodness(x, 100, 1), goodness(x, 2000, 1)
    assert many.error < few.error
    assert abs(many.p - few.p) <= 4 * few.error


def test_blocks_of_replicates_are_one_stream(body_and_tail, monkeypatch):
    x = body_and_tail(3, 150)
    whole = goodness(x, 60, 1)
    assert 0.0 <= whole.p <= 1.0
    monkeypatch.setattr("zoospectra.analysis.uncertainty.goodness.BLOCK", 10)
    assert goodness(x, 60, 1).replicates == whole.replicates


@pytest.mark.parametrize("power", [-100, 100])
def test_the_unit_does_not_matter(power, body_and_tail):
    x = body_and_tail(4, 200)
    scale = 2.0**power
    here, there = goodness(x, 200, 3), goodness(x * scale, 200, 3)
    assert there.p == pytest.approx(here.p, abs=0.011)  # rounding of the logs may move a replicate or two
    assert there.xmin == here.xmin * scale
    assert there.alpha == pytest.approx(here.alpha, rel=1e-9)


@pytest.mark.parametrize("x", [np.ones(50), np.arange(1.0, 5.0), np.array([])], ids=["constant", "few", "none"])
def test_nothing_to_fit_is_none(x):
    assert goodness(x, 10, 0) is None


@pytest.mark.parametrize(
    ("x", "replicates"),
    [(np.ones(50), 0), (-np.ones(50), 5), (np.arange(50.0, 1.0, -1.0), 5), (np.ones((9, 9)), 5)],
)
def test_misuse_is_refused(x, replicates):
    with pytest.raises(ValueError, match="expected"):
        goodness(x, replicates, 0)


def worst(logs: np.ndarray, min_tail: int) -> tuple[float, float, int] | None:
    """Smallest D over all starts, with alpha and the start; None without a tail."""
    found = []
    for i in range(len(logs) - min_tail + 1):
        u, n = logs[i:] - logs[i], len(logs) - i
        if (i and logs[i] == logs[i - 1]) or u[-1] <= 1e-10:
            continue
        slope = n / u.sum()
        found.append((np.abs(1 - np.exp(-slope * u) - np.arange(n) / n).max(), 1 + slope, i))
    return min(found, key=lambda one: one[0]) if found else None


@pytest.mark.parametrize(("seed", "min_tail"), [(0, 2), (7, 5)])
def test_replicates_one_by_one(seed, min_tail, body_and_tail):
    """The draws that the seed stands for, every one fitted by going through all starts."""
    x = body_and_tail(seed, 40)
    logs, K = np.log(x), 40
    D, alpha, index = worst(logs, min_tail)
    rng = np.random.default_rng((1, seed))
    samples = logs[index] + rng.standard_exponential((60, K)) / (alpha - 1)
    if index:
        body = rng.random((60, K)) < index / K
        samples[body] = logs[rng.integers(0, index, body.sum())]
    reached = sum(worst(np.sort(one), min_tail)[0] >= D - 1e-12 for one in samples)
    found = goodness(x, 60, seed, min_tail)
    p = reached / 60
    assert (found.p, found.error) == pytest.approx((p, np.sqrt(p * (1 - p) / 60)))
    assert (found.D, found.alpha, found.xmin, found.replicates) == (
        pytest.approx(D),
        pytest.approx(alpha),
        x[index],
        60,
    )
    assert goodness(x, 9, seed) == goodness(x, 9, seed, 2)


def test_the_least_values_and_replicates():
    x = np.sort(np.random.default_rng(0).pareto(2, 8) + 1)
    assert goodness(x, 1, 0).replicates == 1
    assert goodness(x[1:], 1, 0) is None
    for wrong in (np.r_[x[:-1], np.inf], np.r_[0.0, x], np.r_[x, x[:1]]):
        with pytest.raises(ValueError, match="ascending positive"):
            goodness(wrong, 1, 0)
    assert goodness(np.r_[x, x[-1]], 1, 0) is not None
