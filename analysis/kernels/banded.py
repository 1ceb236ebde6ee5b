"""Large matrices: Gram by rank-k update, from full to banded form, eigenvalues of the band.

Of the reduction to tridiagonal form half is products of the matrix with one vector, bound by memory; to a band all of
it is products of matrices (Bischof, Lang and Sun, ACM Transactions on Mathematical Software 26, 2000; LAPACK has it as
dsytrd_sy2sb). What is left of the band fits the caches (LAPACK's dsbtrd and dsterf, within dsbevd).
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.kernels.gram import gram
from zoospectra.analysis.kernels.parts import subtract_both, symmetric_times
from zoospectra.analysis.records import FloatArray

# Diagonals below the main one: more make the first reduction faster and the second slower. 48 and 64 are equal.
WIDTH = 48


def evals(slices: AnyArray, exponent: int) -> FloatArray:
    """Eigenvalues (s, M) of real slices (s, N, M), one after another; equivalent to `np.linalg.eigvalsh`."""
    return np.stack([_evals(gram(W, exponent)) for W in slices])


def _evals(matrix: FloatArray) -> FloatArray:
    """Eigenvalues (M,) from the lower triangle, which is destroyed."""
    from scipy.linalg import lapack  # see gram

    values, _, failed = lapack.dsbevd(_band(matrix), compute_v=0, lower=1, overwrite_ab=1)
    if failed:  # never seen on finite matrices
        msg = f"eigenvalues of a {matrix.shape} matrix did not converge ({failed} left)"
        raise np.linalg.LinAlgError(msg)
    eigenvalues: FloatArray = values
    return eigenvalues


def _band(A: FloatArray) -> FloatArray:
    """The lower diagonals (WIDTH + 1, M) of a banded matrix with the eigenvalues of a symmetric A (M, M), of which the
    lower triangle counts and is destroyed.
    """
    from scipy.linalg import blas  # see gram

    M = len(A)
    for start in range(0, M - WIDTH, WIDTH):
        below = start + WIDTH
        V, VT = _reflections(A[below:, start:below])
        rest = A[below:, below:]
        W = symmetric_times(rest, VT)
        W = blas.dgemm(-0.5, V, blas.dgemm(1.0, VT, W, trans_a=1), beta=1.0, c=W, overwrite_c=1)
        subtract_both(rest, V, W)
    band = np.zeros((min(WIDTH, M - 1) + 1, M), order="F")
    for diagonal in range(len(band)):
        band[diagonal, : M - diagonal] = np.diagonal(A, -diagonal)
    return band


def _reflections(panel: FloatArray) -> tuple[FloatArray, FloatArray]:
    """QR of a panel (m, k), whose top becomes R: V and V T of I - V T V^T, the product of its reflections."""
    from scipy.linalg import blas, lapack  # see gram

    rank = min(panel.shape)
    work = int(lapack.dgeqrf_lwork(*panel.shape)[0])
    qr, tau, _, _ = lapack.dgeqrf(np.array(panel, order="F"), lwork=work, overwrite_a=1)
    panel[:rank] = qr[:rank]
    V: FloatArray = qr[:, :rank]
    V[:rank] = np.tril(V[:rank], -1) + np.eye(rank)
    none = tau == 0.0  # these columns need no reflection
    V[:, none] = 0.0
    inverse = np.triu(blas.dsyrk(1.0, V, trans=1), 1) + np.diag(1.0 / np.where(none, 1.0, tau))
    return V, blas.dtrsm(1.0, inverse, V, side=1)
