"""Eigenvalue kernels, one a file, and the one table that says which size takes which.

All share a contract: slices (s, N, M), N >= M, finite, of any floating type, and an exponent to divide by; back come
the eigenvalues (s, M) of W^T W, ascending, not clipped, divided by 4^exponent. The choice depends on the size alone,
so that a shape gives the same bits on every executor. Not covered: when singular values are needed (analysis.spectrum)
and GPUs, which are used only where they are asked for (analysis.kernels.cuda).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoospectra.analysis.kernels import banded, openblas, stacked
from zoospectra.analysis.kernels.cast import AnyArray
from zoospectra.analysis.records import FloatArray


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to eigenvalues, and the sizes it is the fastest for."""

    largest: float
    """Largest M that takes it."""
    evals: Callable[[AnyArray, int], FloatArray]
    """(slices, exponent) -> eigenvalues."""
    matrices: int
    """Matrices of 8 M^2 bytes at the worst moment, the Gram matrix included."""


# Measured on one core of a 2-core EPYC (AVX-512), see tests/bench/RESULTS.md. Stacked calls: 2000 matrices of 32 x 32
# in half the time of a loop. Up to 2048, where half of the matrix still fits the last cache, one step to tridiagonal
# form is 1.3 times faster than with a band between, which is 1.5 times faster at 3072. MKL takes 1.1 times as long at
# both ends.
KERNELS: dict[str, Kernel] = {
    "stacked": Kernel(256, stacked.evals, matrices=3),
    "openblas": Kernel(2048, openblas.evals, matrices=1),
    "banded": Kernel(float("inf"), banded.evals, matrices=1),
}


def kernel(M: int, *, is_complex: bool = False) -> Kernel:
    """The kernel for matrices of smaller side M: the first of the table that is meant for it.

    Complex ones are stacked, whatever their size.
    """
    if is_complex:
        return KERNELS["stacked"]
    return next(entry for entry in KERNELS.values() if entry.largest >= M)
