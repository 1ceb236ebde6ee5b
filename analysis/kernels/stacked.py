"""Small matrices, many at once: numpy's stacked product and eigenvalues. The only kernel for complex slices."""

from __future__ import annotations

import numpy as np

from zoospectra.analysis.kernels.cast import AnyArray, scaled
from zoospectra.analysis.records import FloatArray


def evals(slices: AnyArray, exponent: int) -> FloatArray:
    """Eigenvalues (s, M) of slices (s, N, M), real or complex; equivalent to `np.linalg.eigvalsh` of the stack."""
    wide = scaled(slices, exponent)
    adjoint = wide.transpose(0, 2, 1)
    eigenvalues: FloatArray = np.linalg.eigvalsh(np.matmul(adjoint.conj() if np.iscomplexobj(wide) else adjoint, wide))
    return eigenvalues
