"""The test of independence: its mean is exact, its error rate as stated, whatever law the entries have."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from zoospectra.analysis.independence import Independence, drawn, independence, is_orthogonal

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


def by_loops(matrix: np.ndarray, seed: int) -> tuple[float, float, float, float]:
    """Excess, power and both tails, pair by pair of rows and of columns of the balanced matrix."""
    n, m = matrix.shape
    B = matrix - matrix.mean() * (abs(matrix.mean()) > 5 * matrix.std() / np.sqrt(matrix.size))
    for _ in range(300):
        B = B / np.sqrt(np.mean(B**2, axis=0))
        B = B / np.sqrt(np.mean(B**2, axis=1))[:, None]
    pairs = list(itertools.combinations(B.T, 2))
    T = sum((a @ b) ** 2 for a, b in pairs)
    mean = sum(np.sum(a**2 * b**2) for a, b in pairs)
    spread = np.sqrt(sum(2 * (np.sum(a**2 * b**2) ** 2 - np.sum(a**4 * b**4)) for a, b in pairs))
    other = sum(np.sum(a**2 * b**2) for a, b in itertools.combinations(B, 2))
    larger = other if n >= m else mean  # of the side with more lines: rows
    skew = 2 * (spread / mean + spread / other)
    law = stats.pearson3(skew, loc=mean, scale=spread)
    wider, narrower = float(law.sf(T)), float(law.cdf(T))
    if matrix.size <= 2048:
        tall = B if n >= m else B.T
        signs = 2 * np.random.Generator(np.random.PCG64(seed)).integers(0, 2, (999, *tall.shape), dtype=np.int8) - 1
        gram = np.einsum("rij,rik->rjk", signs * tall, signs * tall)
        copies = (np.sum(gram**2, axis=(1, 2)) - np.sum(np.einsum("rii->ri", gram) ** 2, axis=1)) / 2
        T_tall = T if n >= m else sum((a @ b) ** 2 for a, b in itertools.combinations(B, 2))
        wider = max(wider, (1 + np.sum(copies > T_tall * (1 - 1e-6))) / 1000)
        narrower = max(narrower, (1 + np.sum(copies < T_tall * (1 + 1e-6))) / 1000)
    return (T - mean) / larger, larger / spread, wider, narrower


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(70, 40), (40, 70), (6, 4), (4, 7), (9, 2), (2, 9), (3, 3)])
@pytest.mark.parametrize("shift", [0.0, 0.5, 20.0])
def test_the_statistic_is_that_of_the_cosines(shape: tuple[int, int], shift: float, dtype: str) -> None:
    """Squared products of pairs of lines against their mean under fair signs; a shift of 5 errors is taken off."""
    rng = np.random.default_rng(sum(shape))
    matrix = rng.standard_normal(shape) + 0.3 * np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1]))
    matrix += shift - matrix.mean() * (shift < 1)
    scaled = 1e-20 * matrix.astype(dtype)
    test = independence(np.insert(scaled, 1, 1e-34, axis=0), seed=5)  # traces of a line are no line
    assert test is not None
    expected = by_loops(matrix.astype(dtype).astype(float), 5)
    wide = {"rel": 1e-4, "abs": 1e-4} if dtype == "float64" else {"rel": 3e-3, "abs": 3e-3}
    assert (test.excess, test.power) == pytest.approx(expected[:2], **wide)
    assert (test.wider, test.narrower) == pytest.approx(expected[2:], **wide)


@pytest.mark.parametrize(("trace", "counts"), [(0.95e-12, False), (1.2e-12, True)])
def test_a_line_of_traces_is_none(trace: float, counts: bool) -> None:
    matrix = np.random.default_rng(0).standard_normal((12, 9))
    line = trace * np.abs(matrix).max() * np.array([1, -1, 1, 1, -1, 1, -1, -1, 1.0])
    found, plain = independence(np.insert(matrix, 4, line, axis=0)), independence(matrix)
    assert found is not None
    assert plain is not None
    assert (abs(found.power - plain.power) > 1e-6) == counts


@pytest.mark.parametrize(("errors", "shifted"), [(4.9, False), (5.1, True)])
def test_a_mean_of_five_errors_was_given(errors: float, shifted: bool) -> None:
    matrix = np.random.default_rng(0).standard_normal((60, 50))
    matrix = (matrix - matrix.mean()) / matrix.std() + errors / np.sqrt(matrix.size)
    same = independence(matrix - matrix.mean())
    found = independence(matrix)
    assert found is not None
    assert same is not None
    assert (abs(found.excess - same.excess) < 1e-9) == shifted


def test_small_matrices_are_counted() -> None:
    """All signs of two columns whose product has three terms: its square is 9 in a quarter of the copies, else 1."""
    most = independence(np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]]))
    assert (most.wider, most.narrower) == (1.0, pytest.approx(0.75, abs=0.05))  # type: ignore[union-attr]
    least = independence(np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0 + 1e-9]]))
    assert (least.wider, least.narrower) == (pytest.approx(0.25, abs=0.05), 1.0)  # type: ignore[union-attr]
    for shape, smallest in (((32, 64), 1e-3), ((33, 63), 0.0)):
        rng = np.random.default_rng(1)
        strong = rng.standard_normal(shape) + 3 * np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1]))
        assert independence(strong).wider == pytest.approx(smallest, abs=1e-9)  # type: ignore[union-attr]


@pytest.mark.parametrize(("cosine", "longer", "orthogonal"), [
    (0.9e-3, 1.0, True), (1.1e-3, 1.0, False), (-0.9e-3, 1.0, True), (-1.1e-3, 1.0, False), (0.0, 1 + 0.9e-3, True),
    (0.0, 1 + 1.1e-3, False), (0.0, 0.0, False),
])  # fmt: skip
def test_orthogonal_to_a_thousandth(cosine: float, longer: float, orthogonal: bool) -> None:
    lines = np.eye(5)[:, :3]
    lines[:2, 1] = longer * np.array([cosine, np.sqrt(1 - cosine**2)])
    assert is_orthogonal(lines) == is_orthogonal(7.0 * lines.T) == orthogonal


def test_lines_that_share_one_entry_tell_nothing() -> None:
    assert independence(np.array([[1.0, 0.0], [1.0, 1.0]])) is None
    assert independence(np.array([[1.0, 2.0]])) is None
    assert independence(np.diag([1.0, 1.0, 1.0, 1.0])) == Independence(0.0, 2.0, 1.0, 1.0, True)
    assert independence(np.eye(6)[:, :4]) == Independence(0.0, 2.0, 1.0, 1.0, True)  # lines of zeros do not count
    assert independence(np.diag([1.0, 1.0, 1.1])) is None


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
    weights, far = rng.standard_normal(4000) * 0.1, rng.standard_normal(4000) * 100
    assert drawn(np.zeros(64), weights, 64) == drawn(np.zeros(16), weights, 64) == 1.0
    assert drawn(np.zeros(15), weights, 64) is None
    assert drawn(np.repeat([0.0, 1.0], 32), weights, 64) == 1.0
    sixteen = 50.0 + rng.standard_normal(17)
    assert drawn(np.repeat(sixteen[:16], 4), weights, 64) == 1.0
    assert drawn(np.append(np.repeat(sixteen[:16], 4)[:-1], sixteen[16]), weights, 64) < 1e-6  # type: ignore[operator]
    assert drawn(np.linspace(0, 1e-4, 64), weights, 64) == 1.0
    assert drawn(np.linspace(0, -1.1e-4, 64), weights, 64) < 1e-3  # type: ignore[operator]
    for bias, others, inputs in (
        (rng.uniform(-1 / 8, 1 / 8, 64), far, 64), (rng.standard_normal(64) * 0.1, weights, 10**6),
        (rng.standard_normal(64) * 0.01 + 0.01, weights, 64),
    ):  # fmt: skip
        uniform = stats.kstest(bias * np.sqrt(inputs) / 2 + 0.5, "uniform").pvalue
        expected = max(uniform, stats.kstest(bias, others).pvalue)
        assert drawn(bias, others, inputs) == pytest.approx(expected)
    assert expected < 1e-6
