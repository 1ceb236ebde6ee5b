"""The test of independence: its mean is exact, its error rate as stated, whatever law the entries have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from zoospectra.analysis.independence import drawn, independence

LAWS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "normal": lambda rng: rng.standard_normal((72, 30)),
    "uniform on [0, 1]": lambda rng: rng.uniform(size=(30, 72)),
    "sparse": lambda rng: rng.standard_normal((60, 40)) * (rng.uniform(size=(60, 40)) < 0.2),
    "heavy": lambda rng: rng.standard_t(3, (64, 40)),
    "wide": lambda rng: rng.laplace(size=(200, 12)),
}


@pytest.mark.parametrize("law", LAWS)
def test_independent_entries_are_rarely_called_correlated(law: str) -> None:
    tests = [independence(LAWS[law](np.random.default_rng(seed)), seed) for seed in range(40)]
    assert min(min(test.wider, test.narrower) for test in tests if test) > 1e-4
    assert sum(test.wider <= 0.05 for test in tests if test) <= 8  # binomial(40, .05): 9 or more once in 10^4


def test_the_statistic_is_that_of_the_cosines() -> None:
    """Mean squared cosine of every pair of rows, by loops, against its mean 1 / M."""
    matrix = np.random.default_rng(0).standard_normal((70, 40)) + np.outer(np.arange(70) / 50, np.ones(40))
    test = independence(matrix)
    centred = matrix - matrix.mean()
    rows = centred / np.linalg.norm(centred, axis=1)[:, None]
    squares = [(rows[i] @ rows[j]) ** 2 for i in range(70) for j in range(i)]
    assert test is not None
    assert test.excess == pytest.approx(np.mean(squares) * 40 - 1, rel=1e-9)
    assert test.wider < 1e-12


def test_what_cannot_be_tested_and_what_was_made_orthogonal() -> None:
    rng = np.random.default_rng(0)
    assert independence(np.ones((5, 5))) is None
    assert independence(np.zeros((5, 5))) is None
    assert independence(np.tile(np.arange(6.0), (8, 1))) is None
    orthogonal = np.linalg.qr(rng.standard_normal((50, 30)))[0].astype(np.float32)
    test = independence(3 * orthogonal)
    assert test is not None
    assert test.orthogonal
    assert not independence(rng.standard_normal((50, 30))).orthogonal  # type: ignore[union-attr]


def test_biases_as_initialised_and_as_trained() -> None:
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(4000) * 0.1
    assert drawn(np.zeros(64), weights, 64) == 1.0
    assert drawn(np.repeat([0.0, 1.0], 32), weights, 64) == 1.0
    assert drawn(rng.uniform(-1 / 8, 1 / 8, 64), weights, 64) > 1e-3  # type: ignore[operator]
    assert drawn(rng.standard_normal(64) * 0.1, weights, 10**6) > 1e-3  # type: ignore[operator]
    assert drawn(rng.standard_normal(64) * 0.01 + 0.01, weights, 64) < 1e-6  # type: ignore[operator]
