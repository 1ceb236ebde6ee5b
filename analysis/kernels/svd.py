"""Singular values, where a Gram matrix does not resolve the smallest: rank, smallest singular value."""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import BLOCK_BYTES, AnyArray, chunk_size, scaled, shrink
from zoospectra.analysis.records import FloatArray

# Up to here one stacked call of numpy, above one in-place call a slice: a call costs as much as a 32 x 32 matrix.
STACKED_M = 256


def rows_at_once(M: int) -> int:
    """Rows of a tall matrix that are reduced together."""
    return max(4 * M, BLOCK_BYTES // (8 * M))


def evals(slices: AnyArray, exponent: int) -> FloatArray:
    """Squares (s, M), ascending, of the singular values of slices (s, N, M), real or complex.

    Equivalent to `np.linalg.svd(slices, compute_uv=False)[:, ::-1] ** 2`; large ones in place on one float64 copy.
    """
    if slices.shape[2] > STACKED_M:
        return np.stack([_squares(W, exponent) for W in slices])
    step = chunk_size(*slices.shape[1:])
    parts = [_stacked(slices[start : start + step], exponent) for start in range(0, len(slices), step)]
    return np.concatenate(parts)


def _stacked(slices: AnyArray, exponent: int) -> FloatArray:
    """Small slices by one stacked call; tall ones first as R factors."""
    N, M = slices.shape[1:]
    wide = scaled(slices, exponent) if rows_at_once(M) >= N else np.stack([reduced(W, exponent) for W in slices])
    squares: FloatArray = np.linalg.svd(wide, compute_uv=False)[:, ::-1] ** 2
    return squares


def _squares(W: AnyArray, exponent: int) -> FloatArray:
    """Squares (M,) of one slice; tall ones are first reduced to their R factor, which has the same singular values."""
    from scipy.linalg import svdvals  # see gram

    N, M = W.shape
    top = scaled(W, exponent) if rows_at_once(M) >= N else reduced(W, exponent)
    squares: FloatArray = svdvals(top.T, overwrite_a=True, check_finite=False)[::-1] ** 2
    return squares


def reduced(W: AnyArray, exponent: int) -> AnyArray:
    """An upper triangular (M, M) with the singular values of W: QR of blocks of rows below the triangle so far."""
    from scipy.linalg import get_lapack_funcs  # see gram

    N, M = W.shape
    rows = rows_at_once(M)
    triangle: AnyArray = np.zeros((0, M))
    for start in range(0, N, rows):
        block = W[start : start + rows]
        kind = np.result_type(W.dtype, np.float64)
        stack = np.empty((len(triangle) + len(block), M), dtype=kind, order="F")
        stack[: len(triangle)], stack[len(triangle) :] = triangle, block
        shrink(stack[len(triangle) :], exponent)
        geqrf, geqrf_lwork = get_lapack_funcs(("geqrf", "geqrf_lwork"), (stack,))
        work = int(geqrf_lwork(*stack.shape)[0].real)
        triangle = np.triu(geqrf(stack, lwork=work, overwrite_a=True)[0][:M])
    return triangle
