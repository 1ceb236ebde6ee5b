"""Two samples against scipy and by brute force."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.statistics.two_samples import two_samples


def brute(a: list[float], b: list[float]) -> float:
    both, far = [*a, *b], []
    for places in combinations(range(len(both)), len(a)):
        rest = [both[i] for i in range(len(both)) if i not in places]
        far.append(abs(np.median([both[i] for i in places]) - np.median(rest)))
    return float(np.mean(np.array(far) >= abs(np.median(a) - np.median(b)) - 1e-12))


@pytest.mark.parametrize(("n", "m"), [(4, 4), (4, 6), (7, 5), (1, 3)])
def test_few_values_by_every_division(n: int, m: int) -> None:
    rng = np.random.default_rng(n + m)
    a, b = np.round(rng.normal(0.8, 1, n), 1).tolist(), np.round(rng.normal(0, 1, m), 1).tolist()
    found = two_samples(a, b)
    assert found.exact
    assert found.p == pytest.approx(brute(a, b), abs=1e-15)
    assert found.shift == pytest.approx(np.median(a) - np.median(b), abs=1e-15)


def test_many_values_agree_with_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1, 40), rng.normal(0, 1, 40)
    found = two_samples(a.tolist(), b.tolist())
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.median(x, axis=axis) - np.median(y, axis=axis),
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(2),
    )
    assert not found.exact
    assert found.p == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(theirs.pvalue / 9999))
    distance = stats.ks_2samp(a, b)
    assert (found.ks, found.ks_p) == (distance.statistic, distance.pvalue)
    assert found == two_samples(a.tolist(), b.tolist())


def test_the_interval_inverts_mann_whitney() -> None:
    """Moving the second sample by an end of the interval makes the rank test just significant."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 25), rng.normal(0, 1, 30)
    found = two_samples(a.tolist(), b.tolist())
    assert found.low is not None
    assert found.high is not None
    assert found.hodges_lehmann == pytest.approx(np.median([x - y for x in a for y in b]))

    def p(shift: float) -> float:
        return float(stats.mannwhitneyu(a - shift, b, method="asymptotic", use_continuity=False).pvalue)

    assert p(found.low - 1e-9) <= 0.05 < p(found.low + 0.05)
    assert p(found.high + 1e-9) <= 0.05 < p(found.high - 0.05)


def test_too_few_values_have_no_interval_and_none_is_misuse() -> None:
    assert two_samples([1.0, 2.0], [3.0, 4.0]).low is None
    with pytest.raises(ValueError, match="expected two samples"):
        two_samples([], [1.0])


@pytest.mark.parametrize("seed", range(30))
def test_every_field_by_loops(seed: int) -> None:
    """Few whole numbers with ties; the interval's rank by the normal approximation, rounded down."""
    rng = np.random.default_rng(seed)
    n, m = (int(one) for one in rng.integers(1, 7, 2))
    a, b = rng.integers(0, 6, n).astype(float).tolist(), (rng.integers(0, 6, m) + seed % 4).astype(float).tolist()
    found = two_samples(a, b)
    differences = sorted(x - y for x in a for y in b)
    rank = int(np.floor(n * m / 2 - stats.norm.ppf(0.975) * np.sqrt(n * m * (n + m + 1) / 12)))
    with warnings.catch_warnings():  # scipy's own fallback from the exact p-value
        warnings.simplefilter("ignore", RuntimeWarning)
        distance = stats.ks_2samp(a, b)
    assert (found.exact, found.p) == (True, pytest.approx(brute(a, b)))
    assert (found.shift, found.hodges_lehmann) == (np.median(a) - np.median(b), np.median(differences))
    ends = (differences[rank - 1], differences[-rank]) if rank > 0 else (None, None)
    assert (found.low, found.high) == ends
    assert (found.ks, found.ks_p) == (pytest.approx(distance.statistic), pytest.approx(distance.pvalue))


def test_all_divisions_where_there_are_no_more_than_shuffles() -> None:
    a, b = [1.0, 2.0, 9.0], [3.0, 4.0, 5.0]
    assert [two_samples(a, b, shuffles=count).exact for count in (19, 20)] == [False, True]
    assert two_samples(a, b, shuffles=1).p in (0.5, 1.0)
    drawn = two_samples(list(range(9)), list(range(20, 29)), shuffles=700, seed=1)
    assert drawn.p < 0.02
    assert drawn.p * 701 == pytest.approx(round(drawn.p * 701))
    same = [float(i % 3) for i in range(12)]
    assert two_samples(same, same, shuffles=700).p == 1.0  # every one of 700 lies as far apart, and no more are drawn
    for empty in (([], a, 9), (a, [], 9), (a, b, 0)):
        with pytest.raises(ValueError, match="expected two samples and at least one shuffle"):
            two_samples(*empty[:2], shuffles=empty[2])


def test_random_divisions_come_near_all_of_them() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.9, 1, 7).tolist(), rng.normal(0, 1, 7).tolist()
    exact, drawn = two_samples(a, b), two_samples(a, b, shuffles=3400)
    assert (exact.exact, drawn.exact) == (True, False)
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 3400))
