"""The raw spectrum of a layer: eigenvalues of W^T W of every slice, in float64, in bounded memory.

A float64 Gram matrix of the smaller side and its eigenvalues only: what float32 and 16-bit weights contain, in a
third of the time of singular values. Eigenvalues below what a Gram matrix resolves are squares of singular values: the
smallest alone where they are few, else all. The path depends on shape, type and values alone, never on the executor.
Not covered: threads (the jobs set them), scaling and pooling (profiles), how a tensor becomes slices (analysis.unfold),
and how eigenvalues are computed (analysis.kernels).

Legend: slices (S, N, M) with N >= M; a chunk is some slices.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from zoospectra.analysis.kernels import KERNELS, cuda, kernel, svd
from zoospectra.analysis.kernels.cast import AnyArray, chunk_size
from zoospectra.analysis.kernels.smallest import smallest
from zoospectra.analysis.records import FloatArray, Spectrum

# A Gram matrix knows its smallest eigenvalue to about eps * lam_max: at this ratio the smallest singular value is still
# good to 1e-7 (measured on square Gaussian matrices), below it singular values are computed.
RESOLVED = 1e-9
# Largest M for singular values (all of them take 2.5 s at 2048 on one core); above, rank and smallest value carry the
# Gram matrix's limit: eigenvalues below about 1e-15 * lam_max are noise.
SVD_M = 2048
# Bits of float16's infinity; NaN lie above, and with the sign bit the same again.
HALF_INFINITY = 0x7C00
# Elements up to which squares are summed: a copy, where the order of the axes takes one, is small.
SQUARES = 1 << 18
# Largest eigenvalue that is kept: leaves room for sums and scalings within float64.
LARGEST = 1e300


def is_finite(array: AnyArray) -> bool:
    """Whether an array of any shape and floating type holds neither NaN nor infinity; no temporary of its size.

    Equivalent to `np.isfinite(array).all()`.
    """
    if array.size == 0:
        return True
    if array.dtype == np.float32 and _has_finite_squares(array):
        return True
    if array.dtype == np.float16:  # numpy compares its integers thirty times as fast as its values
        return bool(array.view(np.int16).max() < HALF_INFINITY and array.view(np.uint16).max() < HALF_INFINITY + 2**15)
    parts = (array.real, array.imag) if np.iscomplexobj(array) else (array,)
    with np.errstate(invalid="ignore"):
        return all(bool(np.isfinite(part.min()) and np.isfinite(part.max())) for part in parts)


def _has_finite_squares(array: NDArray[np.float32]) -> bool:
    """Whether the sum of squares of a small array, of any shape, is finite: then all of its values are. One pass."""
    if array.size > SQUARES:
        return False
    flat = array.ravel(order="K")  # a view of any order of axes
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.dot(flat, flat))


def spectrum(slices: AnyArray, device: str = "cpu") -> Spectrum:
    """Eigenvalues (S, M), ascending, of the S slices (S, N, M), N >= M, real or complex, any floating type, finite.

    Equivalent to `np.linalg.svd(slices.astype(float), compute_uv=False)[:, ::-1] ** 2`, to 1e-14 of the largest. Peak
    memory beyond the input is that of `analysis.cost.cost`. With device 'cuda' (or 'cuda:1'), matrices large enough
    for it are computed there, still in float64. Raises ValueError for other shapes, for empty input, for NaN or
    infinity, for a device that is not there, and for eigenvalues beyond the range of float64.
    """
    if slices.ndim != 3 or slices.size == 0 or slices.shape[1] < slices.shape[2]:
        msg = f"expected slices (S, N, M) with N >= M >= 1, got {slices.shape}; use an unfold rule"
        raise ValueError(msg)
    where = None if device == "cpu" else cuda.device(device)
    if not is_finite(slices):
        msg = f"{slices.shape} slices hold NaN or infinity; check is_finite first and record the layer as damaged"
        raise ValueError(msg)
    S, N, M = slices.shape
    if slices[0, 0, 0] == 0 and not slices.any():
        return Spectrum(evals=np.zeros((S, M)), N=N, M=M, method="gram", device="cpu")
    exponent = _exponent(slices)
    if where is not None and M >= cuda.SMALLEST_M:
        evals = cuda.evals(slices, exponent, where, cuda.batch_size(S, N, M, cuda.free_bytes(where)))
    else:
        where = None
        evals = _on_cpu(slices, exponent)
    np.maximum(evals, 0.0, out=evals)
    by_svd = evals[:, 0] < RESOLVED * evals[:, -1] if M <= SVD_M else np.zeros(S, dtype=np.bool_)
    unresolved = by_svd.nonzero()[0]
    if len(unresolved):
        _resolve(slices, exponent, evals, unresolved)
    if exponent:
        evals = _unscaled(evals, exponent)
    method, place = _method(len(unresolved), S), "cpu" if where is None else str(where)
    return Spectrum(evals=evals, N=N, M=M, method=method, device=place)


def _on_cpu(slices: AnyArray, exponent: int) -> FloatArray:
    """Eigenvalues (S, M) by the kernel for the size; small slices by chunks."""
    S, N, M = slices.shape
    chosen = kernel(M, is_complex=np.iscomplexobj(slices))
    step = chunk_size(N, M) if chosen is KERNELS["stacked"] else 1
    evals = np.empty((S, M))
    for start in range(0, S, step):
        evals[start : start + step] = chosen.evals(slices[start : start + step], exponent)
    return evals


def _resolve(slices: AnyArray, exponent: int, evals: FloatArray, unresolved: NDArray[np.intp]) -> None:
    """Put what a Gram matrix does not resolve into the eigenvalues (S, M) of those slices: the few smallest singular
    values, squared, of larger matrices; all of small ones and where they are many.
    """
    N, M = slices.shape[1:]
    left = unresolved
    if M > svd.STACKED_M and not np.iscomplexobj(slices):
        left = np.array([n for n in unresolved if not _resolved(slices[n], exponent, evals[n])], dtype=np.intp)
    step = chunk_size(N, M)
    for start in range(0, len(left), step):
        part = left[start : start + step]
        evals[part] = svd.evals(slices[part] if len(part) > 1 else slices[part[0] : part[0] + 1], exponent)


def _resolved(W: AnyArray, exponent: int, evals: FloatArray) -> bool:
    """Put the smallest into the eigenvalues (M,) of one matrix; False where that takes all singular values."""
    count = int(np.searchsorted(evals, RESOLVED * evals[-1]))
    squares = smallest(W, exponent, count)
    if squares is None:
        return False
    evals[:count] = squares
    evals.sort()
    return True


def _method(by_svd: int, S: int) -> str:
    return "svd" if by_svd == S else "gram+svd" if by_svd else "gram"


def _exponent(slices: AnyArray) -> int:
    """Power of two to divide by so that squares neither overflow nor vanish; 0 for types whose squares fit float64."""
    if slices.dtype.itemsize <= 4:
        return 0
    parts = (slices.real, slices.imag) if np.iscomplexobj(slices) else (slices,)
    largest = max(max(float(part.max()), -float(part.min())) for part in parts)
    return int(np.frexp(largest)[1])


def _unscaled(evals: FloatArray, exponent: int) -> FloatArray:
    """Eigenvalues times 4^exponent; ValueError where they leave float64."""
    with np.errstate(over="ignore"):
        restored: FloatArray = np.ldexp(evals, 2 * exponent)
    if restored[:, -1].max() > LARGEST:
        msg = f"eigenvalues of {restored.shape[0]} slices exceed {LARGEST:g}; weights above 1e150 are not a network's"
        raise ValueError(msg)
    return restored
