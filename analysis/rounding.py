"""What arithmetic and stored weights can tell apart in a spectrum: the margin between equal and spread, zero and small.

Eigenvalues differ in their last bits between processors (OpenBLAS has other kernels for AVX2 and AVX-512). A cut that
sits among those bits makes a status or an exponent depend on the machine, so every cut of the analysis is one of
these, well above rounding and well below what weights contain.
"""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.records import FloatArray, Spectrum

EPS = float(np.finfo(np.float64).eps)
"""Relative rounding of float64, 2.2e-16."""
FLAT = 1e-10
"""ln(x_j / x_i) up to which two eigenvalues count as equal. An eigenvalue near the largest carries an error of at most
some M eps (LAPACK Users' Guide, 4.7), 4e-12 at M = 16384; two that differ in weights stored as float32 differ by 1e-7.
"""
GRAM = 1e-14
"""Share of the largest eigenvalue below which a Gram matrix leaves noise: some sqrt(M) eps, measured 1e-16 to 1e-15."""

STORED_EPS = {
    "float32": 2.0**-23,
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "float8_e4m3fn": 2.0**-3,
    "float8_e4m3fnuz": 2.0**-3,
    "float8_e5m2": 2.0**-2,
    "float8_e5m2fnuz": 2.0**-2,
    "float8_e8m0fnu": 1.0,
}
"""Relative spacing of stored types, as torch.finfo(dtype).eps. Any other name counts as float32: packed, blocked and
scaled weights are computed in it; and so do float64 and complex128, which hold what some float32 training left more
often than not."""
WIDEST = 0.1
"""Largest resolution. Of 8-bit floats 8 eps would be everything; but errors of entries average out over a matrix, and
fitted tails of orthonormal ones (80 x 60 to 2048 x 256) span .004 to .07 of xmax, of random ones with Q = 8 .13."""


def resolution(dtype: str) -> float:
    """Smallest (xmax - xmin) / xmax of a tail that weights stored as `dtype` can tell from equal eigenvalues: 8 eps.

    A narrower tail is rounding: alpha, about xmax / (xmax - xmin), is then no property of the network.
    """
    return min(8 * STORED_EPS.get(dtype, STORED_EPS["float32"]), WIDEST)


def resolved(spectrum: Spectrum) -> FloatArray:
    """Eigenvalues (S, M) of a spectrum, those that are rounding of 0 set to 0.

    Singular values at or below N eps times the largest of their slice are (numpy.linalg.matrix_rank's rule), so are
    eigenvalues of a Gram matrix at or below GRAM times the largest.
    """
    share = GRAM if spectrum.method == "gram" else (spectrum.N * EPS) ** 2
    limit = share * spectrum.evals[:, -1:]
    if (spectrum.evals[:, :1] > limit).all():
        return spectrum.evals
    return np.where(spectrum.evals <= limit, 0.0, spectrum.evals)
