"""The contest's score: known answers, and counts of pairs by brute force."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product
from math import log

import numpy as np
import pytest

from zoospectra.analysis.statistics.mutual_information import cmi_official, cmi_weighted

DEPTH = [2, 2, 2, 2, 4, 4, 4, 4]
WIDTH = [1, 2, 1, 2, 1, 2, 1, 2]


def test_the_gap_itself_scores_100_and_its_mirror_too() -> None:
    gap = [0.1, 0.4, 0.2, 0.5, 0.3, 0.8, 0.6, 0.7]
    hyper = {"depth": DEPTH, "width": WIDTH}
    assert cmi_weighted(gap, gap, hyper).score == pytest.approx(100.0)
    assert cmi_weighted([-one for one in gap], gap, hyper).score == pytest.approx(100.0)


def test_a_constant_measure_scores_0() -> None:
    assert cmi_weighted([1.0] * 8, list(range(8)), {"depth": DEPTH, "width": WIDTH}).score == 0.0


def test_a_measure_that_only_knows_the_hyperparameter_scores_little() -> None:
    rng = np.random.default_rng(0)
    depth = np.repeat([1, 2, 3, 4], 10)
    gap = (depth + 0.1 * rng.normal(size=40)).tolist()
    found = cmi_weighted(depth.tolist(), gap, {"depth": depth.tolist(), "seed": [0] * 40})
    assert found.score == pytest.approx(0.0, abs=1e-9)  # within a depth it is constant


def brute(measure: list[float], gap: list[float], *given: list[int]) -> float:
    """Directly from the definition."""
    pairs = [
        (np.sign(measure[i] - measure[j]), np.sign(gap[i] - gap[j]), tuple((one[i], one[j]) for one in given))
        for i, j in permutations(range(len(gap)), 2)
    ]

    def entropy(*which: int) -> float:
        counts = Counter(tuple(pair[k] for k in which) for pair in pairs)
        return -sum(c / len(pairs) * log(c / len(pairs)) for c in counts.values())

    conditional = entropy(1, 2) - entropy(2)
    return (entropy(0, 2) + entropy(1, 2) - entropy(0, 1, 2) - entropy(2)) / conditional


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    measure, gap = rng.integers(0, 6, 24).tolist(), rng.normal(size=24).tolist()
    hyper = {name: rng.integers(0, 3, 24).tolist() for name in ("depth", "width", "decay")}
    found = cmi_weighted(measure, gap, hyper)
    by_pair = {given: brute(measure, gap, *(hyper[name] for name in given)) for given in found.scores}
    assert dict(found.scores) == pytest.approx(by_pair, abs=1e-10)
    assert found.score == pytest.approx(100 * min(by_pair.values()), abs=1e-8)
    assert len(by_pair) == 3


def organisers(measure: list[float], gap: list[float], *given: list[int]) -> float:
    """The scorer as its text reads, in loops: every model with every model, a 2 x 2 table a cell, means of cells."""
    tables: dict[tuple, list[list[int]]] = {}
    for i, j in product(range(len(gap)), repeat=2):
        table = tables.setdefault(tuple((one[i], one[j]) for one in given), [[0, 0], [0, 0]])
        table[gap[i] > gap[j]][measure[i] > measure[j]] += 1
    mutual = entropy = 0.0
    for table in tables.values():
        total = sum(map(sum, table))
        rows, columns = [sum(row) / total for row in table], [sum(row[k] for row in table) / total for k in (0, 1)]
        entropy -= sum(p * log(p) for p in rows if p)
        for a, b in product((0, 1), repeat=2):
            joint = table[a][b] / total
            mutual += joint * log(joint / rows[a] / columns[b]) if joint else 0.0
    return mutual / entropy


@pytest.mark.parametrize("seed", range(5))
def test_the_official_score_agrees_with_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    measure, gap = rng.integers(0, 6, 24).tolist(), rng.normal(size=24).tolist()
    hyper = {name: rng.integers(0, 3, 24).tolist() for name in ("depth", "width", "decay")}
    found = cmi_official(measure, gap, hyper)
    by_pair = {given: organisers(measure, gap, *(hyper[name] for name in given)) for given in found.scores}
    assert dict(found.scores) == pytest.approx(by_pair, abs=1e-10)
    assert found.score == pytest.approx(100 * min(by_pair.values()), abs=1e-8)


def test_the_two_scores_differ_by_ties_self_pairs_and_weights() -> None:
    measure, gap = [1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 3.0, 4.0]
    assert cmi_official(measure, gap, {}).score == pytest.approx(100 * organisers(measure, gap))
    assert cmi_official(gap, gap, {}).score == pytest.approx(100.0)
    assert cmi_official(measure, gap, {}).score != pytest.approx(cmi_weighted(measure, gap, {}).score, abs=0.1)


def test_without_hyperparameters_it_is_the_plain_one() -> None:
    measure, gap = [1.0, 2.0, 3.0, 1.0], [2.0, 1.0, 3.0, 4.0]
    assert cmi_weighted(measure, gap, {}).score == pytest.approx(100 * brute(measure, gap))
    one = cmi_weighted(measure, gap, {"depth": [1, 1, 2, 2]})
    assert one.given == ("depth",)
    assert one.score == pytest.approx(100 * brute(measure, gap, [1, 1, 2, 2]))


def test_what_has_no_score_says_why() -> None:
    assert cmi_weighted([1.0], [1.0], {}).reason == "fewer than two models"
    assert cmi_weighted([1.0, 2.0], [0.5, 0.5], {}).reason == "the hyperparameters alone tell the order of the gaps"
    assert cmi_weighted([1.0, None, 2.0], [1.0, 2.0, 3.0], {}).n == 2
    with pytest.raises(ValueError, match="depth"):
        cmi_weighted([1.0, 2.0], [1.0, 2.0], {"depth": [1]})
