"""Hill estimator of the tail exponent at fixed fractions of the spectrum (Hill 1975, Annals of Statistics 3:1163).

alpha(k) = 1 + k / sum_{j > K - k} ln(lam_j / lam_{K - k}), lam_1 <= ... <= lam_K: the exponent of the density, one more
than Hill's own index. It needs no search for xmin, which makes it the cheap second opinion on alpha; FARMS uses it at
K/2. alpha - 1 is k/(k + 1) of the maximum likelihood fit whose xmin is lam_{K - k}, which counts xmin itself.

Not covered: choosing k; the Hill plot (`hill_plot`) is for looking at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, IntArray, Method, Value
from zoospectra.analysis.rounding import FLAT

FRACTIONS = {"alpha_hill_half": 0.5, "alpha_hill_quarter": 0.25, "alpha_hill_5pct": 0.05}

COLUMNS = tuple(
    Column(name, "double", "1", f"Hill estimator of alpha on the k = max(1, floor({share:g} K)) largest eigenvalues")
    for name, share in FRACTIONS.items()
)


def hill(evals: FloatArray, k: int) -> float | None:
    """Hill's alpha of the k largest of evals (K,), ascending; None when they are all equal or the threshold is zero.

    Raises ValueError unless 1 <= k < K.
    """
    K = evals.size
    if not 1 <= k < K:
        msg = f"k must lie in [1, K - 1] for K = {K} eigenvalues, got {k}"
        raise ValueError(msg)
    return _alpha(evals, k)


def hill_plot(evals: FloatArray) -> tuple[IntArray, FloatArray]:
    """Data of the Hill plot of evals (K,), ascending: every k for which alpha is defined, and alpha(k).

    Two arrays of one length, at most K - 1; empty when no tail exists. All k at once by a cumulative sum.
    """
    positive = evals[evals > 0.0]
    if positive.size < 2:
        return np.empty(0, dtype=np.int64), np.empty(0)
    logs = np.log(positive[::-1])
    k = np.arange(1, positive.size, dtype=np.int64)
    excess = np.cumsum(logs - logs[0])[:-1] - k * (logs[1:] - logs[0])
    defined = excess > k * FLAT
    return k[defined], 1.0 + k[defined] / excess[defined]


def _alpha(evals: FloatArray, k: int) -> float | None:
    K = evals.size
    threshold = float(evals[K - k - 1])
    if not threshold > 0.0:
        return None
    excess = float(np.sum(np.log(evals[K - k :] / threshold)))
    return 1.0 + k / excess if excess > k * FLAT else None


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None for K < 2, a zero threshold or a tail narrower than the stored weights resolve."""
    lam, K = esd.evals, esd.evals.size
    row: dict[str, Value] = dict.fromkeys(FRACTIONS)
    for name, share in FRACTIONS.items() if K > 1 else ():
        k = max(1, int(share * K))
        if lam[-1] - lam[K - k - 1] >= esd.resolution * lam[-1]:
            row[name] = _alpha(lam, k)
    return row


METHOD = Method(
    name="hill",
    columns=COLUMNS,
    citation="Hill 1975, Annals of Statistics 3:1163",
    needs=("spectrum", "tail"),
    cost="0.05 ms",
    run=run,
)
