"""The spectrum of a product of thin factors without the product: the r eigenvalues that can differ from zero.

With QR of both, W = (Q1 R1)(Q2 R2)^T, the singular values of W are those of the r x r core R1 R2^T, and M - r zeros.
The zeros are left out: they are no data, and a fit must not count them.
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.records import Spectrum


def product_spectrum(up: AnyArray, down: AnyArray) -> Spectrum:
    """Spectrum of one matrix W = up down, up (a, r), down (r, b), finite; N = max(a, b), M = min(a, b).

    Equivalent to the r largest of `spectrum((up @ down)[None])` to rounding. ValueError unless the shapes fit and
    r <= M.
    """
    if up.ndim != 2 or down.ndim != 2 or up.shape[1] != down.shape[0] or up.shape[1] > min(up.shape[0], down.shape[1]):
        msg = f"expected thin factors (a, r) and (r, b) with r <= min(a, b), got {up.shape} and {down.shape}"
        raise ValueError(msg)
    R1, R2 = (np.asarray(np.linalg.qr(factor.astype(np.float64), mode="r")) for factor in (up, down.T))
    N, M = max(up.shape[0], down.shape[1]), min(up.shape[0], down.shape[1])
    evals = np.linalg.svd(R1 @ R2.T, compute_uv=False)[None, ::-1] ** 2
    return Spectrum(evals=evals, N=N, M=M, method="svd", device="cpu")
