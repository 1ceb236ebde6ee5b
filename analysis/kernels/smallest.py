"""The few smallest singular values, where a Gram matrix does not resolve them: a fraction of the time of all of them.

Inverse iteration with a block of vectors (Golub and Van Loan, Matrix Computations, 4th edition, 8.2.4, on the inverse
of W^T W through LU of W), values from W itself (Rayleigh and Ritz). How many there are is known from the Gram matrix.
Not covered: complex matrices; many such values, and some kinds of rank deficiency (a repeated column beside zero rows),
where it gives up.
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray, scaled
from zoospectra.analysis.kernels.svd import reduced
from zoospectra.analysis.records import FloatArray

EPS = float(np.finfo(np.float64).eps)
# Vectors beyond twice the values sought: with singular values that grow as 1, 2, 3... an iteration then gains a digit.
BESIDE = 8
# Share of M that the vectors are at most: beyond, all singular values take less time.
LARGEST_SHARE = 1 / 16
# Iterations; 2 to 8 are enough unless values crowd where the block ends.
ROUNDS = 10


def smallest(W: AnyArray, exponent: int, count: int) -> FloatArray | None:
    """Squares (count,), ascending, of the smallest singular values of a real (N, M), divided by 4^exponent.

    Equivalent to `np.linalg.svd(W, compute_uv=False)[::-1][:count] ** 2`: singular values to sqrt(M) EPS times the
    largest, and below M EPS times the largest where that is below a quarter of it. None where they are too many, or do
    not settle.
    """
    from scipy.linalg import lapack  # see gram

    N, M = W.shape
    width = 2 * count + BESIDE
    if width > LARGEST_SHARE * M:
        return None
    square = scaled(W.T if W.flags.c_contiguous else W, exponent, order="F") if N == M else reduced(W, exponent)
    triangles, pivots, _ = lapack.dgetrf(square)
    largest = float(np.linalg.norm(square, axis=0).max())
    diagonal = np.einsum("ii->i", triangles)
    diagonal[np.abs(diagonal) < EPS * largest] = EPS * largest  # as good as singular: any solution is a null vector
    vectors = np.random.default_rng(0).standard_normal((M, width))
    values: FloatArray = np.full(count, np.inf)
    settled, nothing = M**0.5 * EPS * largest, M * EPS * largest / 4
    for _ in range(ROUNDS):
        once, _ = lapack.dgetrs(triangles, pivots, vectors, trans=1)
        twice, _ = lapack.dgetrs(triangles, pivots, once, overwrite_b=1)
        vectors = np.linalg.qr(twice / np.linalg.norm(twice, axis=0))[0]
        before, values = values, np.asarray(np.linalg.svd(square @ vectors, compute_uv=False)[::-1][:count], np.float64)
        if np.all((np.abs(values - before) <= settled) | (np.maximum(values, before) <= nothing)):
            return values**2
    return None
