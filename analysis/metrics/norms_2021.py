"""Norms as the Nature Communications tables have them (WeightWatcher 0.2.7): the Frobenius norm is not squared.

The papers' headings say squared; their data are not. Not covered: their spectral norm's error (a randomised SVD of
rank 1, up to 0.006 low in log10): here it is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.records import Column, Esd, Fit, Method, Value

COLUMNS = (
    Column("norm", "double", "1", "Frobenius norm of W, sqrt(sum lam)"),
    Column("log_norm", "double", "log10", "log10 of the Frobenius norm of W, not squared"),
    Column("normX", "double", "eigenvalue", "Frobenius norm of X = W^T W, sqrt(sum lam^2)"),
    Column("log_normX", "double", "log10", "log10 of the Frobenius norm of X = W^T W"),
    Column("spectral_norm", "double", "eigenvalue", "largest eigenvalue, the squared spectral norm of W"),
    Column("log_spectral_norm", "double", "log10", "log10 of the largest eigenvalue"),
    Column("stable_rank", "double", "1", "sum lam / largest lam"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; logarithms and ratios of a matrix of zeros are None. No options."""
    top = float(esd.evals[-1])
    if top <= 0:
        nothing: dict[str, Value] = {column.name: None for column in COLUMNS}
        return nothing | {"norm": 0.0, "normX": 0.0, "spectral_norm": 0.0}
    ratios = esd.evals / top
    share, square = float(ratios.sum()), float(np.sqrt((ratios**2).sum()))
    log_top = float(np.log10(top))
    return {
        "norm": float(np.sqrt(top) * np.sqrt(share)),
        "log_norm": 0.5 * (log_top + float(np.log10(share))),
        "normX": top * square,
        "log_normX": log_top + float(np.log10(square)),
        "spectral_norm": top,
        "log_spectral_norm": log_top,
        "stable_rank": share,
    }


METHOD = Method(
    name="norms_2021",
    columns=COLUMNS,
    citation="Martin, Peng and Mahoney 2021, Nature Communications 12:4122, recomputed from their data",
    needs=("spectrum",),
    cost="0.03 ms",
    run=run,
)
