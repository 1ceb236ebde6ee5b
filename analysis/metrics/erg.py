"""ERG (exact renormalisation group) condition, WeightWatcher's detX: where the tail's eigenvalues have determinant one.

mu = lam K / sum lam, so that the mean of mu is 1. k_ERG is the smallest k >= 1 whose k largest mu have sum ln mu < 0:
the tail of k_ERG - 1 eigenvalues still has a product of at least one. Such a k exists unless all mu are 1, because the
geometric mean is below the arithmetic one. In a layer at the ideal alpha = 2 the tail by this rule and the power law's
tail are of one size: ERG_gap = k_ERG - num_pl_spikes.

WeightWatcher 0.7.7 multiplies the mu themselves; its product overflows for large K (2945 instead of 2990 at K = 4096
in one case), sums of logarithms do not. While it does not overflow, k_ERG is its detX_num exactly. Where k_ERG = K its
detX_val is the second smallest eigenvalue, here it is the smallest; where all eigenvalues are equal detX_num is 0, here
None. Its column names are kept: detX_val is the eigenvalue where the tail starts, in units of the ESD, and
detX_val_unrescaled the same in units of mu.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoospectra.analysis.records import Column, Esd, Fit, FloatArray, Method, Value
from zoospectra.analysis.rounding import FLAT

COLUMNS = (
    Column("k_ERG", "bigint", "count", "smallest k whose k largest mu = lam K / sum lam have sum ln mu < 0"),
    Column(
        "ERG_gap", "bigint", "count", "k_ERG - num_pl_spikes, 0 when the ERG condition holds on the power law's tail"
    ),
    Column("detX_num", "bigint", "count", "k_ERG under WeightWatcher's older name"),
    Column("num_ERG_spikes", "bigint", "count", "k_ERG under WeightWatcher's newer name"),
    Column("detX_val", "double", "eigenvalue", "the k_ERG-th largest eigenvalue"),
    Column("detX_val_unrescaled", "double", "1", "the k_ERG-th largest mu: detX_val K / sum lam"),
)


def k_erg(evals: FloatArray) -> int | None:
    """k_ERG of evals (K,), ascending; None when there is none: K < 2, all zero, or all equal but for rounding."""
    K = evals.size
    if K < 2 or not evals[-1] > evals[0] * (1.0 + FLAT):
        return None
    mu = _mu(evals)[::-1]
    positive = int(np.count_nonzero(mu > 0.0))
    below = np.cumsum(np.log(mu[:positive])) < 0.0
    if below.any():
        return int(np.argmax(below)) + 1
    # The first zero makes the product zero; without zeros, all K together are below one but for rounding.
    return min(positive + 1, K)


def _mu(evals: FloatArray) -> FloatArray:
    scaled = evals / evals[-1]
    return np.asarray(scaled / np.mean(scaled), dtype=np.float64)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; ERG_gap alone is None when only the power-law fit failed."""
    k = k_erg(esd.evals)
    if k is None:
        return {column.name: None for column in COLUMNS}
    spikes = None if fit.xmin is None else int(np.count_nonzero(esd.evals >= fit.xmin))
    at = esd.evals.size - k
    return {
        "k_ERG": k,
        "ERG_gap": None if spikes is None else k - spikes,
        "detX_num": k,
        "num_ERG_spikes": k,
        "detX_val": float(esd.evals[at]),
        "detX_val_unrescaled": float(_mu(esd.evals)[at]),
    }


METHOD = Method(
    name="erg",
    columns=COLUMNS,
    citation="Martin and Hinrichs 2025, SETOL, arXiv:2507.17912; WeightWatcher 0.7.7 detX",
    needs=("spectrum", "fit"),
    cost="0.05 ms",
    run=run,
)
