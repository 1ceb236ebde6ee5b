"""What a layer's spectrum costs, from shapes alone: for planning shards before anything is read.

Estimates; tests/bench/RESULTS.md says how good. Not covered: reading and decoding the bytes, and GPUs.

Legend: S matrices of N x M, N >= M.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoospectra.analysis.kernels import KERNELS, kernel
from zoospectra.analysis.kernels.cast import BLOCK_BYTES, block_rows
from zoospectra.analysis.kernels.svd import rows_at_once
from zoospectra.analysis.spectrum import SVD_M

# Flop/s of float64 work on one core by M, measured on a 2-core EPYC (AVX-512, tests/bench/RESULTS.md): the Gram matrix,
# counted in full though half of it is computed, and its eigenvalues. Small matrices are bound by calls.
GRAM_RATES = ((16, 2e9), (64, 12e9), (256, 32e9), (512, 46e9), (1024, 48e9), (4096, 50e9))
EIGENVALUE_RATES = (
    *((16, 0.7e9), (32, 1.5e9), (64, 3.1e9), (128, 5.9e9)),
    *((256, 11e9), (512, 16e9), (768, 22e9), (1024, 24e9), (2048, 24e9), (3072, 26.5e9), (4096, 29e9)),
)
# Seconds a call of spectrum() takes on a 1 x 1 matrix.
CALL_SECONDS = 5e-5
# A nearly square matrix of M <= SVD_M may need singular values after the Gram matrix. They take one and a half (384) to
# three times as long (2048); of trained layers 1 in 25 (384 x 384) to 1 in 6 (slices of 64 x 64) does.
SVD_FACTOR = 1.25
SQUARE = 1.2
# Above this M a matrix takes seconds and two threads help it (2.2 against 3.7 s at 4096); below, several at once is
# faster, as it is for larger ones wherever a model has two of them (see `with_one_thread`).
ONE_THREAD_M = 3000
TWO_THREADS = 1.6  # times as fast as one
# Seconds of a fit with the plain metrics, by the number of eigenvalues: calls below a thousand, sorting above.
FIT_SECONDS = ((1, 1e-4), (144, 1.5e-4), (576, 2.5e-4), (1152, 5e-4), (4608, 1.4e-3), (32768, 1e-2))
# Seconds a row of results takes, and seconds of one eigenvalue in one resample of a bootstrap.
ROW_SECONDS = 1e-4
RESAMPLED_SECONDS = 1.7e-7
# Workspaces of LAPACK (up to 64 columns) and the allocator's rounding.
SLACK_BYTES = 4 << 20
# One float64 block of rows when two layers are compared; three of them at once.
PAIR_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """Resources of one layer's spectrum."""

    flops: float
    """Floating-point operations."""
    bytes_read: int
    """Bytes of the stored weights."""
    peak_bytes: int
    """Memory beyond the stored weights at the worst moment, bytes; with a float32 copy of types below 4 bytes."""
    seconds: float
    """Time with the stated threads, seconds."""
    threads: int
    """BLAS threads to give it; depends on shapes alone, so that results do not depend on the executor."""


def cost(N: int, M: int, S: int, itemsize: int) -> Cost:
    """Cost of the spectrum of S matrices of N x M, stored with itemsize bytes an element.

    Symmetric rank-k update N M^2, eigenvalues 4/3 M^3 flops each. Raises ValueError unless N >= M >= 1 and S >= 1.
    """
    if not (N >= M >= 1 and S >= 1 and itemsize >= 1):
        msg = f"expected N >= M >= 1, S >= 1 and itemsize >= 1, got N={N}, M={M}, S={S} and {itemsize} bytes"
        raise ValueError(msg)
    decoded = 4 * N * M * S if itemsize < 4 else 0
    flops = S * (N * M**2 + 4 / 3 * M**3)
    threads = 1 if M <= ONE_THREAD_M else 2
    again = SVD_FACTOR if M <= SVD_M and N <= SQUARE * M else 1.0
    work = S * (N * M**2 / _rate(GRAM_RATES, M) + 4 / 3 * M**3 / _rate(EIGENVALUE_RATES, M))
    seconds = CALL_SECONDS + work * again / (TWO_THREADS if threads > 1 else 1.0)
    return Cost(flops, S * N * M * itemsize, _peak_bytes(N, M, S) + decoded, seconds, threads)


def fit_seconds(K: int, resamples: int = 0) -> float:
    """Time of the fit and metrics of K eigenvalues on one core, and of making rows of them.

    resamples: samples of as many values that a bootstrap fits beside them.
    """
    sizes, seconds = zip(*FIT_SECONDS, strict=True)
    return ROW_SECONDS + float(np.interp(K, sizes, seconds)) + RESAMPLED_SECONDS * resamples * K


def pair_bytes(N: int, M: int, S: int, copied: int) -> int:
    """Memory at the worst moment when two layers of S matrices of N x M are compared, bytes beyond the mapped files.

    copied: bytes an element that both take because their values are no view of a file: 4 for each that is stored in
    less than 4 bytes an element. Both are held for norms, alignment and their own spectra, then only their float64
    difference for its spectrum. Raises ValueError like `cost`.
    """
    single, values, matrix = cost(N, M, S, 4).peak_bytes, N * M * S, 8 * M * M
    block = min(8 * values, max(PAIR_BLOCK_BYTES, 8 * M))
    sums = max(3 * block, 2 * block + 2 * matrix) + SLACK_BYTES
    return max(copied * values + max(single, sums, 8 * values + SLACK_BYTES), 8 * values + single)


def several_large(sides: Iterable[int]) -> bool:
    """Whether two or more matrices of these smaller sides M are so large that they go side by side, a thread each."""
    return sum(M > ONE_THREAD_M for M in sides) > 1


def with_one_thread(whole: Cost) -> Cost:
    """The same work with one thread: half of each core's time is lost when two threads share one matrix, so that two
    matrices side by side take two thirds of the time of one after the other. Eigenvalues agree to 1e-13 of the largest.
    """
    return replace(whole, threads=1, seconds=whole.seconds * (TWO_THREADS if whole.threads > 1 else 1.0))


def _rate(measured: Sequence[tuple[int, float]], M: int) -> float:
    """Flop/s on one core, interpolated linearly in M between the measured sizes."""
    sizes, rates = zip(*measured, strict=True)
    return float(np.interp(M, sizes, rates))


def _peak_bytes(N: int, M: int, S: int) -> int:
    """Gram path: one float64 block and the kernel's matrices (stacked calls: a chunk and its Gram matrices); singular
    values: the matrix once (tall ones: one block of rows and the triangle) and workspace.
    """
    matrix = 8 * M * M
    chosen = kernel(M)
    if chosen is KERNELS["stacked"]:
        peak = 2 * min(8 * N * M * S, max(BLOCK_BYTES, 8 * N * M)) + chosen.matrices * matrix
    else:
        peak = 8 * M * min(N, block_rows(M)) + chosen.matrices * matrix
    if M <= SVD_M:
        rows = rows_at_once(M)
        peak = max(peak, 8 * M * (N if rows >= N else rows + M) + 3 * matrix)
    return peak + 8 * S * M + SLACK_BYTES
