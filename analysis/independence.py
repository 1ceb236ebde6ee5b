"""Are the entries of a matrix independent, as when it was initialised? A test of the correlations between its lines.

Legend: W is N x M; c_i its columns divided by their norms; r_ij = c_i . c_j; P = M (M - 1) / 2 pairs.

If entries are independent, symmetric and alike, whatever their law (normal, uniform, truncated, sparse, heavy), then
E r_ij^2 = 1 / N exactly and different pairs are uncorrelated, so that T = sum_{i<j} r_ij^2 has mean P / N and variance
P Var(r^2), Var(r^2) = N a^2 + 3 (1 - N a)^2 / (N (N - 1)) - 1 / N^2 with a = E c_ik^4, here its mean over the matrix.
For normal entries this is Schott's test of complete independence (2005, Biometrika 92:951) with known mean. T is close
to a gamma variable of that mean and variance, since N r^2 is close to chi-square; of small matrices the shuffled copies
of their own entries are counted as well. The same for rows; the smaller p counts, twice. Lines are divided by their
norms, so that scales of channels are no evidence. Training leaves correlations; a shuffled copy has none.

Not covered: products (low-rank updates), whose lines depend on each other by construction.
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
"""Entries up to which shuffled copies are counted: the gamma law's far tail is too thin for a few short lines."""
COPIES = 999
"""Shuffled copies of a small matrix; the smallest p they give is 1 / (COPIES + 1)."""
NOTHING = 1e-12
"""Share of the largest entry below which one is 0: weight decay leaves such traces, whose squares vanish in float32."""
SPARSE = 0.01
"""Share of exact zeros from which lines that correlate too little prove nothing: a mask keeps them apart."""
ORTHOGONAL = 1e-3
"""Largest cosine between lines, and spread of their norms, of a matrix that was made orthogonal, in any float type."""


@dataclass(frozen=True, slots=True)
class Independence:
    """How far the correlations of a matrix's lines are from those of independent entries."""

    excess: float
    """T over its mean, minus 1, of the side that tells more, with the more lines: 0 for noise."""
    power: float
    """Mean of T over its standard deviation: an excess e is e * power standard deviations away."""
    wider: float
    """Chance that independent entries correlate as much or more, rows and columns together."""
    narrower: float
    """Chance that they correlate as little or less."""
    orthogonal: bool
    """Whether the lines of the smaller side are orthogonal and equally long: an initialisation, untouched."""


@dataclass(frozen=True, slots=True)
class _Null:
    """T of independent entries, for one side of a matrix."""

    mean: float
    deviation: float
    wider: float
    narrower: float


def independence(matrix: AnyArray, seed: int = 0) -> Independence | None:
    """Test one matrix (n, m) of finite entries, seeded for the shuffled copies of a small one.

    None where nothing can be told: fewer than two lines of a side are not zero, or all lines of a side are equal. Costs
    two Gram matrices of the smaller side.
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
    orthogonal = _is_orthogonal(values)
    sparse = np.count_nonzero(values == 0.0) > SPARSE * values.size
    mean, spread = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if abs(mean) > SHIFTED * spread / np.sqrt(values.size):
        values = values - np.asarray(mean, values.dtype)
    observed = _statistics(values[None])[0]
    copies = _statistics(_shuffled(values, seed)) if values.size <= SMALL else np.empty((0, 2))
    sides = [_null(values, axis, float(observed[axis]), copies[:, axis]) for axis in (0, 1)]
    powers = [side.mean / side.deviation for side in sides]
    sharp = int(np.argmax(powers))
    return Independence(
        excess=float(observed[sharp]) / sides[sharp].mean - 1.0,
        power=powers[sharp],
        wider=min(1.0, 2.0 * min(side.wider for side in sides)),
        narrower=1.0 if sparse else min(1.0, 2.0 * min(side.narrower for side in sides)),
        orthogonal=orthogonal,
    )


def _is_orthogonal(values: AnyArray) -> bool:
    norms = np.linalg.norm(values, axis=0)
    if norms.min() <= 0.0 or norms.max() > (1.0 + ORTHOGONAL) * norms.min():
        return False
    gram = np.abs((values / norms).T @ (values / norms))
    np.fill_diagonal(gram, 0.0)
    return bool(gram.max() < ORTHOGONAL)


def _shuffled(values: AnyArray, seed: int) -> AnyArray:
    """Copies (COPIES, n, m) of small `values` with shuffled entries."""
    rng = np.random.Generator(np.random.PCG64(seed))
    flat = np.broadcast_to(values.reshape(1, -1), (COPIES, values.size))
    copies: AnyArray = rng.permuted(flat, axis=1).reshape(COPIES, *values.shape)
    return copies


def _statistics(stack: AnyArray) -> AnyArray:
    """T of the columns and of the rows of every matrix of a stack (R, n, m), n >= m: (R, 2)."""
    totals = []
    for axis in (1, 2):
        norms = np.linalg.norm(stack, axis=axis, keepdims=True)
        unit = stack / np.where(norms > 0.0, norms, 1.0)
        gram = unit.transpose(0, 2, 1) @ unit
        own = np.count_nonzero(norms.reshape(len(stack), -1), axis=1)
        totals.append((np.sum(np.square(gram), axis=(1, 2), dtype=np.float64) - own) / 2.0)
    return np.stack(totals, axis=1)


def _null(values: AnyArray, axis: int, observed: float, copies: AnyArray) -> _Null:
    """The law of T for the lines along `axis`, and where the observed value lies in it."""
    unit = values / np.linalg.norm(values, axis=axis, keepdims=True)
    length, lines = unit.shape[axis], unit.shape[1 - axis]
    pairs = lines * (lines - 1) / 2.0
    fourth = float(np.mean(np.square(np.square(unit)), dtype=np.float64))
    rest = max(1.0 - length * fourth, 0.0)
    variance = length * fourth**2 + 3.0 * rest**2 / (length * (length - 1.0)) - 1.0 / length**2
    mean, deviation = pairs / length, float(np.sqrt(pairs * max(variance, 1e-6 / length**2)))
    shape = (mean / deviation) ** 2
    law = stats.gamma(shape, scale=mean / shape)
    wider, narrower = float(law.sf(observed)), float(law.cdf(observed))
    if copies.size:
        wider = max(wider, (1 + int(np.count_nonzero(copies >= observed * (1 - 1e-6)))) / (1 + copies.size))
        narrower = max(narrower, (1 + int(np.count_nonzero(copies <= observed * (1 + 1e-6)))) / (1 + copies.size))
    return _Null(mean, deviation, wider, narrower)


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
