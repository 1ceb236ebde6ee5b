"""The raw spectrum of a layer: eigenvalues of W^T W of every slice, in float64, in bounded memory.

A float64 Gram matrix of the smaller side and its eigenvalues only: what float32 and 16-bit weights contain, in a
third of the time of singular values. Where the smallest eigenvalue is below what a Gram matrix resolves, singular
values instead. The path depends on shape, type and values alone, never on the executor. Not covered: threads (the
jobs set them), scaling and pooling (profiles), and how a tensor becomes slices (analysis.unfold).

Legend: slices (S, N, M) with N >= M; a block is some rows of one slice, a chunk some slices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

from analysis.records import FloatArray, Spectrum

AnyArray = NDArray[Any]

# Up to here slices go through numpy's stacked calls: 2000 matrices of 32 x 32 in 0.06 s, half the time of a loop.
STACKED_M = 256
# OpenBLAS (numpy) is the faster eigensolver up to here, MKL (torch) above: 1.25 against 1.55 times at 3072, measured
# on one core.
OPENBLAS_M = 1536
# Bytes of one float64 block or chunk: small against a large matrix, large enough for full speed of the rank-k update.
BLOCK_BYTES = 32 << 20
# A Gram matrix knows its smallest eigenvalue to about eps * lam_max: at this ratio the smallest singular value is still
# good to 1e-7 (measured on square Gaussian matrices), below it singular values are computed.
RESOLVED = 1e-9
# Largest M for singular values (2.5 s at 2048 on one core); above, rank and smallest value carry the Gram matrix's
# limit: eigenvalues below about 1e-15 * lam_max are noise.
SVD_M = 2048
# Largest eigenvalue that is kept: leaves room for sums and scalings within float64.
LARGEST = 1e300


def is_finite(array: AnyArray) -> bool:
    """Whether an array of any shape and floating type holds neither NaN nor infinity; no temporary of its size.

    Equivalent to `np.isfinite(array).all()`.
    """
    if array.size == 0:
        return True
    parts = (array.real, array.imag) if np.iscomplexobj(array) else (array,)
    with np.errstate(invalid="ignore"):
        return all(bool(np.isfinite(part.min()) and np.isfinite(part.max())) for part in parts)


def spectrum(slices: AnyArray) -> Spectrum:
    """Eigenvalues (S, M), ascending, of the S slices (S, N, M), N >= M, real or complex, any floating type, finite.

    Equivalent to `np.linalg.svd(slices.astype(float), compute_uv=False)[:, ::-1] ** 2`, to 1e-14 of the largest. Peak
    memory beyond the input is that of `analysis.cost.cost`. Raises ValueError for other shapes, for empty input, for
    NaN or infinity, and for eigenvalues beyond the range of float64.
    """
    if slices.ndim != 3 or slices.size == 0 or slices.shape[1] < slices.shape[2]:
        msg = f"expected slices (S, N, M) with N >= M >= 1, got {slices.shape}; use an unfold rule"
        raise ValueError(msg)
    if not is_finite(slices):
        msg = f"{slices.shape} slices hold NaN or infinity; check is_finite first and record the layer as damaged"
        raise ValueError(msg)
    exponent = _exponent(slices)
    S, N, M = slices.shape
    evals = np.empty((S, M))
    by_svd = np.zeros(S, dtype=bool)
    step = max(1, BLOCK_BYTES // (8 * N * M)) if M <= STACKED_M else 1
    for start in range(0, S, step):
        chunk = slice(start, start + step)
        evals[chunk], by_svd[chunk] = _chunk_evals(slices[chunk], exponent)
    if exponent:
        with np.errstate(over="ignore"):
            evals = np.ldexp(evals, 2 * exponent)
        if evals[:, -1].max() > LARGEST:
            msg = f"eigenvalues of {slices.shape} slices exceed {LARGEST:g}; weights above 1e150 are not a network's"
            raise ValueError(msg)
    method = "svd" if by_svd.all() else "gram+svd" if by_svd.any() else "gram"
    return Spectrum(evals=evals, N=N, M=M, method=method, device="cpu")


def _exponent(slices: AnyArray) -> int:
    """Power of two to divide by so that squares neither overflow nor vanish; 0 for types whose squares fit float64."""
    if slices.dtype.itemsize <= 4:
        return 0
    parts = (slices.real, slices.imag) if np.iscomplexobj(slices) else (slices,)
    largest = max(max(float(part.max()), -float(part.min())) for part in parts)
    return int(np.frexp(largest)[1])


def _chunk_evals(chunk: AnyArray, exponent: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Eigenvalues (s, M) of some slices, and which of them needed singular values."""
    _, _, M = chunk.shape
    if M <= STACKED_M or np.iscomplexobj(chunk):
        evals = _stacked(_scaled(chunk, exponent))
    else:
        evals = np.stack([_eigenvalues(_gram(W, exponent)) for W in chunk])
    np.maximum(evals, 0.0, out=evals)
    unresolved = (evals[:, 0] < RESOLVED * evals[:, -1]) & (M <= SVD_M)
    for index in np.flatnonzero(unresolved):
        evals[index] = _squared_singular_values(chunk[index], exponent)
    return evals, unresolved


def _scaled(block: AnyArray, exponent: int) -> AnyArray:
    """A C-contiguous float64 (complex128) copy, divided by 2^exponent, which is exact."""
    wide: AnyArray = np.array(block, dtype=np.result_type(block.dtype, np.float64), order="C")
    if exponent:
        wide *= 2.0 ** (-exponent // 2)
        wide *= 2.0 ** (-exponent - -exponent // 2)
    return wide


def _stacked(chunk: AnyArray) -> FloatArray:
    """Eigenvalues (s, M) of a chunk (s, N, M) by stacked calls."""
    adjoint = chunk.transpose(0, 2, 1)
    gram = np.matmul(adjoint.conj() if np.iscomplexobj(chunk) else adjoint, chunk)
    values: FloatArray = np.linalg.eigvalsh(gram)
    return values


def _gram(W: AnyArray, exponent: int) -> FloatArray:
    """Lower triangle of W^T W, (M, M) in Fortran order, summed over row blocks: beyond it, one block of memory."""
    N, M = W.shape
    gram = np.zeros((M, M), order="F")
    for rows in _row_blocks(N, M):
        block = _scaled(W[rows], exponent)
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
    return gram


def _row_blocks(N: int, M: int) -> list[slice]:
    """Slices of rows, each BLOCK_BYTES of float64 or 256 rows, whichever is more."""
    rows = max(256, BLOCK_BYTES // (8 * M))
    return [slice(start, start + rows) for start in range(0, N, rows)]


def _eigenvalues(gram: FloatArray) -> FloatArray:
    """Eigenvalues (M,), ascending, from the lower triangle."""
    if len(gram) <= OPENBLAS_M:
        return np.linalg.eigvalsh(gram, UPLO="L").astype(np.float64, copy=False)
    import torch  # takes a second to import, and most layers do without

    values: FloatArray = torch.linalg.eigvalsh(torch.from_numpy(gram), UPLO="L").numpy()
    return values


def _squared_singular_values(W: AnyArray, exponent: int) -> FloatArray:
    """Squares (M,), ascending, of the singular values of W (N, M); tall matrices are reduced to their R factor by
    blocks.
    """
    N, M = W.shape
    rows = max(4 * M, BLOCK_BYTES // (8 * M))
    top = _scaled(W[:rows], exponent)
    for start in range(rows, N, rows):
        factor = np.linalg.qr(top, mode="r")
        top = np.concatenate([factor, _scaled(W[start : start + rows], exponent)])
    squares: FloatArray = np.linalg.svd(top, compute_uv=False)[::-1] ** 2
    return squares
