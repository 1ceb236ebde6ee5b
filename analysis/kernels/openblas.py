"""Medium matrices: Gram by rank-k update, tridiagonal form in its place, eigenvalues by the root-free QL method.

LAPACK's dsytrd and dsterf from scipy's OpenBLAS. That is dsyevd without eigenvectors, but on the Gram matrix itself
(`np.linalg.eigvalsh` copies it) and with the workspace that blocking needs (`scipy.linalg.lapack.dsyevd` asks for
the least and is up to twice as slow).
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.kernels.gram import gram
from zoospectra.analysis.records import FloatArray


def evals(slices: AnyArray, exponent: int) -> FloatArray:
    """Eigenvalues (s, M) of real slices (s, N, M), one after another; equivalent to `np.linalg.eigvalsh`."""
    return np.stack([_evals(gram(W, exponent)) for W in slices])


def _evals(matrix: FloatArray) -> FloatArray:
    """Eigenvalues (M,) from the lower triangle, which is destroyed."""
    from scipy.linalg import lapack  # see gram

    work = int(lapack.dsytrd_lwork(len(matrix), lower=1)[0])
    _, diagonal, beside, _, failed = lapack.dsytrd(matrix, lower=1, lwork=work, overwrite_a=1)
    assert failed == 0, failed
    eigenvalues, failed = lapack.dsterf(diagonal, beside, overwrite_d=1, overwrite_e=1)
    if failed:  # never seen on finite matrices; the divide and conquer of numpy has other iterations
        msg = f"eigenvalues of a {matrix.shape} matrix did not converge ({failed} left)"
        raise np.linalg.LinAlgError(msg)
    values: FloatArray = eigenvalues
    return values
