"""The Gram matrix of a tall matrix: a symmetric rank-k update (BLAS dsyrk), half the work of a product."""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray, block_rows, scaled
from zoospectra.analysis.records import FloatArray


def gram(W: AnyArray, exponent: int) -> FloatArray:
    """Lower triangle of W^T W, (M, M) in Fortran order, summed over row blocks: beyond it, one block of memory.

    W is (N, M), real.
    """
    from scipy.linalg.blas import dsyrk  # 0.15 s, and plans need shapes only

    N, M = W.shape
    G = np.zeros((M, M), order="F")
    rows = block_rows(M)
    across = W.strides[0] < W.strides[1]  # a wide tensor seen from its side: turning it costs more than converting it
    for start in range(0, N, rows):
        block = scaled(W[start : start + rows], exponent, "F" if across else "C")
        G = dsyrk(1.0, block if across else block.T, beta=1.0, c=G, trans=across, lower=1, overwrite_c=1)
        del block  # before the next one is made
    return G
