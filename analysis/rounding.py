"""What float64 arithmetic can tell apart in a spectrum: the one margin between equal and spread, zero and small.

Eigenvalues differ in their last bits between processors (OpenBLAS has other kernels for AVX2 and AVX-512). A cut that
sits among those bits makes a status or an exponent depend on the machine, so every cut of the analysis is one of these
two, well above rounding and well below what weights contain. Not covered: the precision of the stored weights.
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


def resolved(spectrum: Spectrum) -> FloatArray:
    """Eigenvalues (S, M) of a spectrum, those that are rounding of 0 set to 0.

    Singular values at or below N eps times the largest of their slice are (numpy.linalg.matrix_rank's rule), so are
    eigenvalues of a Gram matrix at or below GRAM times the largest.
    """
    share = GRAM if spectrum.method == "gram" else (spectrum.N * EPS) ** 2
    limit = share * spectrum.evals[:, -1:]
    if bool(np.all(spectrum.evals[:, :1] > limit)):
        return spectrum.evals
    return np.where(spectrum.evals <= limit, 0.0, spectrum.evals)
