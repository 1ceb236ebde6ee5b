"""Large matrices: Gram by rank-k update, eigenvalues by the MKL that torch carries."""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.kernels.gram import gram
from zoospectra.analysis.records import FloatArray

# Columns start on 64 bytes. Otherwise MKL with two threads gives other last bits on every call (seen at 1537, 2305
# and 3073, never at multiples of 4).
ALIGNED = 8


def evals(slices: AnyArray, exponent: int) -> FloatArray:
    """Eigenvalues (s, M) of real slices (s, N, M), one after another; equivalent to `torch.linalg.eigvalsh`."""
    return np.stack([_evals(W, exponent) for W in slices])


def _evals(W: AnyArray, exponent: int) -> FloatArray:
    """Eigenvalues (M,). The matrix is widened to an aligned side by separate eigenvalues below all others."""
    import torch  # takes a second to import, and most layers do without

    M = W.shape[1]
    padding = -M % ALIGNED
    matrix = gram(W, exponent, M + padding)
    beyond = np.arange(M, M + padding)
    matrix[beyond, beyond] = -matrix.diagonal().max()
    eigenvalues: FloatArray = torch.linalg.eigvalsh(torch.from_numpy(matrix), UPLO="L").numpy()
    return eigenvalues[padding:]
