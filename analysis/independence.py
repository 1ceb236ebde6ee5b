"""Are the entries of a matrix independent, as when it was initialised? A test of the correlations between its lines.

Legend: W is N x M; B is W with rows and columns scaled until each has mean square 1 (Sinkhorn and Knopp 1967 on the
squares); S_ij = B_ij^2; G = B^T B; T = sum_{i<j} G_ij^2 over pairs of columns.

If the entries are independent and symmetric, each with a scale of its row times one of its column, then given S every
entry's sign is a fair coin, whatever the scales and the law (normal, uniform, truncated, sparse, heavy), so that
exactly E T = sum_{i<j} sum_k S_ki S_kj and Var T = 2 sum_{i<j} [(S^T S)_ij^2 - (S^2^T S^2)_ij]: different pairs are
uncorrelated. Rows give the same T but for a constant, so that one test serves both. Of normal entries of one scale it
is Schott's test of complete independence (2005, Biometrika 92:951) with known mean. T is close to a gamma variable of
that mean and variance and skewness 4 / N + 4 / M; of small matrices copies with signs drawn anew are counted as well.
Scales of channels are no evidence. Training leaves correlations; a copy with other signs has none.

Not covered: products (low-rank updates), whose lines depend on each other by construction; skewed entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from zoospectra.analysis.kernels.cast import AnyArray

SHIFTED = 5.0
"""Standard errors from which the mean of all entries counts as one that the initialisation gave (uniform on [0, 1])."""
SMALL = 2048
"""Entries up to which copies are counted: the gamma law's far tail is too thin for a few short lines."""
COPIES = 999
"""Copies of a small matrix with signs drawn anew; the smallest p they give is 1 / (COPIES + 1)."""
ROUNDS, BALANCED = 50, 1e-6
"""Times that rows and columns are scaled at most, and the relative change at which they need no more."""
NOTHING = 1e-12
"""Share of the largest entry below which one is 0: weight decay leaves such traces, whose squares vanish in float32."""
ORTHOGONAL = 1e-3
"""Largest cosine between lines, and spread of their norms, of a matrix that was made orthogonal, in any float type."""


@dataclass(frozen=True, slots=True)
class Independence:
    """How far the correlations of a matrix's lines are from those of independent entries."""

    excess: float
    """T over its mean, minus 1, of the side with more lines: 0 for noise."""
    power: float
    """Mean of T over its standard deviation: an excess e is e * power standard deviations away."""
    wider: float
    """Chance that independent entries correlate as much or more."""
    narrower: float
    """Chance that they correlate as little or less."""
    orthogonal: bool
    """Whether the lines of the smaller side are orthogonal and equally long: an initialisation, untouched."""


def independence(matrix: AnyArray, seed: int = 0) -> Independence | None:
    """Test one matrix (n, m) of finite entries, seeded for the copies of a small one.

    None where nothing can be told: fewer than two lines of a side are not zero, all lines of a side are equal, or
    no sign matters since no two lines share two entries that are not 0. Costs two Gram matrices of the smaller side.
    """
    values: Any = np.asarray(matrix, dtype=np.float64 if matrix.dtype == np.float64 else np.float32)
    values = values if values.shape[0] >= values.shape[1] else values.T
    top = float(np.abs(values).max(initial=0.0))
    if not top > 0.0:
        return None
    values = values / top
    values = np.where(np.abs(values) < NOTHING, 0.0, values).astype(values.dtype)
    values = values[np.any(values != 0.0, axis=1)][:, np.any(values != 0.0, axis=0)]
    if min(values.shape) < 2 or np.all(values == values[:1]) or np.all(values == values[:, :1]):
        return None
    orthogonal = is_orthogonal(values)
    mean, spread = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if abs(mean) > SHIFTED * spread / np.sqrt(values.size):
        values = values - np.asarray(mean, values.dtype)
    values = _balanced(values)
    mean, over, deviation = _moments(np.square(values))
    if not deviation > 0.0:
        return Independence(0.0, max(values.shape) / 2.0, 1.0, 1.0, orthogonal) if orthogonal else None
    observed = float(_statistic(values[None])[0])
    shape = (deviation / mean + deviation / over) ** -2.0
    law = stats.gamma(shape, loc=mean - deviation * shape**0.5, scale=deviation / shape**0.5)
    wider, narrower = float(law.sf(observed)), float(law.cdf(observed))
    if values.size <= SMALL:
        copies = _statistic(_copies(values, seed))
        wider = max(wider, (1 + int(np.count_nonzero(copies >= observed * (1 - 1e-6)))) / (1 + COPIES))
        narrower = max(narrower, (1 + int(np.count_nonzero(copies <= observed * (1 + 1e-6)))) / (1 + COPIES))
    return Independence((observed - mean) / over, over / deviation, wider, narrower, orthogonal)


def is_orthogonal(matrix: AnyArray) -> bool:
    """Whether the lines of the smaller side of a matrix (n, m) are orthogonal and equally long, to ORTHOGONAL."""
    values = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    norms = np.linalg.norm(values, axis=0)
    if norms.min() <= 0.0 or norms.max() > (1.0 + ORTHOGONAL) * norms.min():
        return False
    gram = np.abs((values / norms).T @ (values / norms))
    np.fill_diagonal(gram, 0.0)
    return bool(gram.max() < ORTHOGONAL)


def _balanced(values: AnyArray) -> AnyArray:
    """Rows and columns of (n, m) scaled to mean square 1, or near it where zeros forbid it; blind to signs."""
    squares = np.square(values)
    n, m = values.shape
    rows: AnyArray = np.ones(n, values.dtype)
    for _ in range(ROUNDS):
        columns = n / (rows @ squares)
        before, rows = rows, m / (squares @ columns)
        if np.all(np.abs(rows - before) <= BALANCED * rows):
            break
    balanced: AnyArray = values * np.sqrt(rows)[:, None] * np.sqrt(columns)
    return balanced


def _moments(squares: AnyArray) -> tuple[float, float, float]:
    """Mean of T over columns, mean of T over rows, and their standard deviation, when signs are fair coins."""
    own = float(np.sum(np.square(squares), dtype=np.float64))
    by_row, by_column = squares.sum(axis=1, dtype=np.float64), squares.sum(axis=0, dtype=np.float64)
    shared = squares.T @ squares
    np.fill_diagonal(shared, 0.0)
    alone = float(np.sum(np.square(np.square(squares).sum(axis=1, dtype=np.float64))))
    alone -= float(np.sum(np.square(np.square(squares)), dtype=np.float64))
    together = float(np.sum(np.square(shared), dtype=np.float64))
    variance = together - alone if together - alone > 1e-5 * together else 0.0
    return (float(by_row @ by_row) - own) / 2.0, (float(by_column @ by_column) - own) / 2.0, variance**0.5


def _copies(values: AnyArray, seed: int) -> AnyArray:
    """Copies (COPIES, n, m) of small `values` with signs drawn anew."""
    rng = np.random.Generator(np.random.PCG64(seed))
    signs = np.asarray(2 * rng.integers(0, 2, (COPIES, *values.shape), dtype=np.int8) - 1, values.dtype)
    copies: AnyArray = signs * values
    return copies


def _statistic(stack: AnyArray) -> AnyArray:
    """T of the columns of every matrix of a stack (R, n, m): (R,)."""
    # numpy multiplies a matrix by its own transpose in half the time, but not those of a stack
    gram = (stack[0].T @ stack[0])[None] if len(stack) == 1 else stack.transpose(0, 2, 1) @ stack
    diagonal = np.arange(gram.shape[1])
    gram[:, diagonal, diagonal] = 0.0
    return np.asarray(np.sum(np.square(gram), axis=(1, 2), dtype=np.float64)) / 2.0


LIKELY, VALUES = 1e-4, 4
"""Biases up to this size are drawn next to 0; how often each value occurs at least in one that is set by rule."""


def drawn(bias: AnyArray, weights: AnyArray, inputs: int) -> float | None:
    """Chance of a bias (n,) as far from what an initialisation leaves; None below 16 numbers, which tell nothing.

    1 for one that is set by rule (constant, or a few values) or next to 0; else the larger p of Kolmogorov-Smirnov
    tests against torch's uniform law within 1 / sqrt(inputs) and against the entries `weights` (any number of them).
    """
    if bias.size < 16:
        return None
    if np.unique(bias).size * VALUES <= bias.size or np.abs(bias).max() <= LIKELY:
        return 1.0
    bound = inputs**-0.5
    uniform = stats.kstest(bias, stats.uniform(-bound, 2.0 * bound).cdf).pvalue
    return float(max(uniform, stats.ks_2samp(bias, weights).pvalue))
