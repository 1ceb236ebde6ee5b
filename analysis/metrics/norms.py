"""Norms, ranks and entropy of a spectrum, as WeightWatcher 0.7.7 names and computes them.

Of the K pooled eigenvalues, except sv_min and rank_loss, which are by slice. Two differences: logarithms and ratios
of a layer of zeros are None, and so is the entropy for rank 1, where WeightWatcher divides by ln(1 + 1e-10). Not
covered: what needs a fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Value
from zoospectra.analysis.rounding import EPS

# WeightWatcher's EPSILON, added to every probability of the entropy.
EPSILON = 1e-10
# WeightWatcher's WEAK_RANK_LOSS_TOLERANCE, absolute, on eigenvalues.
WEAK = 1e-6

COLUMNS = (
    Column("norm", "double", "eigenvalue", "squared Frobenius norm, sum lam"),
    Column("log_norm", "double", "log10", "log10 of the squared Frobenius norm, sum lam"),
    Column("spectral_norm", "double", "eigenvalue", "largest eigenvalue, the squared spectral norm of W"),
    Column("log_spectral_norm", "double", "log10", "log10 of the largest eigenvalue"),
    Column("lambda_max", "double", "eigenvalue", "largest eigenvalue"),
    Column("sv_max", "double", "singular value", "largest singular value"),
    Column("sv_min", "double", "singular value", "smallest singular value of a slice, the largest one over the slices"),
    Column("stable_rank", "double", "1", "sum lam / largest lam"),
    Column("entropy", "double", "1", "-sum p ln p / ln rank, p = lam / sum lam + 1e-10"),
    Column("matrix_rank", "bigint", "count", "singular values above N eps times the largest"),
    Column("rank_loss", "bigint", "count", "singular values at or below N eps times their slice's largest"),
    Column("weak_rank_loss", "bigint", "count", "eigenvalues below 1e-6"),
)


NOTHING: dict[str, Value] = {column.name: None for column in COLUMNS}


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`. Option: tolerance of weak_rank_loss (1e-6)."""
    tolerance = float(METHOD.options(options)["tolerance"])
    lam, row = esd.evals, NOTHING.copy()
    count = rank(lam, esd.N)
    row["matrix_rank"] = count
    row["rank_loss"] = esd.slices.size - rank(esd.slices, esd.N)
    row["weak_rank_loss"] = int(lam.searchsorted(tolerance))
    top, total = float(lam[-1]), float(lam.sum())
    row["norm"], row["spectral_norm"], row["lambda_max"] = total, top, top
    row["sv_max"], row["sv_min"] = math.sqrt(top), math.sqrt(float(esd.slices[:, 0].max()))
    if top <= 0:
        return row
    row["log_norm"], row["log_spectral_norm"] = float(np.log10(total)), float(np.log10(top))
    row["stable_rank"] = total / top
    row["entropy"] = entropy(lam, total, count)
    return row


def rank(evals: FloatArray, N: int) -> int:
    """Numerical rank from eigenvalues (K,), ascending, of a matrix with larger side N; summed over rows (S, K).

    Equivalent to `np.linalg.matrix_rank` of the matrix.
    """
    limit = np.sqrt(evals[..., -1:]) * (N * EPS)
    if (np.sqrt(evals[..., :1]) > limit).all():  # the smallest of all
        return evals.size
    return int(np.count_nonzero(np.sqrt(evals) > limit))


def entropy(lam: FloatArray, total: float, count: int) -> float | None:
    """Entropy of lam / sum lam over ln of the rank, 1 for equal eigenvalues; None for rank 0 and 1.

    lam is (K,), total its sum, count the rank. Equivalent to `matrix_entropy(np.sqrt(lam), N)` of
    weightwatcher.RMT_Util.
    """
    if count <= 1:
        return None
    p = lam / total
    p += EPSILON
    return float(-(p * np.log(p)).sum() / np.log(count + EPSILON))


METHOD = Method(
    name="norms",
    columns=COLUMNS,
    citation="Martin and Mahoney 2021, JMLR 22(165); WeightWatcher 0.7.7",
    needs=("spectrum",),
    cost="0.05 ms",
    run=run,
    defaults={"tolerance": WEAK},
)
