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


@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize("shape", [(64, 9), (48, 48), (20, 300), (256, 128)])
def test_unequal_scales_of_rows_and_columns_are_no_correlation(shape: tuple[int, int], sigma: float) -> None:
    """Lognormal scales leave everything but the last digits as it is, and are rarely called correlated."""
    tests = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        matrix, (n, m) = rng.standard_normal(shape), shape
        columns, rows = np.exp(sigma * rng.standard_normal(m)), np.exp(sigma * rng.standard_normal((n, 1)))
        plain, *scaled = (independence(values, seed) for values in (matrix, matrix * columns, rows * matrix * columns))
        for test in scaled:
            assert test is not None
            assert plain is not None
            assert test.excess == pytest.approx(plain.excess, rel=1e-3, abs=1e-3)
            assert test.wider == pytest.approx(plain.wider, rel=0.02, abs=1e-3)
            tests.append(test)
    assert min(min(test.wider, test.narrower) for test in tests) > 1e-4
    assert sum(test.wider <= 0.05 for test in tests[::2]) <= 4  # binomial(12, .05): 5 or more once in 5,000


def test_the_statistic_is_that_of_the_cosines() -> None:
    """Squared products of every pair of rows of the balanced matrix, by loops, against their mean under fair signs."""
    matrix = np.random.default_rng(0).standard_normal((70, 40)) + np.outer(np.arange(70) / 50, np.ones(40))
    test = independence(matrix)
    rows = matrix - matrix.mean()
    for _ in range(200):
        rows /= np.sqrt(np.mean(rows**2, axis=0))
        rows /= np.sqrt(np.mean(rows**2, axis=1))[:, None]
    pairs = [(rows[i], rows[j]) for i in range(70) for j in range(i)]
    mean = sum(np.sum(a**2 * b**2) for a, b in pairs)
    spread = np.sqrt(sum(2 * (np.sum(a**2 * b**2) ** 2 - np.sum(a**4 * b**4)) for a, b in pairs))
    assert test is not None
    assert test.excess == pytest.approx(sum((a @ b) ** 2 for a, b in pairs) / mean - 1, rel=1e-4)
    assert test.power == pytest.approx(mean / spread, rel=1e-4)
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
